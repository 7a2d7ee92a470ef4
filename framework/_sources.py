"""All of the package compiled, or all of it from source; never half of each."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path

__all__ = ["prefer_sources"]


def prefer_sources() -> None:
    """With FRAMEWORK_PURE=1, or where a leaf was not compiled, makes this package's imports prefer .py files.

    The compiled core is made of the same .py files as runs otherwise (each with a .pxd beside it), so which of the two
    is found decides nothing but speed. No import of anything else is touched.
    """
    if os.environ.get("FRAMEWORK_PURE") != "1" and _has_leaves():
        return
    package = Path(__file__).parent
    for folder in (package, *(path.parent for path in package.rglob("__init__.py"))):
        sys.path_importer_cache[str(folder)] = FileFinder(
            str(folder), (SourceFileLoader, [".py"]), (ExtensionFileLoader, EXTENSION_SUFFIXES)
        )


def _has_leaves() -> bool:
    try:
        for leaf in ("_encode", "_head", "_request", "_response"):
            import_module(f"framework.wire.{leaf}")
    except ImportError:
        return False
    return True
