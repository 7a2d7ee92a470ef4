"""Compiles the leaves, every .pyx. Without Cython or a compiler the install succeeds and pure twins serve."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

LEAVES = sorted(Path("framework").rglob("*.pyx"))


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
            Extension(".".join(leaf.with_suffix("").parts), [str(leaf)], extra_compile_args=["-O3"])
            for leaf in LEAVES
        ],
        compiler_directives={"language_level": "3"},
    )
    for module in modules:
        # Where a compiler is absent or fails build_ext then warns and goes on. (cythonize() drops the flag.)
        module.optional = True
    return modules


setup(ext_modules=extensions())
