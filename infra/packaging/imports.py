"""Finds out what a file imports, so that an asset ships only that."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.seam_modules import loaded_modules


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


def local_modules(entries: Iterable[Path], *, root: Path, package: str) -> list[Path]:
    """The files of ``package`` (a folder of ``root``) that ``entries`` import, directly or through each other.

    What a seam loads by a name counts as imported by who uses the seam.

    Returns
    -------
    list of Path
        Relative to ``root``, sorted; with the ``__init__.py`` of every package on the way.

    Raises
    ------
    PackagingError
        For a module that is imported and not there.
    """
    found: set[Path] = set()
    waiting = [(path, "") for path in entries]
    while waiting:
        path, parent = waiting.pop()
        names = _names_in(path.read_text(encoding="utf-8"), str(path), parent, root)
        for name in sorted(n for n in names if n.split(".")[0] == package):
            for file in _files_of(name, root, importer=path):
                if file not in found:
                    found.add(file)
                    waiting.append((root / file, ".".join(file.parent.parts)))
    return sorted(found)


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
            waiting.extend(ast.iter_child_nodes(node))


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
