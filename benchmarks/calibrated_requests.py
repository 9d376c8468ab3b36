"""What recalibration costs a request: the prediction function with a calibration beside the same without one.

``python -m benchmarks.calibrated_requests``. Both answer the same bodies in one process, in turns of a few requests,
in changing order. Counted is the process's CPU time, since others may use the machine: of the function's handler with
the real scorer, from the event to the answer's text. The stream takes what it is given at once, so what boto3 costs is
not in it. Beside it stand the calibration alone (``apply``), of as many lines as the learner mixes at most, and the two
fields that a row of the lake has for it. ``by group`` is a calibration whose rows are of two groups with as many lines
each as the learner mixes at most. The second table is of a regression, recalibrated as well, whose contract has an
interval or none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from everloop.functions.predict.handler import Environment, Predictor
from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.interval import Interval
from everloop.recalibration.state import GROUP_HALF_LIVES, HALF_LIVES, SHRINKAGES
from everloop.recalibration.written import UNSPREAD
from everloop.serving.capture import encode_record
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, small_contract
from tests.helpers.http_events import http_event
from tests.helpers.onnx_models import linear_model

NUMBERS, ROWS, TURN = 19, (1, 10, 100), 20
FIELDS = ("raw_score", "calibration_sha256")
LINES = len(HALF_LIVES) * len(SHRINKAGES) + 1
GROUP_LINES = len(GROUP_HALF_LIVES) * len(SHRINKAGES) + 1


class Stream:
    """Takes every record; the last ones are kept."""

    def __init__(self) -> None:
        self.last: list[Mapping[str, bytes]] = []

    def put_record_batch(self, **batch: Any) -> dict[str, Any]:
        """As Firehose."""
        self.last = batch["Records"]
        return {"FailedPutCount": 0}


def contract() -> ServingContract:
    """As wide as the flights': 19 numbers and 3 categories."""
    numbers = tuple(NumberField(f"number_{i}", missing="allow") for i in range(NUMBERS))
    categories = tuple(CategoryField(f"category_{i}", missing="allow", values=("a", "b")) for i in range(3))
    return small_contract(numbers=numbers, categories=categories, max_rows=max(ROWS))


def mixture(rng: np.random.Generator) -> Calibration:
    """A calibration of as many lines as the learner mixes at most."""
    parts = [Part(1 / LINES, float(rng.normal(0, 0.4)), float(rng.uniform(0.7, 1.3))) for _ in range(LINES)]
    return Calibration("log_odds", tuple(parts), 8.0)


def by_group(rng: np.random.Generator, shared: Calibration) -> Calibration:
    """The same with a mixture for each of two groups."""

    def own() -> tuple[Part, ...]:
        return tuple(
            Part(1 / GROUP_LINES, float(rng.normal(0, 0.4)), float(rng.uniform(0.7, 1.3))) for _ in range(GROUP_LINES)
        )

    return replace(shared, by=GroupBy("category_0", values=("a", "b")), groups=(own(), own()))


def predictor(stored: StoredArtifact, stream: Stream, calibration: str) -> Predictor:
    """A process of the function."""
    variables = {
        "EVERLOOP_MODEL": MODEL,
        "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
        "EVERLOOP_PREDICTIONS_STREAM": "predictions",
        "EVERLOOP_VERSION": "7",
        "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
        "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
        "EVERLOOP_CALIBRATION": calibration,
    }
    return Predictor(Environment.read(variables), s3_client=FakeS3(stored.objects), firehose_client=stream)


