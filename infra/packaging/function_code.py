"""The code asset of a function: its own folder, the parts of ``everloop`` it imports, and the declaration."""

from __future__ import annotations

from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.files import read_folder
from everloop.infra.packaging.imports import local_modules


def function_code(folder: Path, *, root: Path, declaration: bytes) -> dict[str, bytes]:
    """What stands at the task root of the function in ``folder``.

    Parameters
    ----------
    folder : Path
        ``functions/<name>``, with a ``handler.py``.
    root : Path
        Holds ``everloop/``.
    declaration : bytes
        The content of ``declaration.json``.

    Raises
    ------
    PackagingError
        When there is no handler, or it imports a module of ``everloop`` that is not there.
    """
    if not (folder / "handler.py").is_file():
        raise PackagingError(f"{folder / 'handler.py'}: no such file; a function's folder must have a handler.py")
    own = {name: data for name, data in read_folder(folder).items() if name.endswith(".py")}
    modules = local_modules([folder / name for name in own], root=root, package="everloop")
    shared = {path.as_posix(): (root / path).read_bytes() for path in modules}
    return {**own, **shared, "declaration.json": declaration}
