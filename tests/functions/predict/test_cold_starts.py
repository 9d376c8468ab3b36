"""What the first request of a process waited is counted, by the version that answered it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from everloop.functions.predict.handler import Environment, Predictor
from everloop.serving.cold_start import MOST_IDLE_SECONDS, ColdStart
from everloop.serving.passed_on import PassingOn
from tests.everloop.serving.test_passed_on import VARIANT, Container
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row
from tests.helpers.http_events import http_event

PATH = f"/models/{MODEL}/predictions"
OFTEN = {
    "EVERLOOP_MODEL": MODEL,
    "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
    "EVERLOOP_PREDICTIONS_STREAM": "predictions",
}
ASKED: Any = {"instances": [row("t1")]}


class Process:
    """A process of the function, and what it logs."""

    def __init__(self, capsys: pytest.CaptureFixture[str], age: Callable[[], float | None] = lambda: 2.5) -> None:
        stored = StoredArtifact()
        bound = {
            "EVERLOOP_VERSION": "7",
            "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
            "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
        }
        self.seconds, self._capsys = 0.0, capsys
        cold_start = ColdStart(age, lambda: self.seconds)
        given: dict[str, Any] = {
            "s3_client": FakeS3(stored.objects),
            "firehose_client": FakeFirehose(),
            "cold_start": cold_start,
        }
        self.bound = Predictor(Environment.read({**OFTEN, **bound}), **given)
        self.passing = Predictor(
            Environment.read(OFTEN), passing_on=PassingOn(Container(stored, FakeFirehose())), **given
        )

    def counted(self, document: Any = ASKED, *, by: Predictor | None = None, **more: Any) -> list[dict[str, Any]]:
        """The counts of one request."""
        (by or self.bound).handle({**http_event(document, path=PATH), **more}, "4")
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return [line for line in lines if "_aws" in line]


@pytest.fixture
def process(capsys: pytest.CaptureFixture[str]) -> Process:
    return Process(capsys)


def test_the_first_request_is_and_no_other(process: Process) -> None:
    (first,), (second,) = process.counted(), process.counted()
    assert first["ColdStart"] == 2500
    assert first["lambda_version"] == "4"
    (directive,) = first["_aws"]["CloudWatchMetrics"]
    assert {"Name": "ColdStart", "Unit": "Milliseconds"} in directive["Metrics"]
    assert directive["Dimensions"] == [["model"], ["model", "lambda_version"]]
    assert "ColdStart" not in second


def test_also_one_that_is_refused(process: Process) -> None:
    ((counted),) = process.counted({"instances": [row("t1", distance=-1)]})
    assert (counted["ColdStart"], counted["RequestsRefused"]) == (2500, 1)


def test_one_that_is_passed_on_is_counted_as_the_variants(process: Process) -> None:
    (counted,) = process.counted(by=process.passing)
    assert (counted["ColdStart"], counted["lambda_version"]) == (2500, VARIANT)


def test_what_no_caller_asked_makes_the_next_one_no_first_one(process: Process) -> None:
    assert process.counted(unseen=True) == []
    assert "ColdStart" not in process.counted()[0]


def test_a_request_that_comes_to_a_process_that_was_ready_waited_for_nothing(process: Process) -> None:
    process.seconds = MOST_IDLE_SECONDS + 0.1
    assert "ColdStart" not in process.counted()[0]


def test_where_the_system_does_not_say_when_a_process_began_nothing_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "ColdStart" not in Process(capsys, age=lambda: None).counted()[0]
