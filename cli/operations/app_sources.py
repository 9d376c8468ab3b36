"""What a project's ``app.py`` is made of: the files of the project that it imports or names, and theirs in turn.

It is read off the code, without running it. Too much is no harm, since that only synthesizes once more; too little
would deploy what is no longer there. So a folder counts whole from which anything is imported, or that a text in the
code names: ``Code.from_asset("ours/lambda")``, ``Path(__file__).parent / "queries"``, ``import_module("ours.stacks")``.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

APP = "app.py"

MADE = frozenset({"cdk.out", "node_modules", "out", "venv"})
"""Folders of a project that are made, and no part of the app; nor is one whose name begins with a dot."""

CACHES = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
"""Folders that are no part of anything."""

LONGEST_PATH = 1024
"""Characters; no longer text is taken for a path."""

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class AppSources:
    """What the app is made of, besides what is installed.

    Attributes
    ----------
    files : mapping
        Files of the project, by their paths relative to it.
    variables : mapping
        The environment variables that the code names, by their names; None where one is not set.
    """

    files: Mapping[str, Path]
    variables: Mapping[str, str | None]


def app_sources(project: Path, *, without: Iterable[Path] = (), environment: Mapping[str, str]) -> AppSources:
    """Follow ``app.py`` through the project.

    Parameters
    ----------
    project : Path
        The project's folder.
    without : iterable of Path
        Folders that are looked after elsewhere.
    """
    project = Path(os.path.abspath(project))
    apart = {path.resolve() for path in without}
    files: dict[str, Path] = {}
    variables: set[str] = set()
    waiting = [project / APP]
    while waiting:
        path = waiting.pop()
        if not _is_source(path, project, apart):
            continue
        for file in _files_of(path):
            name = Path(os.path.relpath(file, project)).as_posix()
            if name in files:
                continue
            files[name] = file
            if file.suffix == ".py":
                texts, modules = _told(file)
                variables.update(filter(_VARIABLE.fullmatch, texts))
                waiting += _modules(project, modules | set(filter(_MODULE.fullmatch, texts)))
                waiting += _paths((project, file.parent), texts)
    return AppSources(files, {name: environment.get(name) for name in sorted(variables)})


def _is_source(path: Path, project: Path, apart: set[Path]) -> bool:
    """Whether a path lies in the project and is neither made, hidden, nor looked after elsewhere."""
    path = Path(os.path.normpath(path))
    if path == project or not path.is_relative_to(project) or not path.exists():
        return False
    within = path.relative_to(project)
    top = within.parts[0]
    if CACHES.intersection(within.parts) or ((project / top).is_dir() and (top in MADE or top.startswith("."))):
        return False
    return not any(folder.resolve() in apart for folder in (path, *path.parents))


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in CACHES)
        files = (Path(folder, name) for name in sorted(names) if not name.endswith(".pyc"))
        yield from (file for file in files if file.is_file())


def _told(file: Path) -> tuple[set[str], set[str]]:
    """The texts that stand in a module, and the modules that it imports; of one that is no Python neither."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set(), set()
    texts: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
    return texts, modules


def _modules(project: Path, names: set[str]) -> Iterator[Path]:
    """Where these modules would be in the project; a package counts whole."""
    for top in sorted({name.partition(".")[0] for name in names}):
        yield project / top
        yield project / f"{top}.py"


def _paths(folders: Iterable[Path], texts: set[str]) -> Iterator[Path]:
    for text in sorted(texts):
        if text and len(text) <= LONGEST_PATH and "\0" not in text:
            yield from (Path(os.path.normpath(folder / text)) for folder in folders)
