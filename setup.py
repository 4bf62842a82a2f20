"""Builds the Cython core; everything else about the distribution stands in pyproject.toml.

The core is ONE extension, ``prbkit._speedups._core``: its parts are small ``.pyx`` files that
``_core.pyx`` includes as text, so that cdef calls between them inline. No C file is committed.

PRBKIT_DEBUG=1 builds with bounds checks, Cython assertions and symbols. PRBKIT_CFLAGS adds
compiler flags (a sanitizer, say).
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.build_ext import build_ext

CACHES = ["*__pycache__*"]
HERE = Path(__file__).parent
SPEEDUPS = Path("prbkit/_speedups")
DEBUG = os.environ.get("PRBKIT_DEBUG", "") not in ("", "0")


class BuildCore(build_ext):
    """Cythonizes late, so that ``--help`` and metadata commands need no Cython."""

    def finalize_options(self) -> None:
        if not getattr(self, "_cythonized", False):
            from Cython.Build import cythonize

            self.distribution.ext_modules[:] = cythonize(
                self.distribution.ext_modules,
                compiler_directives=_directives(),
                build_dir="build/cython",
                annotate=DEBUG,
            )
            self._cythonized = True
        super().finalize_options()


def _directives() -> dict[str, Any]:
    return {
        "language_level": "3str",
        "binding": True,
        "embedsignature": True,
        "boundscheck": DEBUG,
        "wraparound": False,
        "initializedcheck": DEBUG,
        "cdivision": True,
        "freethreading_compatible": False,
    }


def _core() -> Extension:
    parts = sorted(str(p.relative_to(HERE)) for p in (HERE / SPEEDUPS).glob("*.p[yx][xdi]"))
    headers = sorted(str(p.relative_to(HERE)) for p in (HERE / SPEEDUPS).glob("*.h"))
    flags = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]
    return Extension(
        "prbkit._speedups._core",
        sources=[str(SPEEDUPS / "_core.pyx")],
        depends=[p for p in parts if not p.endswith("_core.pyx")] + headers,
        include_dirs=[str(SPEEDUPS)],
        extra_compile_args=[
            *flags,
            "-fno-strict-aliasing",
            *shlex.split(os.environ.get("PRBKIT_CFLAGS", "")),
        ],
        extra_link_args=shlex.split(os.environ.get("PRBKIT_LDFLAGS", "")),
        define_macros=[] if DEBUG else [("CYTHON_WITHOUT_ASSERTIONS", "1")],
    )


setup(
    # Folders of data alone (protos, static) count as packages too.
    packages=[
        *find_namespace_packages(include=["prbkit", "prbkit.*"], exclude=CACHES),
        "prbkit_plugins",
        *(f"prbkit_plugins.{name}" for name in find_namespace_packages("plugins", exclude=CACHES)),
    ],
    package_dir={"prbkit": "prbkit", "prbkit_plugins": "plugins"},
    package_data={
        "prbkit": [
            "py.typed",
            "*.pyi",
            "_speedups/*.pyi",
            "_speedups/*.pxd",
            "wire/*.pyi",
            "wire/*.binpb",
            "wire/protos/*.proto",
            "wire/protos/prb/*.proto",
        ],
        "prbkit_plugins": ["py.typed", "*/static/*"],
    },
    ext_modules=[_core()],
    cmdclass={"build_ext": BuildCore},
)
