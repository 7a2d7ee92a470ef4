"""Who may call a route, as far as its layers, its dependencies or its options tell.

A layer or a type that is injected guards a route by what it is; here it only says so, by plain attributes, so that
it need not know this package:

- ``openapi_security``: Security Scheme Objects by name. Any one of them satisfies the guard.
- ``openapi_responses``: what it answers instead of the handler, by status, as the route option ``responses``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from framework.app.built import BuiltRoute
from framework.errors import SetupError
from framework.plugins.openapi.schemas import Json

__all__ = ["Requirement", "SecuritySchemes", "guards_of", "responses_around"]

Requirement: TypeAlias = "str | Mapping[str, Sequence[str]]"


def guards_of(route: BuiltRoute) -> list[Any]:
    """The layers around a route, and the types that are injected into its handler."""
    layers = [one.middleware for one in route.layers]
    return [*layers, *(one.type for one in route.parameters if one.source == "inject")]


def responses_around(guards: Iterable[Any]) -> list[Mapping[int, Any]]:
    """What the guards answer."""
    return [found for guard in guards if (found := getattr(guard, "openapi_responses", None))]


class SecuritySchemes:
    """The schemes of one document: those the app declares, and those that guards bring along."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self._schemes: Json = {name: dict(scheme) for name, scheme in declared.items()}
        self._used: dict[str, str] = {}

    def required(self, guards: Iterable[Any], where: str) -> list[Json]:
        """The Security Requirement Objects of a route inside ``guards``: each that has schemes must be satisfied."""
        found: list[Json] = [{}]
        for guard in guards:
            schemes: Mapping[str, Mapping[str, Any]] | None = getattr(guard, "openapi_security", None)
            if not schemes:
                continue
            for name, scheme in schemes.items():
                if self._schemes.setdefault(name, dict(scheme)) != dict(scheme):
                    raise SetupError(f"{where}: security scheme {name!r} is declared twice, differently")
            found = [{**each, name: []} for each in found for name in schemes]
        return found if found != [{}] else []

    def stated(self, wanted: Iterable[Requirement], where: str) -> list[Json]:
        """The Security Requirement Objects of an option: names, or names with the scopes that are needed."""
        found: list[Json] = [
            {one: []} if isinstance(one, str) else {name: list(scopes) for name, scopes in one.items()}
            for one in wanted
        ]
        for each in found:
            for name in each:
                self._used.setdefault(name, where)
        return found

    def document(self) -> Json:
        """The schemes by name, sorted.

        Raises:
            SetupError: an option names a scheme that nothing declares.
        """
        unknown = [
            f"{where}: security names {name!r}, which no scheme is called"
            for name, where in self._used.items()
            if name not in self._schemes
        ]
        if unknown:
            raise SetupError(unknown)
        return dict(sorted(self._schemes.items()))
