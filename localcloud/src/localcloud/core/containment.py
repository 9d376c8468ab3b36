"""Paths built from data: keys of S3, members of archives, names in requests. None leads out of its directory."""

from __future__ import annotations

from pathlib import Path

MAX_NAME_BYTES = 255
"""Of one part of a path, on every file system that this runs on."""


class EscapingPathError(ValueError):
    """A name that is not a plain path below its directory; the message has the name and what is wrong with it."""


def inside(directory: Path, name: str) -> Path:
    """The path of ``name``, slash-separated, below ``directory``.

    Raises
    ------
    EscapingPathError
        When the name is empty, absolute, has a part ``.``, ``..`` or none, a backslash, a NUL or a part too long, half
        a character, or leads through a link that points elsewhere.
    """
    check_name(name)
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise EscapingPathError(f"{name!r} leads out of its directory through a link")
    return path


def check_name(name: str) -> None:
    """Find that a name leads nowhere but below its directory, were there no links.

    Raises
    ------
    EscapingPathError
        As :func:`inside` does for a name.
    """
    problem = _problem(name)
    if problem is not None:
        raise EscapingPathError(f"{name!r} {problem}")


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if "\0" in name or "\\" in name:
        return "has a NUL or a backslash"
    if name.startswith("/"):
        return "is an absolute path"
    parts = name.split("/")
    if ".." in parts:
        return "has a part '..', which would lead out of its directory"
    if "" in parts or "." in parts:
        return "has an empty part or a part '.': another name could mean the same file"
    try:
        longest = max(len(part.encode(errors="surrogateescape")) for part in parts)
    except UnicodeEncodeError:  # JSON can write half characters, and no file can be called so
        return "has a lone surrogate"
    if longest > MAX_NAME_BYTES:
        return f"has a part of more than {MAX_NAME_BYTES} bytes"
    return None
