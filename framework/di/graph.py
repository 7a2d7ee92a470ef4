"""Providers by key, and what can be reached of them from one place. Draws nothing, generates nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from framework.di.key import Key, without_none
from framework.di.provider import Provider
from framework.di.scope import Scope

__all__ = ["Graph", "View"]


class Graph(msgspec.Struct, frozen=True, eq=False):
    """All that is registered at one moment.

    Args:
        providers: by key, in the order of registration.
        expected: keys that no factory makes: whoever enters a scope of this kind hands the object in.
        problems: faults of the registrations themselves, as text.
    """

    providers: Mapping[Key, Provider]
    expected: Mapping[Key, Scope]
    problems: Sequence[str]

    def dependents(self, key: Key) -> set[Key]:
        """``key`` and everything that is made from it, directly or not."""
        users: dict[Key, list[Key]] = {}
        for provider in self.providers.values():
            for dependency in provider.dependencies:
                for needed in {dependency.key, without_none(dependency.key)}:
                    users.setdefault(needed, []).append(provider.key)
        found = {key}
        pending = [key]
        while pending:
            fresh = [user for user in users.get(pending.pop(), ()) if user not in found]
            found.update(fresh)
            pending += fresh
        return found


class View(msgspec.Struct, frozen=True, eq=False):
    """The graph as seen from one place: a handler, a live scope, a provider under validation.

    Args:
        graph: what is registered.
        scope: the scope that is open there.
        given: keys handed in there, each with the scope it belongs to.
        connection: whether a connection scope is open around ``scope``.
        trusted: scopes in which expected keys are taken to be handed in.
    """

    graph: Graph
    scope: Scope
    given: Mapping[Key, Scope] = {}
    connection: bool = False
    trusted: frozenset[Scope] = frozenset()

    def is_handed_in(self, key: Key, holder: Scope) -> bool:
        """Whether something that lives in ``holder`` gets ``key`` from outside, not from a factory."""
        scope = self.given.get(key)
        if scope is not None and scope <= holder:
            return True
        scope = self.graph.expected.get(key)
        return scope is not None and scope <= holder and scope in self.trusted

    def can_open(self, scope: Scope) -> bool:
        """Whether objects of ``scope`` have a place: a request need not have a connection around it."""
        return scope is not Scope.CONNECTION or self.connection or self.scope is Scope.CONNECTION

    def choose(self, key: Key, holder: Scope, *, has_default: bool = False) -> Key | None:
        """The key that serves one who asks for ``key`` and lives in ``holder``; None when it does without.

        Who asks for ``T | None`` gets T if there is one, else does without; so does a default.
        """
        plain = without_none(key)
        for candidate in (key, plain):
            if candidate in self.graph.providers or self.is_handed_in(candidate, holder):
                return candidate
        return None if has_default or plain is not key else key
