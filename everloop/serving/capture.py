"""Captures predictions: one record for each row, to the stream that fills the lake."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from everloop.prediction_ids import ALL, is_captured
from everloop.problem_types import REGRESSION
from everloop.serving.contract import ServingContract
from everloop.serving.response import decisions, prediction_ids
from everloop.serving.rows import Rows
from everloop.serving.scores import Bounds, Scores

Record = dict[str, object]

Line = bytes
"""A record that is written already, as :func:`encode_record` does."""

CAPTURE_FALLBACK = "capture_fallback"
"""The message of the log line that has a row which the stream did not take, as ``record``."""

MAX_BATCH_RECORDS = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Firehose's limits for one call."""


@dataclass(frozen=True)
class RecordFailure:
    """A record that the stream did not take, and why."""

    record: Record
    reason: str

    @classmethod
    def of(cls, record: Record | Line, reason: str) -> RecordFailure:
        """The failure of a record, written already or not."""
        return cls(json.loads(record) if isinstance(record, bytes) else record, reason)


def lake_timestamp(instant: datetime) -> str:
    """An instant as the lake's tables read it: UTC, milliseconds, no zone."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(" ", "milliseconds").removesuffix("+00:00")


def capture_records(
    contract: ServingContract,
    rows: Rows,
    scores: Scores,
    *,
    version: int | None,
    request_id: str,
    at: datetime,
    latency_ms: float,
    masked: frozenset[str] = frozenset(),
) -> list[Record]:
    """What is kept of a request: every input, used by this version or not, the output, version, time and latency.

    Of ``masked`` features null is kept. Rows whose names say that they are not in the sample are left out.

    Of several classes ``prediction`` is the place of the answered one, ``probability`` its own, and ``probabilities``
    has that of each class in the declared order.

    Parameters
    ----------
    scores : Scores
        As the model gave them, and as they are served.
    version : int or None
        The version that answered; None where no version did, but a fallback.
    at : datetime
        When the request arrived.
    latency_ms : float
        Time from its arrival in the function to its score; the same for each of its rows.
    """
    number_names = [f.name for f in contract.numbers]
    category_names = [f.name for f in contract.categories]
    numbers, categories = rows.num.tolist(), rows.cat.tolist()
    outputs = _outputs(contract, scores, request_id)
    common = _common(scores, version, request_id, at, latency_ms)
    hidden: dict[str, object] = dict.fromkeys(masked)
    return [
        {
            **common,
            "key": key,
            **outputs[i],
            # NaN is the one number that differs from itself, and it is null in the lake.
            **{name: v if v == v else None for name, v in zip(number_names, numbers[i], strict=True)},
            **{name: v or None for name, v in zip(category_names, categories[i], strict=True)},
            **(rows.unused[i] if rows.unused else {}),
            **hidden,
        }
        for i, key in enumerate(rows.keys)
        if is_captured(str(outputs[i]["prediction_id"]))
    ]


def captured(
    contract: ServingContract,
    rows: Rows,
    scores: Scores,
    version: int | None,
    request_id: str,
    at: datetime,
    latency_ms: float,
    masked: frozenset[str] = frozenset(),
) -> Sequence[Record | Line]:
    """The records of :func:`capture_records`; of rows that are ``written`` as lines, with no object made between."""
    if rows.written is None:
        return capture_records(
            contract, rows, scores, version=version, request_id=request_id, at=at, latency_ms=latency_ms, masked=masked
        )
    common = _common(scores, version, request_id, at, latency_ms)
    answered = _outputs(contract, scores, request_id)
    places: Sequence[int] = range(len(answered))
    if scores.captured_share < ALL:
        places = [place for place in places if is_captured(str(answered[place]["prediction_id"]))]
        answered = [answered[place] for place in places]
    (shared, *outputs), inputs = rows.written([common, *answered], places, masked)
    between = b',%b,"key":' % shared[1:-1]
    return [b"%b%b%b\n" % (own[:-1], between, row) for own, row in zip(outputs, inputs, strict=True)]


class Captured:
    """Records that are made when they are first read: after the answer, where they are written then.

    ``make`` is :func:`captured` with all that it needs, and ``request_id`` names the request in it. Reading them raises
    what ``make`` does.
    """

    __slots__ = ("_make", "_records", "request_id")

    def __init__(self, make: Callable[[], Sequence[Record | Line]], request_id: str) -> None:
        self._make = make
        self._records: Sequence[Record | Line] | None = None
        self.request_id = request_id

    def __iter__(self) -> Iterator[Record | Line]:
        """Each row's record, in the request's order; the same ones every time."""
        if self._records is None:
            self._records = self._make()
        return iter(self._records)


def _common(scores: Scores, version: int | None, request_id: str, at: datetime, latency_ms: float) -> Record:
    """What all rows of a request have alike."""
    return {
        "request_id": request_id,
        "version": version,
        "time": lake_timestamp(at),
        "latency_ms": latency_ms,
        "calibration_sha256": scores.calibration_sha256,
        # A key that is left out is null in the lake.
        **({} if scores.fallback is None else {"fallback": scores.fallback}),
        **({} if scores.captured_share >= ALL else {"capture_share": scores.captured_share}),
    }


def _outputs(contract: ServingContract, scores: Scores, request_id: str) -> list[Record]:
    """What was answered to each row."""
    values = decisions(contract, scores)
    probabilities, raw = scores.served.tolist(), scores.raw.tolist()
    more: list[Record] | None = None
    if contract.is_multiclass:
        more = [{"probabilities": row} for row in probabilities]
        probabilities = raw = [row[int(place)] for row, place in zip(probabilities, values, strict=True)]
    if contract.problem_type == REGRESSION:
        probabilities = [None] * len(raw)
    outputs: list[Record] = [
        {
            "prediction_id": name,
            "prediction": float(value),
            "probability": probability,
            "raw_score": score,
        }
        for name, value, probability, score in zip(
            prediction_ids(scores, request_id), values, probabilities, raw, strict=True
        )
    ]
    # A key that is left out is null in the lake.
    if scores.bounds is not None:
        more = _bounds(scores.bounds)
    return outputs if more is None else [one | other for one, other in zip(outputs, more, strict=True)]


def _bounds(bounds: Bounds) -> list[Record]:
    pairs = zip(bounds.low.tolist(), bounds.high.tolist(), strict=True)
    return [{"prediction_low": low, "prediction_high": high} for low, high in pairs]


def encode_record(record: Record | Line) -> Line:
    """A record as one JSON line, in UTF-8: escapes would make up to three times as much of it."""
    if isinstance(record, bytes):
        return record
    return json.dumps(record, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode() + b"\n"


class RecordWriter(Protocol):
    """Where captured rows go."""

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        """Keep ``records``, and return those that were not taken. Never raises for trouble of its own."""
        ...


class CaptureWriter:
    """Puts records on a Firehose stream.

    Parameters
    ----------
    firehose_client : boto3 Firehose client
        Needs ``put_record_batch``; retries whole calls itself.
    stream : str
        Name of the delivery stream.
    attempts : int
        How often a record is tried that the stream refuses while it takes others.
    pause_seconds : float
        Before the second attempt; twice as long before each one after.
    has_time : callable
        Whether another call may begin. What has no call left is handed back.
    """

    def __init__(
        self,
        firehose_client: Any,
        stream: str,
        *,
        attempts: int = 3,
        pause_seconds: float = 0.05,
        sleep: Callable[[float], None] = time.sleep,
        has_time: Callable[[], bool] = lambda: True,
    ) -> None:
        self._has_time = has_time
        self._firehose = firehose_client
        self._stream = stream
        self._attempts = attempts
        self._pause_seconds = pause_seconds
        self._sleep = sleep

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        """Put ``records``, and return those that did not arrive.

        Never raises for a stream that fails: the caller has an answer to give, and keeps the failures
        elsewhere. Delivery is at least once.
        """
        failures: list[RecordFailure] = []
        for batch in _batches(records):
            failures.extend(self._write_batch(batch))
        return failures

    def _write_batch(self, batch: list[tuple[Record | Line, Line]]) -> list[RecordFailure]:
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(self._pause_seconds * 2 ** (attempt - 1))
            refused = self._put(batch)
            if isinstance(refused, str):
                return [RecordFailure.of(record, refused) for record, _ in batch]
            if not refused:
                return []
            batch, reasons = [batch[i] for i in refused], list(refused.values())
        return [RecordFailure.of(record, reason) for (record, _), reason in zip(batch, reasons, strict=True)]

    def _put(self, batch: list[tuple[Record | Line, Line]]) -> dict[int, str] | str:
        """Reasons by position of what was refused, or one reason why the whole call failed."""
        if not self._has_time():
            return "no time is left before the function's timeout"
        try:
            answer = self._firehose.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": data} for _, data in batch]
            )
        except Exception as error:  # whatever the stream's trouble is, the records are handed back
            return f"{type(error).__name__}: {error}"
        if not answer["FailedPutCount"]:
            return {}
        return {
            i: f"{entry['ErrorCode']}: {entry.get('ErrorMessage', '')}"
            for i, entry in enumerate(answer["RequestResponses"])
            if entry.get("ErrorCode")
        }


def _batches(records: Iterable[Record | Line]) -> Iterator[list[tuple[Record | Line, Line]]]:
    batch: list[tuple[Record | Line, Line]] = []
    size = 0
    for record in records:
        data = encode_record(record)
        if batch and (len(batch) == MAX_BATCH_RECORDS or size + len(data) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((record, data))
        size += len(data)
    if batch:
        yield batch
