"""Finds the implementations that a file has a seam load (:mod:`everloop.seams`): no statement imports them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.statements import statements

SEAM = "Seam"
ONLY_NAMES = frozenset({"names", "registered"})
"""What is asked of a seam without loading anything: so the declaration's schema does."""


def loaded_modules(tree: ast.Module, *, file: str, package: str, root: Path) -> set[str]:
    """The dotted names of the implementations that may be loaded through the seams a file uses.

    Parameters
    ----------
    tree : ast.Module
        The file's.
    package : str
        Its own package.
    root : Path
        Where packages are found.

    Raises
    ------
    PackagingError
        Where a seam's names are not written out.
    """
    sources = _imported_from(tree) | {name: (package, name) for name in _registrations(tree, file)}
    seams: dict[str, set[str]] = {}
    for known_as, (home, name) in sources.items():
        place = root.joinpath(*home.split("."), "__init__.py")
        if place.is_file():
            registered = _registrations_of(place.read_text(encoding="utf-8"), str(place)).get(name, ())
            seams[known_as] = {f"{home}.{implementation}" for implementation in registered}
    # Most files use no seam, and what each name is used for is then nothing to look for.
    used = _used(tree) if any(seams.values()) else set()
    return {implementation for name in used & set(seams) for implementation in seams[name]}


def _imported_from(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """The package and the name there of each imported name, by what it is called here."""
    nodes = (node for node in statements(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level)
    return {alias.asname or alias.name: (str(node.module), alias.name) for node in nodes for alias in node.names}


def _used(tree: ast.Module) -> set[str]:
    """The names that are used otherwise than to ask for what is registered."""
    asked = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in ONLY_NAMES
    }
    loads = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return {node.id for node in loads if id(node) not in asked}


@cache
def _registrations_of(source: str, file: str) -> dict[str, tuple[str, ...]]:
    return _registrations(ast.parse(source, filename=file), file)


def _registrations(tree: ast.Module, file: str) -> dict[str, tuple[str, ...]]:
    """The seams that a module makes, each with the names that it registers."""
    return {name: _written_out(seam, file) for name, seam in _seams(tree)}


def _seams(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        made = node.value
        if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id == SEAM:
            yield from ((target.id, made) for target in targets if isinstance(target, ast.Name))


def _written_out(seam: ast.Call, file: str) -> tuple[str, ...]:
    # Before them stand the package, what one of them is called, and the attribute.
    names = [argument.value if isinstance(argument, ast.Constant) else None for argument in seam.args[3:]]
    if not names or not all(isinstance(name, str) for name in names):
        raise PackagingError(
            f"{file}:{seam.lineno}: write the names of the seam as literals, or its implementations can't be packaged"
        )
    return tuple(map(str, names))
