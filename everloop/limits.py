"""How large a label, an answer or a file may be, of which times rows may be, and which characters no text has."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

UNUSABLE_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which no key or category means, and lone surrogates, which are no text at all."""

INVISIBLE_CHARACTERS = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What nobody sees, and no writing needs: zero-width spaces, byte order marks, marks of direction, tags. Joiners
(U+200C, U+200D) are not among them: Persian and emoji are written with them."""

LARGEST_VALUE = 1e60
"""Of either sign. Monitoring sums fourth powers of what it counts, and squares those sums again to find their error:
beyond this, a single value would make them infinite for good, and no number can be told from another any more."""

LARGEST_MODEL_BYTES = 512 * 1024**2
LARGEST_DOCUMENT_BYTES = 32 * 1024**2
"""Of a ``.onnx`` file, and of every other file of a version. A version is registered with all of its files in the
memory of a function, which has 1 GB."""

EARLIEST_TIME = datetime(1677, 9, 22, tzinfo=UTC)
LATEST_TIME = datetime(2262, 4, 11, tzinfo=UTC)
"""Rows of history lie between them. Athena unloads times in nanoseconds of 64 bits as its readers take them, which
hold no others: they would come back as another time."""

EARLIEST_CAPTURED = date(1970, 1, 1)
"""The first partition of captured predictions and labels. AWS tells when a request came in milliseconds since then, so
no request is older; a replay, whose clock is moved, can't begin earlier either."""


def largest_file(name: str) -> int:
    """How many bytes a file of a version may have."""
    return LARGEST_MODEL_BYTES if name.endswith(".onnx") else LARGEST_DOCUMENT_BYTES


def value_range(low: float | None, high: float | None) -> tuple[float, float]:
    """The range of a value that is declared to lie from ``low`` to ``high``, where it is."""
    return (
        -LARGEST_VALUE if low is None else max(low, -LARGEST_VALUE),
        LARGEST_VALUE if high is None else min(high, LARGEST_VALUE),
    )
