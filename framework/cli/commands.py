"""A function becomes a command: its parameters are arguments and options, or objects that the app provides."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import click
import msgspec

from framework.app.injection import injected_parameters, injecting
from framework.app.runtime import Runtime
from framework.app.schema import shape_of
from framework.app.secret import Secret
from framework.cli.failure import PROBLEMS, Failure, user_traceback
from framework.cli.fields import default_words, description_of, limits_of, parts_of
from framework.cli.flags import text_type
from framework.cli.paper import say
from framework.di import Container
from framework.errors import SetupError
from framework.net.loop import run as run_loop

__all__ = ["make_command"]

_REQUIRED = inspect.Parameter.empty


def make_command(
    name: str, function: Callable[..., Any], *, container: Container, runtime: Runtime
) -> click.Command:
    """The command of ``function``, called while the app runs: its lifespans entered, but nothing served.

    A parameter of a type that the container provides is injected. Of the others, one without a default is an
    argument (a list takes all that are left), one with a default an option, a bool a switch; their texts are
    converted to the annotated types. The docstring is the help.

    The function may be a coroutine function. Text that it returns is printed, an int is the exit code, None is
    nothing, and all else is printed as JSON.

    Raises:
        Failure: the signature cannot be a command's.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
        injected = injected_parameters(function, container)
    except (NameError, AttributeError, ValueError, TypeError) as error:
        raise Failure(f"command {name}: its signature cannot be read: {error}") from error
    asked = {key: one for key, one in signature.parameters.items() if key not in injected}
    for one in asked.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise Failure(f"command {name}: {one} cannot be given on a command line; name its parameters")

    def callback(**texts: Any) -> None:
        values = {key: _read(asked[key], text) for key, text in texts.items() if text not in (None, ())}
        call = _Call(name, function, signature, injected, values)
        _finish(run_loop(call.run(container, runtime)))

    params = [_param(one) for one in asked.values()]
    return click.Command(name, callback=callback, params=params, help=inspect.getdoc(function))


def _param(one: inspect.Parameter) -> click.Parameter:
    annotation = _annotation(one)
    doc, limits = description_of(annotation), limits_of(annotation)
    words = [doc, f"({limits})" if limits else ""]
    many = shape_of(annotation).array is not None
    kind = text_type(annotation)
    if one.default is _REQUIRED and one.kind is not one.KEYWORD_ONLY:
        text = " ".join(filter(None, words))
        return click.Argument([one.name], nargs=-1 if many else 1, required=True, type=kind, help=text)
    flag = one.name.replace("_", "-")
    words.append(f"[{default_words(msgspec.NODEFAULT if one.default is _REQUIRED else one.default)}]")
    is_switch = bool in parts_of(annotation) and not many
    return click.Option(
        [f"--{flag}/--no-{flag}" if is_switch else f"--{flag}", one.name],
        help=" ".join(filter(None, words)),
        required=one.default is _REQUIRED,
        default=None,
        multiple=many,
        type=bool if is_switch else kind,
    )


def _annotation(one: inspect.Parameter) -> Any:
    return str if one.annotation is _REQUIRED else one.annotation


def _read(one: inspect.Parameter, text: Any) -> Any:
    """The value of what was typed for a parameter."""
    annotation = _annotation(one)
    try:
        if isinstance(text, str) and shape_of(annotation).json:
            return msgspec.json.decode(text, type=annotation)
        return msgspec.convert(text, annotation, strict=False, dec_hook=_decode)
    except msgspec.MsgspecError as error:
        raise click.UsageError(f"{one.name}: {str(error).replace('`', '')}") from error


def _decode(kind: Any, value: object) -> object:
    if isinstance(value, str) and issubclass(kind, PurePath | Secret):
        return kind(value)
    raise NotImplementedError(f"a {kind.__name__} cannot be given on a command line")


class _Call(NamedTuple):
    """One call of a command's function."""

    name: str
    function: Callable[..., Any]
    signature: inspect.Signature
    injected: Mapping[str, Any]
    values: Mapping[str, Any]

    async def run(self, container: Container, runtime: Runtime) -> Any:
        """Starts the app, calls, ends the app."""
        try:
            async with runtime.running(), injecting(self.injected, container, self.name) as objects:
                given = OrderedDict(
                    (key, {**self.values, **objects}[key])
                    for key in self.signature.parameters
                    if key in self.values or key in objects
                )
                bound = inspect.BoundArguments(self.signature, given)
                result = self.function(*bound.args, **bound.kwargs)
                return await result if inspect.isawaitable(result) else result
        except SetupError as error:
            raise Failure(error.problems) from error
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            raise Failure(f"{self.name} failed", code=PROBLEMS, detail=user_traceback(error)) from error


def _finish(result: object) -> None:
    if isinstance(result, int) and not isinstance(result, bool):
        click.get_current_context().exit(result)
    if result is not None:
        say(result if isinstance(result, str) else msgspec.json.encode(result).decode())
