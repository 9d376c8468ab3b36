"""The packages that a model's training needs beside those of every job: ``requirements.txt`` of its folder.

They come under the same lock: exact versions with their hashes, so that a job installs what was looked at and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from everloop.infra.exceptions import PackagingError

COMMAND = (
    "uv pip compile --universal --generate-hashes -c training/requirements.txt requirements.in -o requirements.txt"
)
"""What writes such a file."""

_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def with_own_packages(lock: bytes, own: bytes | None, place: Path) -> bytes:
    """The lock of the jobs' packages, followed by the model's own.

    A package that the lock has in the same version is not repeated.

    Parameters
    ----------
    lock : bytes
        ``training/requirements.txt``.
    own : bytes or None
        The file in the model's folder; None where there is none.
    place : Path
        That file, for messages.

    Raises
    ------
    PackagingError
        When a line is not one package in one version with its hashes, or asks for another version than the lock.
    """
    if own is None:
        return lock
    locked = {_key(r): str(r.specifier) for _, r, _ in _requirements(lock, place)}
    versions = {name: specifier for (name, _), specifier in locked.items()}
    kept = []
    for number, requirement, text in _requirements(own, place):
        name, pins = canonicalize_name(requirement.name), list(requirement.specifier)
        if len(pins) != 1 or pins[0].operator != "==" or "*" in pins[0].version or requirement.url:
            raise _refused(place, number, f"{requirement} is not one version", "name==version")
        if not _HASH.search(text):
            raise _refused(place, number, f"{requirement} has no hash", "--hash=sha256:… for each of its files")
        if name not in versions:
            kept.append(text)
        elif str(requirement.specifier) not in {s for (n, _), s in locked.items() if n == name}:
            raise _refused(place, number, f"{requirement} differs from the jobs' lock", f"{name}{versions[name]}")
    return lock if not kept else b"\n".join([lock.rstrip(b"\n"), *(text.encode() for text in kept), b""])


def _requirements(content: bytes, place: Path) -> Iterator[tuple[int, Requirement, str]]:
    """Each requirement with the number of its first line, and its text over all of its lines."""
    lines = content.decode("utf-8", errors="replace").splitlines()
    number = 0
    while number < len(lines):
        first, parts = number, [lines[number]]
        while parts[-1].rstrip().endswith("\\") and number + 1 < len(lines):
            number += 1
            parts.append(lines[number])
        number += 1
        bare = re.sub(r"\s#.*$", "", parts[0]).strip()
        if not bare or bare.startswith("#"):
            continue
        written = bare.split(" --hash=")[0].rstrip("\\").strip()
        try:
            yield first + 1, Requirement(written), "\n".join(parts)
        except InvalidRequirement as error:
            raise _refused(place, first + 1, f"{written!r} is no requirement", "name==version --hash=…") from error


def _key(requirement: Requirement) -> tuple[str, str]:
    return canonicalize_name(requirement.name), str(requirement.marker or "")


def _refused(place: Path, number: int, what: str, expected: str) -> PackagingError:
    return PackagingError(f"{place}:{number}: {what}; expected: {expected}. `{COMMAND}` writes such a file")
