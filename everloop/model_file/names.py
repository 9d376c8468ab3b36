"""What columns and models may be called, and which name comes closest to another."""

from __future__ import annotations

import re
import unicodedata

NAME_PATTERN = r"^[a-z][a-z0-9_]{1,30}$"
"""Tables of the lake have no other letters, and no capitals."""


def closest_name(text: str) -> str | None:
    """The name that comes closest to ``text``, where there is one."""
    # casefold makes ss of ß, which would vanish with what is no ASCII.
    ascii_text = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")[:31].rstrip("_")
    return name if re.match(NAME_PATTERN, name) else None
