"""Writes the same bytes for the same inputs: hashes, archives, and what never belongs into an asset."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

NEVER_SHIPPED = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".git"})
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a ZIP entry can have; every entry has it."""

LEVEL = 4
"""How hard archives are compressed: it takes half the time of the usual level, or less, for 3 to 5 % more bytes."""

Contents = Mapping[str, bytes]
"""Files by their path inside an asset, with forward slashes."""


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` that may be shipped, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and shippable(path.relative_to(folder))
    }


def shippable(path: Path) -> bool:
    """Whether a file at this relative path belongs into an asset: caches and hidden files do not."""
    return (
        not NEVER_SHIPPED.intersection(path.parts)
        and not any(part.startswith(".") for part in path.parts)
        and path.suffix != ".pyc"
    )


def digest(contents: Contents) -> str:
    """A hash over names and bytes."""
    whole = hashlib.sha256()
    for name, data in sorted(contents.items()):
        whole.update(_line(name, data))
    return whole.hexdigest()


def _line(name: str, data: bytes) -> bytes:
    return f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode()


def folder_digest(folder: Path) -> str:
    """:func:`digest` of every file under ``folder``, of any kind, one at a time."""
    whole = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name, path in sorted(files.items()):
        whole.update(_line(name, path.read_bytes()))
    return whole.hexdigest()


def write_folder(contents: Contents, folder: Path, *, there: Mapping[bytes, str] = MappingProxyType({})) -> Path:
    """Write ``contents`` below ``folder``, which need not be there.

    Parameters
    ----------
    there : mapping of bytes to str, optional
        Files that nobody changes, by the SHA-256 of what they hold: such a file is linked, where that is possible.
    """
    made: set[str] = set()
    for name, data in sorted(contents.items()):
        target = os.path.join(folder, name)
        parent = os.path.dirname(target)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        if not there or not _linked(there.get(hashlib.sha256(data).digest()), target):
            with open(target, "wb", buffering=0) as file:
                file.write(data)
    return folder


def _linked(source: str | None, target: str) -> bool:
    """Whether ``target`` is a second name of ``source`` now: it is gone, or the file system has no or no more links."""
    if source is None:
        return False
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def stage_folder(contents: Contents, asset_hash: str, assembly: Path) -> Path:
    """Write ``contents`` to where the CDK copies a folder of this ``asset_hash`` to, which it leaves alone then.

    What is there already has these contents. A file that this process has staged there before is linked: a model's
    functions share most of their modules, and to write each anew takes a quarter of a synthesis's processor time.

    Parameters
    ----------
    assembly : Path
        The folder that the assembly's assets are in.
    """
    place = _place(asset_hash, assembly)
    if not place.is_dir():
        begun = place.with_name(f"{place.name}.writing-{os.getpid()}")
        shutil.rmtree(begun, ignore_errors=True)
        staged = _staged(assembly)
        write_folder(contents, begun, there=staged)
        begun.rename(place)  # whole, or not there
        for name, data in contents.items():
            staged[hashlib.sha256(data).digest()] = os.path.join(place, name)
    return place


def stage_archive(archive: Path, asset_hash: str, assembly: Path) -> None:
    """Link an archive that nobody changes to where the CDK copies one of this ``asset_hash`` to.

    It leaves alone what is there. A model's layers are some 100 MB. Where the file system has no links, or ``archive``
    is on another one, nothing is done, and the CDK copies it.
    """
    place = _place(asset_hash, assembly)
    _linked(str(archive), f"{place}{archive.suffix}")


def _place(asset_hash: str, assembly: Path) -> Path:
    """Where the CDK puts an asset, but for what follows the last dot of a file's name."""
    return assembly / f"asset.{hashlib.sha256(asset_hash.encode()).hexdigest()}"


@cache
def _staged(assembly: Path) -> dict[bytes, str]:
    """The files that this process has written into an assembly, by the SHA-256 of what they hold."""
    return {}


def write_zip(folder: Path, target: Path) -> Path:
    """Pack ``folder`` so that equal folders give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), FIXED_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())
    return target


def write_tar_gz(contents: Contents, target: Path) -> Path:
    """Pack ``contents`` so that equal contents give equal bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    with target.open("wb") as file, gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
        packed.write(plain.getvalue())
    return target