def body(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Rows as a caller has them."""
    instances = []
    for i in range(rows):
        numbers = {f"number_{j}": round(float(rng.normal(0, 3)), 2) for j in range(NUMBERS)}
        instances.append({"train_id": f"t{i}", **numbers, **{f"category_{j}": "ab"[i % 2] for j in range(3)}})
    return {"instances": instances}


def in_turns(runs: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Microseconds of CPU that one run of each took, turn by turn."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(turns):
        random.shuffle(order)
        for name in order:
            run, began = runs[name], time.process_time()
            for _ in range(TURN):
                run()
            took[name].append((time.process_time() - began) / TURN * 1e6)
    return took


def measured(
    rows: int, functions: Mapping[str, Predictor], stream: Stream, calibration: Calibration, turns: int
) -> str:
    """A line of the table."""
    rng = np.random.default_rng(rows)
    event = http_event(body(rng, rows), path=f"/models/{MODEL}/predictions")
    scores = rng.uniform(0.01, 0.99, rows)
    raw, calibrated, grouped = (functions[name] for name in ("raw", "calibrated", "by group"))
    with contextlib.redirect_stdout(io.StringIO()):
        raw.handle(event, "4")
        grouped.handle(event, "4")
        calibrated.handle(event, "4")
        records = [json.loads(record["Data"]) for record in stream.last]
        bare = [{k: v for k, v in record.items() if k not in FIELDS} for record in records]
        took = in_turns(
            {
                "raw": lambda: raw.handle(event, "4"),
                "calibrated": lambda: calibrated.handle(event, "4"),
                "by group": lambda: grouped.handle(event, "4"),
                "apply": lambda: calibration.apply(scores),
                "records": lambda: [encode_record(record) for record in records],
                "bare": lambda: [encode_record(record) for record in bare],
            },
            turns,
        )
    middle = {name: statistics.median(each) for name, each in took.items()}
    low, ratio, high = statistics.quantiles(
        [one / other for one, other in zip(took["calibrated"], took["raw"], strict=True)], n=4
    )
    return (
        f"| {rows} | {middle['raw']:.0f} | {middle['calibrated']:.0f} | {ratio:.3f} ({low:.3f} to {high:.3f}) |"
        f" {middle['by group']:.0f} |"
        f" {middle['apply']:.0f} | {middle['records'] - middle['bare']:.0f} |"
    )


def measured_interval(rows: int, functions: Mapping[str, Predictor], turns: int) -> str:
    """A line of the table of a regression."""
    event = http_event(body(np.random.default_rng(rows), rows), path=f"/models/{MODEL}/predictions")
    plain, with_interval = functions["values"], functions["interval"]
    with contextlib.redirect_stdout(io.StringIO()):
        for each in (plain, with_interval):
            each.handle(event, "4")
        took = in_turns(
            {"plain": lambda: plain.handle(event, "4"), "interval": lambda: with_interval.handle(event, "4")}, turns
        )
    middle = {name: statistics.median(each) for name, each in took.items()}
    low, ratio, high = statistics.quantiles(
        [one / other for one, other in zip(took["interval"], took["plain"], strict=True)], n=4
    )
    return (
        f"| {rows} | {middle['plain']:.0f} | {middle['interval']:.0f} | {ratio:.3f} ({low:.3f} to {high:.3f}) |"
        f" {middle['interval'] - middle['plain']:.1f} |"
    )


def values(rng: np.random.Generator) -> Calibration:
    """A calibration of a regression of as many lines as the learner mixes at most, and a spread."""
    parts = [Part(1 / LINES, float(rng.normal(0, 0.4)), float(rng.uniform(0.7, 1.3))) for _ in range(LINES)]
    return Calibration("value", tuple(parts), 8.0, spread=(1.25, 0.8))


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=300)
    turns, rng = parser.parse_args().turns, np.random.default_rng(7)
    model = linear_model(rng.normal(0, 0.1, NUMBERS).tolist(), [{"a": 0.3, "b": -0.2}] * 3)
    stored, stream, calibration = StoredArtifact(contract(), model), Stream(), mixture(rng)
    functions = {
        "raw": predictor(stored, stream, ""),
        "calibrated": predictor(stored, stream, calibration.to_text()),
        "by group": predictor(stored, stream, by_group(rng, calibration).to_text()),
    }
    print(f"{LINES} lines, {turns} turns of {TURN} requests; medians, in µs of CPU; ratios turn by turn\n")
    print("| rows | request, raw | calibrated | ratio, middle half | by group | apply | two fields of the lake |")
    print("|---|---|---|---|---|---|---|")
    for rows in ROWS:
        print(measured(rows, functions, stream, calibration, turns), flush=True)
    made = values(rng)
    regression = replace(contract(), problem_type="regression")
    bounded = replace(regression, interval=Interval(0.9, 2.0, 3.5))
    functions = {
        "values": predictor(StoredArtifact(regression, model), stream, replace(made, spread=UNSPREAD).to_text()),
        "interval": predictor(StoredArtifact(bounded, model), stream, made.to_text()),
    }
    print("\n| rows | a regression, calibrated | with an interval | ratio, middle half | more |")
    print("|---|---|---|---|---|")
    for rows in ROWS:
        print(measured_interval(rows, functions, turns), flush=True)


if __name__ == "__main__":
    main()
