"""Finds out what a file imports, so that an asset ships only that."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.seam_modules import loaded_modules
from everloop.infra.packaging.statements import inner_statements


def imported_names(source: str, *, file: str = "<source>", package: str = "") -> set[str]:
    """The dotted names that ``source`` may import, lazily or not.

    ``from a import b`` yields ``a`` and ``a.b``, because ``b`` may be a module. Relative imports are resolved
    against ``package``. Imports under ``if TYPE_CHECKING`` never run and are left out.
    """
    return _imported(_parsed(source, file), package)


def _parsed(source: str, file: str) -> ast.Module:
    try:
        return ast.parse(source, filename=file)
    except SyntaxError as error:
        raise PackagingError(f"{file}:{error.lineno}: {error.msg}; it can't be packaged") from error


def _imported(tree: ast.Module, package: str) -> set[str]:
    names: set[str] = set()
    for node in _running(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


class LocalModules:
    """Finds the files of ``package`` (a folder of ``root``) that others import.

    Each name is looked for once, and a file read again only if it changed: use one while no file comes or goes.
    """

    def __init__(self, root: Path, package: str) -> None:
        self._root, self._package = root, package
        self._imported: dict[tuple[Path, str, int, int], frozenset[Path]] = {}
        self._files: dict[str, list[Path]] = {}

    def of(self, entries: Iterable[Path]) -> list[Path]:
        """Those that ``entries`` import, directly or through each other.

        What a seam loads by a name counts as imported by who uses the seam.

        Returns
        -------
        list of Path
            Relative to the root, sorted; with the ``__init__.py`` of every package on the way.

        Raises
        ------
        PackagingError
            For a module that is imported and not there.
        """
        found: set[Path] = set()
        waiting = [(path, "") for path in entries]
        while waiting:
            path, parent = waiting.pop()
            for file in self._imported_by(path, parent) - found:
                found.add(file)
                waiting.append((self._root / file, ".".join(file.parent.parts)))
        return sorted(found)

    def _imported_by(self, path: Path, parent: str) -> frozenset[Path]:
        now = path.stat()
        known = (path, parent, now.st_mtime_ns, now.st_size)
        if known not in self._imported:
            names = _names_in(path.read_text(encoding="utf-8"), str(path), parent, self._root)
            ours = sorted(name for name in names if name.split(".")[0] == self._package)
            files = (file for name in ours for file in self._files_of(name, importer=path))
            self._imported[known] = frozenset(files)
        return self._imported[known]

    def _files_of(self, name: str, *, importer: Path) -> list[Path]:
        if name not in self._files:
            self._files[name] = _files_of(name, self._root, importer=importer)
        return self._files[name]


@cache
def modules_of(root: Path, package: str) -> LocalModules:
    """The one of an installed package: none of its files comes or goes while a process runs."""
    return LocalModules(root, package)


def local_modules(entries: Iterable[Path], *, root: Path, package: str) -> list[Path]:
    """:meth:`LocalModules.of`, of files as they are now."""
    return LocalModules(root, package).of(entries)


@cache
def _names_in(source: str, file: str, package: str, root: Path) -> frozenset[str]:
    """:func:`imported_names` and what seams load, kept: most modules are reached from many entries."""
    tree = _parsed(source, file)
    return frozenset(_imported(tree, package) | loaded_modules(tree, file=file, package=package, root=root))


def _running(tree: ast.AST) -> Iterable[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(inner_statements(node))


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _files_of(name: str, root: Path, *, importer: Path) -> list[Path]:
    """The files that ``import name`` runs; the last part may be an attribute of the module before it."""
    files: list[Path] = []
    folder = Path()
    parts = name.split(".")
    for index, part in enumerate(parts):
        module, init = folder / f"{part}.py", folder / part / "__init__.py"
        if (root / init).is_file():
            files.append(init)
            folder = folder / part
        elif (root / module).is_file():
            return [*files, module]
        elif index and index == len(parts) - 1:
            return files
        else:
            raise PackagingError(f"{importer}: imports {name!r}, and {root / folder / part} is not there")
    return files
