"""The hash of a training set's rows, whatever order and files they stand in.

Each row is written in one way, column by column: a number as its 64 bits (one zero, and missing is ``-``), an instant
as milliseconds, a text with its length before it. SHA-256 of that is cut into four numbers of 64 bits, and each is
summed over all rows: sums have no order, and count a row that is there twice twice. Athena and DuckDB answer the same
to the last digit: they sum decimals, which are exact.

The name of a snapshot is SHA-256 over these sums and its schema. Two training sets that differ by chance have
different names; it is no proof against somebody who makes up rows for it. What is stored is held by the SHA-256 of
each object (:mod:`everloop.dataset.snapshot_parts`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

HASH = "h"
SUMS = ("h0", "h1", "h2", "h3")
"""Columns of the answer of a query that has :func:`row_sums` over :func:`row_hash`."""

HEX_OF_A_SUM = 16

EPOCH = "TIMESTAMP '1970-01-01 00:00:00.000'"


def row_hash(declaration: ModelDeclaration) -> str:
    """The expression of a row's hash, in hexadecimal digits; a text of two letters is no feature's name."""
    parts = [_text("key"), _time("time"), _number("label")]
    parts += [_number(f.name) if f.type == "number" else _text(f.name) for f in declaration.data.features]
    return f"to_hex(sha256(to_utf8({_joined(parts)})))"


def row_sums() -> str:
    """The expressions that sum the hashes in ``HASH``; without a row they are zero."""
    return ", ".join(
        f"coalesce(sum(CAST(from_big_endian_64(from_hex(substr({HASH}, {1 + i * HEX_OF_A_SUM}, {HEX_OF_A_SUM})))"
        f" AS DECIMAL(38, 0))), CAST(0 AS DECIMAL(38, 0))) AS {name}"
        for i, name in enumerate(SUMS)
    )


def content_sha256(header: Mapping[str, object], rows: int, sums: Iterable[int]) -> str:
    """The name of these rows.

    Parameters
    ----------
    header : mapping
        JSON facts that belong to the identity: the columns, and the boundary of the split.
    sums : iterable of int
        As the query gave them.
    """
    facts = {"header": dict(header), "rows": rows, "sums": [total % 2**64 for total in sums]}
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    ).hexdigest()


def milliseconds(expression: str) -> str:
    """The expression of an instant as milliseconds since 1970."""
    return f"date_diff('millisecond', {EPOCH}, {expression})"


def _number(name: str) -> str:
    # Adding nothing turns -0.0 into 0.0.
    return f"coalesce(to_hex(to_ieee754_64(\"{name}\" + 0E0)), '-')"


def _time(name: str) -> str:
    since = milliseconds(f'"{name}"')
    return f"coalesce(CAST({since} AS VARCHAR), '-')"


def _text(name: str) -> str:
    return f"coalesce(CAST(length(\"{name}\") AS VARCHAR) || ':' || \"{name}\", '-')"


def _joined(parts: Sequence[str]) -> str:
    """Written as pairs of pairs: a chain of hundreds would be as deep as it is long."""
    if len(parts) == 1:
        return parts[0]
    half = (len(parts) + 1) // 2
    left, right = _joined(parts[:half]), _joined(parts[half:])
    return f"({left} || ',' || {right})"
