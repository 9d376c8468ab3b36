"""Compiled caches for the runtime's Python: without them a function starts two to four times as slowly.

They ride along and are not part of what an asset is: its hash is that of the sources (:mod:`.files`). So two people
deploy the same, whether or not they have the runtime's Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.files import Contents


@lru_cache(maxsize=4)
def interpreter(version: str) -> str | None:
    """A Python of exactly this minor version on this machine, or None.

    It is started once to make sure: version managers put names on the PATH that do not run.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return next((python for python in candidates(version, os.environ) if _is(python, version)), None)


def candidates(version: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Where a Python of this minor version may be: on the PATH, and in the folders of pyenv and uv."""
    yield f"python{version}"
    home = Path(environment.get("HOME", "/nonexistent"))
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    pyenv = Path(environment.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(environment.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for folder in (*pyenv.glob(f"{version}.*"), *uv.glob(f"cpython-{version}.*")):
        yield str(folder / "bin" / f"python{version}")


def _is(python: str, version: str) -> bool:
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-I", "-c", question], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == version


def compile_folder(folder: Path, version: str, *, place: str, on_all_cores: bool = False) -> bool:
    """Compile every module under ``folder`` for ``version``, as if it stood at ``place``.

    The caches are never compared with the sources again (``unchecked-hash``), so file dates do not matter.

    Parameters
    ----------
    on_all_cores : bool
        For folders of thousands of modules: to start more processes takes longer than to compile a hundred.

    Returns
    -------
    bool
        False when there is no such interpreter here, and nothing was done.
    """
    python = interpreter(version)
    if python is None:
        return False
    options = [
        "-q",
        "-j",
        "0" if on_all_cores else "1",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(folder),
        "-p",
        place,
    ]
    finished = subprocess.run(
        [python, "-I", "-m", "compileall", *options, str(folder)], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise PackagingError(f"{folder}: a module can't be compiled: {finished.stdout.strip()[-500:]}")
    return True


_COMPILES = """
import json, py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
for file, shown in json.load(sys.stdin):
    try:
        py_compile.compile(file, file + "c", shown, doraise=True, invalidation_mode=unchecked)
    except py_compile.PyCompileError as error:
        sys.exit(error.msg)
print(sys.implementation.cache_tag)
"""

_known: dict[tuple[str, str, str], bytes] = {}
"""The caches of modules, by the interpreter, where they stand and what they hold."""

_tags: dict[str, str] = {}
"""What an interpreter writes into the names of its caches."""


def caches_of(assets: Iterable[Contents], version: str, *, place: str) -> list[Contents]:
    """The caches of the modules of each asset, as :func:`compile_folder` writes them, by their path in it.

    One process compiles all that is not known yet: a model's functions share most of their modules, and all models
    theirs. They are empty where there is no such interpreter here.

    Raises
    ------
    PackagingError
        For a module that can't be compiled.
    """
    python = interpreter(version)
    modules = [{name: data for name, data in asset.items() if name.endswith(".py")} for asset in assets]
    if python is None:
        return [{} for _ in modules]

    def key(name: str, data: bytes) -> tuple[str, str, str]:
        return python, f"{place}/{name}", hashlib.sha256(data).hexdigest()

    missing = {key(name, data): data for asset in modules for name, data in asset.items()}
    _compile(python, {known: data for known, data in missing.items() if known not in _known})
    return [{_cache_name(name, python): _known[key(name, data)] for name, data in asset.items()} for asset in modules]


def _compile(python: str, sources: Mapping[tuple[str, str, str], bytes]) -> None:
    if not sources:
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / f"{number}.py" for number in range(len(sources))]
        for file, data in zip(files, sources.values(), strict=True):
            file.write_bytes(data)
        asked = json.dumps([(str(file), shown) for file, (_, shown, _) in zip(files, sources, strict=True)])
        finished = subprocess.run(
            [python, "-I", "-c", _COMPILES], input=asked, capture_output=True, text=True, check=False
        )
        if finished.returncode:
            raise PackagingError(f"a module can't be compiled: {finished.stderr.strip()[-500:]}")
        _tags[python] = finished.stdout.strip()
        _known.update((known, Path(f"{file}c").read_bytes()) for file, known in zip(files, sources, strict=True))


def _cache_name(module: str, python: str) -> str:
    path = PurePosixPath(module)
    return str(path.parent / "__pycache__" / f"{path.stem}.{_tags[python]}.pyc")
