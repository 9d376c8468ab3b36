"""A million requests with faults, in one process, each answered by compiled code and field by field.

``python -m benchmarks.fuzz [--requests 1000000] [--seed 1]``. Bodies that are right, in every form of every protocol,
get up to three faults: bytes cut, repeated and replaced, fields and values exchanged. Each goes to two services of the
same version, of which one reads rows by compiled code (docs/decisions/0019). A failure is an exception, a 5xx, an
answer or a captured row that differs between the two, or a row that is no line of JSON. Every run has a seed; the
first failures are printed, and then the counts.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import Line, Record, RecordFailure, encode_record
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.exchange import HttpRequest
from everloop.serving.service import PredictionService
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row

DECLARED = (NumberField("speed", min=0, missing="allow"), CategoryField("kind", missing="allow", values=("x",)))
AT = datetime(2013, 3, 1, 5, tzinfo=UTC)
VALUES: list[Any] = [
    None, True, False, 0, -0.0, 1, -1, 2**53 + 1, 2**64, 10**30, 1e308, 5e-324, float("nan"), float("inf"), 5000.0001,
    "", " ", "a", "north", "NORTH", "1E-09", "1.0", "0017", "e\u0301", "\u200b", "\u0000", "x" * 300, "\ud800",
    [], {}, [1], {"a": 1},
]  # fmt: skip
PIECES = [
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b'""',
    b"{}",
    b"[]",
    b"9" * 400,
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
]
BYTES = b'{}[]",:-+.eE0123456789ntf\\\n\r\x00;'
SHOWN = 20


class Kept:
    """Where captured rows go: the last request's."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        """Each is one line of JSON."""
        lines = [encode_record(record) for record in records]
        assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
        self.records = [sorted({**json.loads(line), "latency_ms": 0}.items()) for line in lines]
        return []


def forms(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The rows as each protocol has them: path, content type, body."""
    names = list(rows[0])
    listed: list[list[Any]] = [[one.get(name) for name in names] for one in rows]
    tensors: list[dict[str, Any]] = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "FP64" if name in ("distance", "wind", "speed") else "BYTES",
            "data": [one.get(name) for one in rows],
        }
        for name in names
    ]
    documents: list[tuple[str, Any]] = [
        ("predictions", {"instances": rows}),
        (f"v2/models/{MODEL}/infer", {"inputs": tensors}),
        ("mlflow/invocations", {"dataframe_split": {"columns": names, "data": listed}}),
        ("mlflow/invocations", {"dataframe_records": rows}),
        ("mlflow/invocations", {"instances": rows}),
        ("mlflow/invocations", {"inputs": {name: [one.get(name) for one in rows] for name in names}}),
        ("sagemaker/invocations", {"instances": rows}),
    ]
    lines = "\n".join(json.dumps(one) for one in rows)
    cells = "\n".join(
        ",".join("" if value is None else str(value) for value in one) for one in [list[Any](names), *listed]
    )
    return [
        *((path, "application/json", json.dumps(document)) for path, document in documents),
        ("sagemaker/invocations", "application/jsonlines", lines),
        ("sagemaker/invocations", "text/csv", cells),
        ("mlflow/invocations", "text/csv", cells),
    ]


def rows_of(chance: random.Random) -> list[dict[str, Any]]:
    """One to three rows, some of them with another value or field."""
    rows = [row(f"t{index}", speed=3, kind="x") for index in range(chance.randint(1, 3))]
    for one in rows:
        if chance.random() < 0.3:
            one[chance.choice([*one, "other", "a\ud800"])] = chance.choice(VALUES)
        if chance.random() < 0.2:
            del one[chance.choice(list(one))]
    return rows


def broken(body: bytes, chance: random.Random) -> bytes:
    """The body with up to three faults."""
    data = bytearray(body)
    for _ in range(chance.choice([0, 0, 0, 1, 2, 3])):
        at, size = chance.randrange(len(data) + 1), chance.randint(1, 8)
        match chance.randrange(5):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = data[at : at + chance.randint(1, 60)]
            case 2:
                data[at:at] = chance.randbytes(size)
            case 3:
                data[at : at + 1] = chance.choice(BYTES).to_bytes()
            case _:
                data[at : at + size] = chance.choice(PIECES)
    return bytes(data)


def service(artifact: Artifact, *, compiled: bool) -> tuple[PredictionService, Kept]:
    """One that reads by compiled code, or never does."""
    kept = Kept()
    made = PredictionService(MODEL, lambda: artifact, kept, lambda: 0.0, DECLARED)
    made.answer(f"v2/models/{MODEL}/ready", HttpRequest("GET"), request_id="r", at=AT)
    if compiled:
        made.settle()
    else:
        made.settle = lambda: None  # type: ignore[method-assign]  # so that it stays as it begins
    return made, kept


def told(made: PredictionService, kept: Kept, path: str, request: HttpRequest) -> tuple[int, Any, Any]:
    """Status, answer and captured rows."""
    kept.records = []
    answer = made.answer(path, request, request_id="r", at=AT)
    content: Any = answer.reply.body
    if answer.reply.content_type == "application/json":
        content = json.loads(content)
    counted = [(one.name, one.value) for one in answer.metrics]
    return answer.status, (content, answer.reply.content_type, answer.cause, counted), kept.records


def main(requests: int, seed: int) -> int:
    """Print the counts; 1 where something failed."""
    stored = StoredArtifact()
    artifact = verified_artifact(lambda name: stored.objects[PREFIX + name], stored.manifest_sha256)
    services = [service(artifact, compiled=compiled) for compiled in (True, False)]
    chance, statuses = random.Random(seed), collections.Counter[str]()
    failures, began = 0, time.process_time()
    for number in range(1, requests + 1):
        path, kind, text = chance.choice(forms(rows_of(chance)))
        body = broken(text.encode("utf-8", "surrogatepass"), chance)
        request = HttpRequest(headers={"content-type": kind}, body=body)
        outcomes: list[Any] = []
        for made, kept in services:
            try:
                outcomes.append(told(made, kept, path, request))
            except Exception as error:
                outcomes.append((599, f"{type(error).__name__}: {error}", []))
        statuses[f"{path.split('/')[0]} {outcomes[0][0]}"] += 1
        if outcomes[0][0] >= 500 or outcomes[1][0] >= 500 or repr(outcomes[0]) != repr(outcomes[1]):
            failures += 1
            if failures <= SHOWN:
                print(
                    f"{number}: {path} {kind} {body!r}\n  compiled: {outcomes[0]}\n  plain: {outcomes[1]}", flush=True
                )
        if number % 100_000 == 0 or number == requests:
            seconds = time.process_time() - began
            print(
                f"{number:,} requests, {failures} failures, {seconds:.0f} s: {dict(sorted(statuses.items()))}",
                flush=True,
            )
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    raise SystemExit(main(options.requests, options.seed))
