"""Rows that were captured elsewhere than on the stream, on their way into the lake after all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from everloop.lake_tables import PREDICTIONS
from everloop.serving.capture import CAPTURE_FALLBACK, MAX_BATCH_RECORDS, Record, RecordFailure, RecordWriter

_LEFT_OUT = {"prediction_low", "prediction_high", "probabilities", "fallback", "capture_share"}
"""What a row has only where there is something to say."""

_NEEDED = frozenset(PREDICTIONS.own_names) - _LEFT_OUT


def logged_row(line: str) -> Record | None:
    """The row in a line of the prediction function's log; None where the line has none."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("message") != CAPTURE_FALLBACK:
        return None
    record = document.get("record")
    return record if is_row(record) else None


def is_row(record: Any) -> bool:
    """Whether this has all that a captured row has, beside its features."""
    return isinstance(record, dict) and record.keys() >= _NEEDED


def send_again(records: Iterable[Record], writer: RecordWriter) -> Iterator[tuple[int, list[RecordFailure]]]:
    """Send rows in batches; for each, how many rows it had, and those of them that were not taken.

    A row that has arrived before does no harm: in the lake a prediction counts once, by its id.
    """
    left = iter(records)
    while batch := list(islice(left, MAX_BATCH_RECORDS)):
        yield len(batch), writer.write(batch)
