from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.busy_services import ServiceBusyError
from everloop.evaluation.exceptions import ReportError
from functions.gate.handler import Services, act
from tests.everloop.evaluation.builders import labels_and_truth, report_of
from tests.fakes.object_store import FakeS3
from tests.helpers.declarations import binary_document, declare

KEY = "runs/late_train/train-0123/evaluation/report.json"
LABELS, TRUTH = labels_and_truth(1)
GATE = {"metric": "log_loss", "minimum_test_rows": 500}
DECLARATION = declare(binary_document(gate=GATE))


def event(**changes: Any) -> dict[str, Any]:
    return {
        "run": {"run_id": "train-0123", "champion": {"version": 3, "artifact_uri": "s3://a/artifacts/x/"}},
        "snapshot": {"snapshot_hash": "abc", "rows": {"train": 9000, "test": 1000}},
        "evaluation_uri": "s3://lake/runs/late_train/train-0123/evaluation/",
        "at": "2013-03-01T05:00:00Z",
        "execution": "train-0123",
    } | changes


def services(text: str | None) -> Services:
    return Services(FakeS3({} if text is None else {KEY: text.encode()}), DECLARATION)


def report_text(champion: Any = 0.5 * TRUTH + 0.2, **changes: Any) -> str:
    return report_of(LABELS, TRUTH, champion, model="late_train", **changes).to_json()


def test_a_good_candidate_passes_with_its_metrics() -> None:
    answer = act(event(), services(report_text()))
    assert answer["verdict"] == "pass"
    assert set(answer) == {"verdict", "reasons", "metrics", "report_sha256"}
    assert 0 < answer["metrics"]["log_loss"] < 1


def test_the_verdict_names_the_report_it_is_about_by_its_bytes() -> None:
    text = report_text()
    answer = act(event(), services(text))
    assert answer["report_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert act(event(), services(text + "\n"))["report_sha256"] != answer["report_sha256"]


def test_asking_twice_gives_the_same_answer() -> None:
    using = services(report_text())
    assert act(event(), using) == act(event(), using)


def test_the_champion_again_fails_with_the_reason_first() -> None:
    answer = act(event(), services(report_text(champion=TRUTH)))
    assert answer["verdict"] == "fail"
    first = answer["reasons"][0]
    assert (first["code"], first["passed"]) == ("better_than_champion", False)


def test_the_first_candidate_is_held_against_the_baseline_alone() -> None:
    run = {"run_id": "train-0123", "champion": None}
    assert act(event(run=run), services(report_text(champion=None)))["verdict"] == "pass"


def test_a_report_without_the_champion_that_serves_fails() -> None:
    answer = act(event(), services(report_text(champion=None)))
    assert answer["verdict"] == "fail"
    assert "report_mismatch" in {r["code"] for r in answer["reasons"]}


def test_without_a_report_nothing_passes() -> None:
    with pytest.raises(ReportError, match=r"s3://lake/runs/late_train/train-0123/evaluation/report\.json"):
        act(event(), services(None))
    with pytest.raises(ReportError, match="not JSON"):
        act(event(), services("{"))


# The pipeline tries again after the first, by its name.
@pytest.mark.parametrize(("code", "error"), [("SlowDown", ServiceBusyError), ("AccessDenied", ClientError)])
def test_a_failure_of_the_store_is_no_verdict(code: str, error: type[Exception]) -> None:
    using = services(report_text())
    using.s3.failing = code
    with pytest.raises(error, match=code):
        act(event(), using)
