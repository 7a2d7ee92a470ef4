"""Compiles the leaves (every .pyx) and the core (every .py with a .pxd beside it), where that can be done.

Without Cython or a compiler the install succeeds: pure-Python twins serve, and the core runs as it is written.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

LEAVES = sorted(Path("framework").rglob("*.pyx"))
CORE = sorted(path for path in Path("framework").rglob("*.py") if path.with_suffix(".pxd").exists())


def extensions() -> list[Extension]:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        sys.stderr.write("framework: no Cython, so the pure-Python twins of the leaves will serve\n")
        return []
    modules: list[Extension] = cythonize(
        [
            Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=["-O3", "-w"])
            for path in (*LEAVES, *CORE)
        ],
        # What the core's annotations say is not turned into C types; its .pxd alone does that.
        compiler_directives={"language_level": "3", "annotation_typing": False},
    )
    for module in modules:
        # Where a compiler is absent or fails build_ext then warns and goes on. (cythonize() drops the flag.)
        module.optional = True
    return modules


# One compiler for each core: there are some dozens of modules, and a user waits for them.
setup(ext_modules=extensions(), options={"build_ext": {"parallel": os.cpu_count() or 1}})
