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
from framework.asgi.loading import as_application, describe, looks_like_asgi
from framework.asgi.types import ASGIApp
from framework.cli.failure import Failure, place_of, user_traceback
from framework.errors import SetupError

__all__ = ["Located", "LocatedASGI", "locate", "locate_asgi"]

FACTORY = "create_app"
USUAL = ("app", "application", "asgi", "api")


class Located(NamedTuple):
    """An app and the full spelling of where it was found, ``module:name``."""

    app: App
    name: str


class LocatedASGI(NamedTuple):
    """An ASGI application of another framework, and the full spelling of where it was found."""

    app: ASGIApp
    name: str


def locate(text: str, folder: Path) -> Located:
    """The app that ``text`` names; ``folder`` is put in front of ``sys.path``.

    ``module:name`` names an app or a factory, a function that takes nothing and returns one; ``name`` may have
    dots. ``module`` alone stands for the only app in it, else for its ``create_app``; a package that has neither
    is looked for in its module ``app``.

    Raises:
        Failure: nothing of the sort is there, or the user's code raised; says what was looked for, and where.
    """
    module, attribute = _module_of(text, folder)
    if attribute is not None:
        return Located(_as_app(_attribute(module, attribute), text), text)
    return _only_app(module)


def locate_asgi(text: str, folder: Path) -> LocatedASGI:
    """The ASGI application that ``text`` names, spelled as for ``locate``.

    ``module`` alone stands for its ``app``, ``application``, ``asgi`` or ``api``, else for its ``create_app``.

    Raises:
        Failure: as ``locate``; or it is an App, which is served without ``--asgi``.
    """
    module, attribute = _module_of(text, folder)
    name = text
    if attribute is None:
        attribute = next((each for each in (*USUAL, FACTORY) if callable(getattr(module, each, None))), None)
        if attribute is None:
            usual = ", ".join((*USUAL, FACTORY))
            raise Failure(
                f"none of {usual} is in {module.__name__}{_file_of(module)}; name one as {text}:NAME"
            )
        name = f"{text}:{attribute}"
    found = _attribute(module, attribute)
    if isinstance(found, App):
        raise Failure(f"{name} is an App of this framework: serve it without --asgi")
    try:
        return LocatedASGI(as_application(found, name), name)
    except SetupError as error:
        raise Failure(error.problems) from error
    except (Exception, SystemExit) as error:
        raise _broken(f"{name}()", error) from error


def _module_of(text: str, folder: Path) -> tuple[ModuleType, str | None]:
    """The module that ``text`` names, and the attribute if it names one."""
    module_name, colon, attribute = text.partition(":")
    _check_spelling(text, module_name, attribute if colon else None)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return _import(module_name, folder), attribute if colon else None


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
        problems = [f"{doing}: {problem}{f' ({place})' if place else ''}" for problem in error.problems]
        return Failure(problems, mendable=True)
    if isinstance(error, SystemExit):
        hint = 'keep what runs the program below `if __name__ == "__main__":`'
        return Failure(f"{doing} ended the program; {hint}", detail=user_traceback(error), mendable=True)
    return Failure(f"{doing} failed", detail=user_traceback(error), mendable=True)


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
    for usual in USUAL:
        if _is_foreign(getattr(module, usual, None)):
            raise Failure(_foreign(f"{name}:{usual}", getattr(module, usual)))
    raise Failure(f"no app and no {FACTORY}() in {name}{_file_of(module)}; name one as {name}:NAME")


def _as_app(value: Any, name: str) -> App:
    if isinstance(value, App):
        return value
    if _is_foreign(value):
        raise Failure(_foreign(name, value))
    if not callable(value) or isinstance(value, type):
        raise Failure(f"{name} is {describe(value)}, neither an App nor a function that returns one")
    made = _call(value, name)
    if isinstance(made, App):
        return made
    if _is_foreign(made):
        raise Failure(_foreign(name, made))
    if inspect.iscoroutine(made):
        made.close()
        raise Failure(f"{name} is a coroutine function; an app is made by a plain one")
    raise Failure(f"{name}() returned {describe(made)}, not an App")


def _call(factory: Callable[[], object], name: str) -> object:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise Failure(f"{name} cannot be called without arguments ({error}), so it makes no app") from None
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _broken(f"{name}()", error) from error


def _is_foreign(value: object) -> bool:
    """Whether it is an ASGI application that is none of ours."""
    return not isinstance(value, App) and looks_like_asgi(value)


def _foreign(name: str, value: object) -> str:
    what = describe(value)
    return f"{name} is {what}, an ASGI application and no App: `framework run --asgi {name}` serves it"


def _file_of(module: ModuleType | None) -> str:
    file = getattr(module, "__file__", None)
    return f" ({file})" if file else ""
