"""From what was typed to the app: ``module:app``, ``module:factory``, or a module that holds one app."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from framework.app.application import App
from framework.app.schema import near_miss
from framework.cli.failure import Failure, place_of, user_traceback
from framework.errors import SetupError

__all__ = ["Located", "locate"]

FACTORY = "create_app"


class Located(NamedTuple):
    """An app and the full spelling of where it was found, ``module:name``."""

    app: App
    name: str


def locate(text: str, folder: Path) -> Located:
    """The app that ``text`` names; ``folder`` is put in front of ``sys.path``.

    ``module:name`` names an app or a factory, a function that takes nothing and returns one; ``name`` may have
    dots. ``module`` alone stands for the only app in it, else for its ``create_app``; a package that has neither
    is looked for in its module ``app``.

    Raises:
        Failure: nothing of the sort is there, or the user's code raised; says what was looked for, and where.
    """
    module_name, colon, attribute = text.partition(":")
    _check_spelling(text, module_name, attribute if colon else None)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = _import(module_name, folder)
    if colon:
        return Located(_as_app(_attribute(module, attribute), text), text)
    return _only_app(module)


def _check_spelling(text: str, module: str, attribute: str | None) -> None:
    if "/" in text or "\\" in text or module.endswith(".py"):
        path = module.removesuffix(".py").replace("\\", "/").removeprefix("./")
        dotted = ".".join(part for part in path.split("/") if part.isidentifier())
        rest = "" if attribute is None else f":{attribute}"
        meant = f": write {dotted}{rest}" if dotted else ""
        raise Failure(f"{text} is a path; an app is named by its module{meant}")
    for part in (module, *([] if attribute is None else [attribute])):
        if not all(name.isidentifier() for name in part.split(".")):
            raise Failure(f"{text!r} names no app; write module:app, such as shop.web:app")


def _import(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise Failure(_not_there(error.name, folder)) from None
        raise _broken(f"importing {name}", error) from error
    except (Exception, SystemExit) as error:
        raise _broken(f"importing {name}", error) from error


def _not_there(name: str, folder: Path) -> str:
    parent, _, last = name.rpartition(".")
    package = sys.modules.get(parent)
    if not parent:
        names = [found.name for found in pkgutil.iter_modules([str(folder)])]
        return f"no module {name} in {folder} or elsewhere on sys.path{near_miss(name, names)}"
    if package is None or not hasattr(package, "__path__"):
        return f"no module {name}: {parent} is a module, not a package{_file_of(package)}"
    places = list(package.__path__)
    near = near_miss(last, [found.name for found in pkgutil.iter_modules(places)])
    return f"no module {last} in package {parent} ({', '.join(places)}){near}"


def _broken(doing: str, error: BaseException) -> Failure:
    if isinstance(error, SetupError):
        place = place_of(error)
        return Failure([f"{doing}: {problem}{f' ({place})' if place else ''}" for problem in error.problems])
    if isinstance(error, SystemExit):
        hint = 'keep what runs the program below `if __name__ == "__main__":`'
        return Failure(f"{doing} ended the program; {hint}", detail=user_traceback(error))
    return Failure(f"{doing} failed", detail=user_traceback(error))


def _attribute(module: ModuleType, path: str) -> object:
    value: object = module
    walked = module.__name__
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            near = near_miss(part, [name for name in dir(value) if not name.startswith("_")])
            where = _file_of(module) if value is module else ""
            raise Failure(f"no {part} in {walked}{where}{near}") from None
        walked += f".{part}"
    return value


def _only_app(module: ModuleType) -> Located:
    name = module.__name__
    apps: dict[int, tuple[str, App]] = {}
    for found, value in vars(module).items():
        if isinstance(value, App):
            apps.setdefault(id(value), (found, value))
    if len(apps) == 1:
        ((found, app),) = apps.values()
        return Located(app, f"{name}:{found}")
    if apps:
        names = ", ".join(f"{name}:{found}" for found, _ in apps.values())
        raise Failure(f"{name} holds several apps; say which: {names}")
    if callable(getattr(module, FACTORY, None)):
        return Located(_as_app(getattr(module, FACTORY), f"{name}:{FACTORY}"), f"{name}:{FACTORY}")
    if hasattr(module, "__path__") and find_spec(f"{name}.app") is not None:
        return _only_app(_import(f"{name}.app", Path()))
    raise Failure(f"no app and no {FACTORY}() in {name}{_file_of(module)}; name one as {name}:NAME")


def _as_app(value: Any, name: str) -> App:
    if isinstance(value, App):
        return value
    if not callable(value) or isinstance(value, type):
        raise Failure(f"{name} is {_described(value)}, neither an App nor a function that returns one")
    made = _call(value, name)
    if isinstance(made, App):
        return made
    if inspect.iscoroutine(made):
        made.close()
        raise Failure(f"{name} is a coroutine function; an app is made by a plain one")
    raise Failure(f"{name}() returned {_described(made)}, not an App")


def _call(factory: Callable[[], object], name: str) -> object:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise Failure(f"{name} cannot be called without arguments ({error}), so it makes no app") from None
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _broken(f"{name}()", error) from error


def _described(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    kind = type(value)
    return "None" if value is None else f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")


def _file_of(module: ModuleType | None) -> str:
    file = getattr(module, "__file__", None)
    return f" ({file})" if file else ""
