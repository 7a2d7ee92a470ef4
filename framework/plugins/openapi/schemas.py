"""JSON Schemas of types, by msgspec, with the named ones collected as components. It knows no HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

from framework.errors import SetupError

__all__ = ["Json", "Schemas", "builtin", "without_null"]

Json: TypeAlias = dict[str, Any]

_REF: Final = "#/components/schemas/"
# msgspec takes no empty schema for an answer; this is one by the time it leaves.
_ANYTHING: Final = "x-anything"


class Schemas:
    """The schemas of one document.

    ``of`` hands out an empty schema at once; ``fill`` makes all of them together, because only then msgspec can
    name the components so that no two types share a name.
    """

    def __init__(self) -> None:
        self._wanted: list[tuple[Any, Json]] = []
        self._later: list[Callable[[], None]] = []

    def of(self, type: Any) -> Json:
        """The schema of a type, written into the result by ``fill``."""
        schema: Json = {}
        self._wanted.append((type, schema))
        return schema

    def then(self, finish: Callable[[], None]) -> None:
        """Calls ``finish`` at the end of ``fill``, in the order given."""
        self._later.append(finish)

    def fill(self) -> Json:
        """Writes every schema and returns the components, sorted by name.

        Raises:
            SetupError: types that have no JSON Schema.
        """
        schemas, components = _generate([type for type, _ in self._wanted])
        names = _short_names(components)
        for (_, target), schema in zip(self._wanted, schemas, strict=True):
            target.update(_tidy(schema, names))
        for finish in self._later:
            finish()
        return {
            names[name]: _tidy(components[name], names) for name in sorted(components, key=names.__getitem__)
        }


def _generate(types: list[Any]) -> tuple[tuple[Json, ...], Json]:
    try:
        return msgspec.json.schema_components(types, schema_hook=_opaque, ref_template=_REF + "{name}")
    except KeyError as error:
        # msgspec names Page[a.Item] and Page[b.Item] alike and then misses the first.
        raise SetupError(
            f"no name for the schema of {error.args[0]}: another generic type is called the same; rename one"
        ) from error
    except TypeError as error:
        raise SetupError(f"a type without a JSON Schema: {error}") from error


def _opaque(kind: type) -> Json:
    """What is known of a type that msgspec does not know: nothing but its name."""
    return {_ANYTHING: True} if kind is object else {"title": kind.__name__}


def _short_names(components: Json) -> dict[str, str]:
    """Names without the underscores that stand for brackets and commas: ``Page_User_`` becomes ``Page_User``."""
    short = {name: re.sub(r"_{2,}", "_", name).strip("_") or name for name in components}
    taken = list(short.values())
    return {name: new if taken.count(new) == 1 else name for name, new in short.items()}


def _tidy(schema: Any, names: dict[str, str]) -> Any:
    """The schema with the components' short names, constants as such, and docstrings without indentation."""
    if _is_list(schema):
        return [_tidy(item, names) for item in schema]
    if not _is_object(schema):
        return schema
    tidy: Json = {}
    for key, value in schema.items():
        if key == "$ref":
            tidy[key] = _renamed(value, names)
        elif key == "discriminator":
            mapping = {str(tag): _renamed(ref, names) for tag, ref in value["mapping"].items()}
            tidy[key] = {**value, "mapping": dict(sorted(mapping.items()))}
        elif key == "enum" and len(value) == 1:
            tidy["const"] = value[0]
        elif key == "properties":
            tidy[key] = {name: _tidy(member, names) for name, member in value.items()}
        elif key == "default" and schema.get("uniqueItems"):
            tidy[key] = sorted(value, key=repr)
        elif key in ("default", "examples", "example", "const"):
            tidy[key] = value
        elif key == "description" and isinstance(value, str):
            tidy[key] = _cleaned(value)
        elif key != _ANYTHING and not (key == "required" and not value):
            tidy[key] = _tidy(value, names)
    return tidy


def _renamed(ref: str, names: dict[str, str]) -> str:
    return _REF + names[ref.removeprefix(_REF)]


def _cleaned(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    lines = rest.splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join([first, *(line[margin:].rstrip() for line in lines)])


def without_null(schema: Json) -> None:
    """Takes null out of a schema, in place: a parameter may be left out, but its text is never null."""
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    options = schema.get("anyOf")
    if options is None:
        return
    left = [option for option in options if option != {"type": "null"}]
    if len(left) == 1:
        del schema["anyOf"]
        schema.update({**left[0], **schema})
    else:
        schema["anyOf"] = left


def builtin(value: Any) -> Any:
    """A default as JSON has it; sets are sorted, so that two builds give the same document."""
    plain = msgspec.to_builtins(value, str_keys=True)
    return sorted(plain, key=repr) if isinstance(value, Set) and _is_list(plain) else plain


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_object(value: Any) -> TypeGuard[Json]:
    return isinstance(value, dict)
