"""Builds a function's packages as a Lambda layer, once per content, without Docker."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from everloop.infra.packaging.compiled import compile_folder, interpreter
from everloop.infra.packaging.files import folder_digest, write_zip
from everloop.infra.packaging.installer import GLIBC, install_wheels
from everloop.infra.packaging.requirements import Line, Target, lock_lines, plain_pins, read_lines

BUILD = "2"
"""Counted up when the way layers are built changes, so that kept ones are built again."""

LOCK = "python/requirements.lock"
NOT_SHIPPED = ("__pycache__", "tests")
NOT_RUN = frozenset({".pyi", ".pyx", ".pxd", ".h", ".a"})
NOT_SHIPPED_METADATA = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")


@dataclass(frozen=True)
class Layer:
    """A built layer.

    Attributes
    ----------
    archive : Path
        The zip file.
    identity : str
        A hash of what it was built from; equal requirements have equal identities.
    content : str
        A hash of what it holds, without compiled caches.
    unzipped_bytes : int
        What it counts against Lambda's 250 MB.
    """

    archive: Path
    identity: str
    content: str
    unzipped_bytes: int


def layer_identity(requirements: list[Line], constraints: list[Line], target: Target) -> str:
    """The hash of everything that a layer's content follows from."""
    parts = [
        BUILD,
        GLIBC,
        target.python,
        target.architecture,
        *sorted(line.text for line in requirements),
        "constraints",
        *sorted(line.text for line in constraints),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def build_layer(requirements: Path, constraints: Path, target: Target, cache: Path) -> Layer | None:
    """The layer with the packages of ``requirements`` and all they bring along; None for an empty file.

    Raises
    ------
    LayerUnavailableError
        When it is not in ``cache`` and can't be installed.
    """
    wanted, pins = read_lines(requirements), read_lines(constraints)
    if not wanted:
        return None
    identity = layer_identity(wanted, pins, target)
    kept, other = cache / identity, cache / f"{identity}-sources"
    if interpreter(target.python) is None:
        kept, other = other, kept
    if not _is_whole(kept):
        cache.mkdir(parents=True, exist_ok=True)
        with _alone_in(cache), tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            if not _is_whole(kept):
                _build(wanted, pins, target, Path(scratch), other)
                shutil.rmtree(kept, ignore_errors=True)
                (Path(scratch) / "result").rename(kept)
    facts = json.loads((kept / "layer.json").read_text(encoding="utf-8"))
    return Layer(kept / "layer.zip", identity, facts["content"], facts["unzipped_bytes"])


def _is_whole(kept: Path) -> bool:
    return (kept / "layer.json").is_file()


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Wait while another process builds a layer in ``cache``: it may be the same one, and takes all cores."""
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _build(wanted: list[Line], pins: list[Line], target: Target, scratch: Path, other: Path) -> None:
    """Build it in ``scratch``, from ``other`` where that is kept: the same packages, compiled or not."""
    content = scratch / "content"
    packages = content / "python"
    if _is_whole(other):
        _unpack(other / "layer.zip", content)
    else:
        requirements, constraints = scratch / "requirements.txt", scratch / "constraints.txt"
        requirements.write_text("\n".join(_direct(wanted, target)) + "\n", encoding="utf-8")
        constraints.write_text("\n".join(plain_pins(pins, target)) + "\n", encoding="utf-8")
        install_wheels(requirements, constraints, target, packages)
    installed = _installed(packages)
    _strip(packages)
    lock = "\n".join(lock_lines(installed, pins)) + "\n"
    (content / LOCK).write_text(lock, encoding="utf-8")
    identical = folder_digest(content)
    compile_folder(packages, target.python, place="/opt/python", on_all_cores=True)
    result = scratch / "result"
    result.mkdir()
    write_zip(content, result / "layer.zip")
    facts = {"content": identical, "unzipped_bytes": folder_bytes(content), "packages": installed}
    (result / "layer.json").write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def _unpack(archive: Path, folder: Path) -> None:
    """What was installed for a layer: its files, and which of them may be executed."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            packed.extract(entry, folder)
            (folder / entry.filename).chmod(entry.external_attr >> 16)


def folder_bytes(folder: Path) -> int:
    """The size of all files under ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _direct(wanted: list[Line], target: Target) -> list[str]:
    lines: list[str] = []
    for line in wanted:
        if line.holds_on(target):
            extras = f"[{','.join(sorted(line.requirement.extras))}]" if line.requirement.extras else ""
            lines.append(f"{line.requirement.name}{extras}{line.requirement.specifier}")
    return lines


def _installed(packages: Path) -> dict[str, str]:
    """Versions by canonical name, from the metadata the installer left."""
    versions: dict[str, str] = {}
    for metadata in sorted(packages.glob("*.dist-info")):
        name, version = metadata.name.removesuffix(".dist-info").rsplit("-", 1)
        versions[canonicalize_name(name)] = version
    return versions


def _strip(packages: Path) -> None:
    """Take away what no function imports, and what differs from one installation to the next."""
    (packages / ".lock").unlink(missing_ok=True)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_dir() and path.name in NOT_SHIPPED:
            shutil.rmtree(path)
        elif path.is_file() and (path.suffix in NOT_RUN or _is_record(path)):
            path.unlink()


def _is_record(path: Path) -> bool:
    return path.parent.suffix == ".dist-info" and path.name in NOT_SHIPPED_METADATA
