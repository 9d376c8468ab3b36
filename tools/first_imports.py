"""Imports every module of this repository's packages, so that what they need is compiled once and kept.

``python tools/first_imports.py everloop.infra localcloud``, with the environment's Python. Of all that is installed a
sixth is ever imported, and to compile the rest as well takes minutes of a processor. What is missing here is compiled
by whoever imports it first; several processes that begin at once would do so each for itself. What a function imports
when it is called is looked up in its text.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("__main__", "localcloud.core.preloaded.client")
"""They act when they are imported."""


def modules_of(package: str) -> Iterator[str]:
    """The names of a package and of all modules in it, but those of programs."""
    yield package
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith(PROGRAMS):
            yield module.name


def imported_later(text: str) -> Iterator[str]:
    """The modules that a module's functions import when they are called; ``text`` is the module's."""
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in ast.walk(function):
                if isinstance(statement, ast.Import):
                    yield from (alias.name for alias in statement.names)
                elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
                    yield statement.module


def import_all(package: str) -> None:
    """Import every module of a package; that of the stacks needs Node.js, as a synthesis does."""
    if package == "everloop.infra":
        from everloop.infra.node import start_node

        start_node()
    for name in modules_of(package):
        module = importlib.import_module(name)
        for later in imported_later(Path(module.__file__).read_text(encoding="utf-8") if module.__file__ else ""):
            importlib.import_module(later)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        import_all(wanted)
