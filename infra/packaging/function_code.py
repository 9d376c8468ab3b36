"""The code asset of a function: its own folder, the parts of ``everloop`` it imports, and the declaration."""

from __future__ import annotations

from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.files import read_folder
from everloop.infra.packaging.imports import LocalModules

SHARED = "everloop"
"""The package of which each function has the parts that it imports."""


def function_code(
    folder: Path, *, root: Path, declaration: bytes, modules: LocalModules | None = None
) -> dict[str, bytes]:
    """What stands at the task root of the function in ``folder``.

    Parameters
    ----------
    folder : Path
        ``functions/<name>``, with a ``handler.py``.
    root : Path
        Holds ``everloop/``.
    declaration : bytes
        The content of ``declaration.json``.
    modules : LocalModules, optional
        What finds the parts of ``everloop`` below ``root``; several functions may share one.

    Raises
    ------
    PackagingError
        When there is no handler, or it imports a module of ``everloop`` that is not there.
    """
    if not (folder / "handler.py").is_file():
        raise PackagingError(f"{folder / 'handler.py'}: no such file; a function's folder must have a handler.py")
    own = {name: data for name, data in read_folder(folder).items() if name.endswith(".py")}
    found = (modules or LocalModules(root, SHARED)).of(folder / name for name in own)
    shared = {path.as_posix(): (root / path).read_bytes() for path in found}
    return {**own, **shared, "declaration.json": declaration}
