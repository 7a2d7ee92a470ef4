"""Settings as flags: one option for each field of a section's type, handed on as text by its dotted key.

The settings' own loader reads and checks the texts, so that a flag, a variable and a file are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
import msgspec

from framework.app.schema import shape_of
from framework.cli.fields import Field, default_words, fields_of, only_struct, parts_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["SettingOption", "Text", "read_flags", "setting_options", "text_type"]


class Text(click.ParamType[str]):
    """Any text; knows what to call it and what completes it.

    Args:
        name: shown in help, in upper case.
        choices: texts that complete it; others are taken too, for whoever reads it to refuse.
        is_path: files complete it.
    """

    def __init__(self, name: str, choices: Sequence[object] = (), *, is_path: bool = False) -> None:
        self.name = name
        self._choices = [str(choice) for choice in choices]
        self._is_path = is_path

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return f"[{'|'.join(self._choices)}]" if self._choices else None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The choices that begin with ``incomplete``, or the word that tells the shell to list files."""
        from click.shell_completion import CompletionItem

        if self._is_path:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(choice) for choice in self._choices if choice.startswith(incomplete)]


def text_type(annotation: Any) -> Text:
    """How text for an annotated value is called and completed."""
    shape = shape_of(annotation)
    if shape.choices:
        return Text("choice", shape.choices)
    if shape.structs or shape.mapping:
        return Text("json")
    kinds = parts_of(annotation)
    if any(isinstance(kind, type) and issubclass(kind, PurePath) for kind in kinds):
        return Text("path", is_path=True)
    return Text("integer" if int in kinds else "number" if float in kinds else "text")


class SettingOption(click.Option):
    """The option of one setting.

    Args:
        key: the dotted key, ``server.port``.
        field: what is known of it.
    """

    def __init__(self, key: str, field: Field) -> None:
        self.key = key
        kinds = parts_of(field.type)
        self._is_array = shape_of(field.type).array is not None
        self._is_quoted = not {int, float, bool}.intersection(kinds)
        is_switch = bool in kinds and not self._is_array
        flag = key.partition(".")[2].replace(".", "-").replace("_", "-")
        facts = "; ".join(filter(None, (default_words(field.default), field.limits)))
        super().__init__(
            [f"--{flag}/--no-{flag}" if is_switch else f"--{flag}", key.replace(".", "_")],
            help=f"{field.doc}  [{facts}]".lstrip(),
            default=None,
            multiple=self._is_array,
            type=bool if is_switch else text_type(field.type),
        )

    def text_of(self, value: Any) -> str:
        """What was typed, as the loader reads it: an array as JSON."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not self._is_array:
            return str(value)
        items: Sequence[str] = value
        if len(items) == 1 and items[0].lstrip().startswith("["):
            return items[0]
        return msgspec.json.encode(items).decode() if self._is_quoted else f"[{','.join(items)}]"


def setting_options(section: str, kind: type[msgspec.Struct]) -> list[SettingOption]:
    """An option for each field of ``kind``; a Struct within it gives one for each of its own: ``--limits-head``."""
    options: list[SettingOption] = []
    for field in fields_of(kind):
        key = f"{section}.{field.name}"
        inner = only_struct(field.type)
        options += [SettingOption(key, field)] if inner is None else setting_options(key, inner)
    return options


def read_flags(
    options: Iterable[SettingOption], values: Mapping[str, Any], assignments: Iterable[str]
) -> dict[str, str]:
    """The texts by dotted key, for ``App.build``.

    Args:
        options: the settings that have options of their own.
        values: what click read for them, by parameter name.
        assignments: ``section.key=value`` each, from ``--set``.

    Raises:
        click.UsageError: an assignment without ``=``, or one key set twice.
    """
    flags: dict[str, str] = {}
    for option in options:
        value = values.get(option.name or "")
        if value not in (None, ()):
            flags[option.key] = option.text_of(value)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise click.UsageError(f"--set {assignment}: expected section.key=value")
        twin = next((known for known in flags if _same(known, key)), None)
        if twin is not None:
            raise click.UsageError(f"{key} is set twice: to {flags[twin]} and to {text}")
        flags[key] = text
    return flags


def _same(one: str, other: str) -> bool:
    return one.replace("-", "_") == other.replace("-", "_")
