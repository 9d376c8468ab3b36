"""The names of predictions, which say themselves whose rows are captured.

Where a share of the rows is captured, which ones follows from a hash of their names: the same at every retry, and from
nothing that a row holds. The name of a row that is not captured ends with a mark, so that a label which names it later
is no label of an unknown prediction, whatever share is declared by then.
"""

from __future__ import annotations

import hashlib

NOT_CAPTURED = "-unsampled"
"""How the name of a prediction ends whose row was left out of the sample."""

ALL = 1.0
"""The share where every row is captured."""

_BYTES = 8


def prediction_id(request_id: str, index: int, share: float = ALL) -> str:
    """The name of the prediction for instance ``index`` of a request, of whose rows ``share`` is captured."""
    name = f"{request_id}-{index}"
    return name if share >= ALL or _place(name) < share else name + NOT_CAPTURED


def is_captured(name: str) -> bool:
    """Whether the row of the prediction with this name is captured."""
    return not name.endswith(NOT_CAPTURED)


def captured_condition(column: str) -> str:
    """The condition that a prediction's name, where there is one, is of a captured row; for Trino and DuckDB."""
    return f"({column} IS NULL OR {column} NOT LIKE '%{NOT_CAPTURED}')"


def _place(name: str) -> float:
    """Where the name lies between 0 and 1, evenly for names however alike."""
    digest = hashlib.blake2b(name.encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest, "big") / (1 << 8 * _BYTES)
