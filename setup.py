"""Builds the compiled leaves where it can; without a compiler the pure twins serve and the install still succeeds."""

import os

from setuptools import Extension, setup

LEAVES = {"framework.wire._leaves": "framework/wire/_leaves.pyx"}


def extensions() -> list[Extension]:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        return []
    from Cython.Build import cythonize

    modules = [
        Extension(name, [source], optional=True, extra_compile_args=["-O3"]) for name, source in LEAVES.items()
    ]
    return list(cythonize(modules, compiler_directives={"language_level": "3"}))


setup(ext_modules=extensions())
