"""Names as parts of the paths of patches (RFC 6901)."""

from __future__ import annotations


def escaped(name: str) -> str:
    """A name as a part of a path."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(part: str) -> str:
    """The name that a part of a path stands for."""
    return part.replace("~1", "/").replace("~0", "~")
