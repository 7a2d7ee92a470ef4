"""The OpenAPI 3.1 document of an app. A pure function of its routes: the same app gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from framework.app.built import BuiltRoute
from framework.errors import SetupError
from framework.plugins.openapi.requests import describe_body, describe_parameters
from framework.plugins.openapi.responses import describe_responses
from framework.plugins.openapi.schemas import Json, Schemas
from framework.plugins.openapi.security import Requirement, SecuritySchemes, guards_of, responses_around
from framework.plugins.openapi.templates import path_of, server_of, shape_of
from framework.plugins.openapi.texts import described, operation_ids

__all__ = ["About", "build_document"]

# HEAD goes with GET and OPTIONS with every path: they are left out.
_METHODS: Final = ("get", "put", "post", "delete", "patch", "trace")
_LEFT_OUT: Final = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the routes do not tell.

    Args:
        title: of the API.
        version: of the API, not of OpenAPI.
        description: CommonMark.
        info: further members of the Info Object: ``contact``, ``license``, ``termsOfService``.
        servers: where the API is, as URLs or Server Objects; the host that serves the document when empty.
        tags: descriptions of tags.
        security_schemes: Security Scheme Objects by name.
        security: what every operation needs that says nothing else.
    """

    title: str
    version: str
    description: str = ""
    info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    servers: Sequence[str | Mapping[str, Any]] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    security_schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    security: Sequence[Requirement] = ()


def build_document(routes: Sequence[BuiltRoute], about: About) -> Json:
    """The document of the routes that are not left out of it; those of WebSockets are, because OpenAPI has no word
    for them.

    Raises:
        SetupError: what cannot be described: a type without a schema, an unknown security scheme, two operations
            with one id.
    """
    return _Document(about).build(
        [
            each
            for each in routes
            if each.record.websocket is None and each.record.options.get("include_in_schema", True)
        ]
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One operation and where it belongs."""

    route: BuiltRoute
    method: str
    operation: Json

    @property
    def place(self) -> str:
        host = self.route.host.text if self.route.host is not None else ""
        return host + path_of(self.route.pattern)


class _Document:
    def __init__(self, about: About) -> None:
        self._about = about
        self._schemas = Schemas()
        self._security = SecuritySchemes(about.security_schemes)

    def build(self, routes: Sequence[BuiltRoute]) -> Json:
        about = self._about
        everywhere = self._security.stated(about.security, "OpenAPI(security=...)")
        entries = self._entries(routes)
        paths, overlapping = _arranged(entries)
        info: Json = {"title": about.title, "version": about.version}
        if about.description:
            info["description"] = about.description
        document: Json = {"openapi": "3.1.1", "info": {**info, **dict(sorted(about.info.items()))}}
        if about.servers:
            document["servers"] = [
                {"url": one} if isinstance(one, str) else dict(one) for one in about.servers
            ]
        components: Json = {"schemas": self._schemas.fill(), "securitySchemes": self._security.document()}
        document |= {
            "security": everywhere,
            "tags": _tags(entries, about.tags),
            "paths": paths,
            "x-overlapping-paths": overlapping,
            "components": {name: members for name, members in components.items() if members},
        }
        return {name: value for name, value in document.items() if value or name == "paths"}

    def _entries(self, routes: Sequence[BuiltRoute]) -> list[_Entry]:
        entries: list[_Entry] = []
        problems: list[str] = []
        for route in routes:
            for method in sorted(set(route.record.methods) - _LEFT_OUT):
                try:
                    entries.append(_Entry(route, method.lower(), self._operation(route)))
                except SetupError as error:
                    problems += error.problems
        if problems:
            raise SetupError(list(dict.fromkeys(problems)))
        wanted = [
            (
                each.route.record.options.get("operation_id"),
                each.route.record.handler,
                each.method,
                each.place,
            )
            for each in entries
        ]
        for each, id in zip(entries, operation_ids(wanted), strict=True):
            each.operation["operationId"] = id
        return entries

    def _operation(self, route: BuiltRoute) -> Json:
        options = route.record.options
        summary, description = described(route.record.handler)
        guards = guards_of(route)
        operation: Json = {
            "tags": _tags_of(route),
            "summary": options.get("summary", summary),
            "description": options.get("description", description),
            "operationId": "",
            "deprecated": options.get("deprecated", False),
            "parameters": describe_parameters(route, self._schemas),
        }
        body = describe_body(route, self._schemas)
        if body is not None:
            operation["requestBody"] = body
        operation["responses"] = describe_responses(route, responses_around(guards), self._schemas)
        operation = {name: value for name, value in operation.items() if value or name == "operationId"}
        required = self._security.required(guards, route.record.where)
        if "security" in options:
            operation["security"] = self._security.stated(options["security"], route.record.where)
        elif required:
            operation["security"] = required
        if route.host is not None:
            operation["servers"] = [server_of(route.host)]
        return operation


def _arranged(entries: Sequence[_Entry]) -> tuple[Json, list[Json]]:
    """The Paths Object, and what it cannot hold.

    To OpenAPI ``/{a}`` and ``/{b}`` are one path, whatever their converters, and hosts do not count. Routes of one
    shape share a path, under the names of the first; where their methods meet too, only the first has its place.
    """
    shapes: dict[str, tuple[BuiltRoute, Json]] = {}
    overlapping: list[Json] = []
    for entry in sorted(entries, key=lambda one: one.route.host is not None):
        first, item = shapes.setdefault(shape_of(entry.route.pattern), (entry.route, {}))
        if entry.method in item or entry.method not in _METHODS:
            path = path_of(entry.route.pattern)
            overlapping.append({"path": path, "method": entry.method, "operation": entry.operation})
        else:
            item[entry.method] = _renamed(entry.operation, entry.route, first)
    paths = {path_of(first.pattern): item for first, item in shapes.values() if item}
    ordered = {
        path: {method: paths[path][method] for method in _METHODS if method in paths[path]}
        for path in sorted(paths)
    }
    return ordered, sorted(
        overlapping, key=lambda one: (one["path"], one["method"], one["operation"]["operationId"])
    )


def _renamed(operation: Json, route: BuiltRoute, first: BuiltRoute) -> Json:
    """The operation with the path parameters called as the first route of its shape calls them."""
    ours, theirs = route.pattern.params, first.pattern.params
    names = {own.name: its.name for own, its in zip(ours, theirs, strict=True)}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["name"] = names[parameter["name"]]
    return operation


def _tags_of(route: BuiltRoute) -> list[str]:
    """The route's own, else its groups', else the last name in the prefix that it is below."""
    stated = tuple(route.record.options.get("tags", route.record.owner.tags))
    if stated or "tags" in route.record.options:
        return list(dict.fromkeys(stated))
    for prefix in (route.record.owner.prefix, route.prefix):
        names = [part for part in prefix.split("/") if part and "{" not in part]
        if names:
            return names[-1:]
    return []


def _tags(entries: Sequence[_Entry], descriptions: Mapping[str, str]) -> list[Json]:
    used = {tag for entry in entries for tag in entry.operation.get("tags", ())}
    return [
        {"name": tag, "description": descriptions[tag]} if tag in descriptions else {"name": tag}
        for tag in sorted(used)
    ]
