from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.busy_services import ServiceBusyError
from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.refit_report import ScoreDifference
from everloop.evaluation.report import OlderFacts
from everloop.functions.gate.handler import Services
from everloop.functions.gate.handler import act as handle
from everloop.instants import parse_instant
from tests.everloop.evaluation.builders import as_served_of, labels_and_truth, refit_report_of, report_of
from tests.fakes.object_store import FakeS3
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present

KEY = "runs/late_train/train-0123/evaluation/report.json"
LABELS, TRUTH = labels_and_truth(1)
GATE = {"metric": "log_loss", "minimum_test_rows": 500}
DECLARATION = declare(binary_document(gate=GATE))


def act(event: Any, using: Services) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


def event(**changes: Any) -> dict[str, Any]:
    return {
        "action": "candidate",
        "run": {"run_id": "train-0123", "champion": {"version": 3, "artifact_uri": "s3://a/artifacts/x/"}},
        "snapshot": {"snapshot_hash": "abc", "rows": {"train": 9000, "test": 1000}},
        "evaluation_uri": "s3://lake/runs/late_train/train-0123/evaluation/",
        "at": "2013-03-01T05:00:00Z",
        "execution": "train-0123",
    } | changes


def services(text: str | None) -> Services:
    return Services(FakeS3({} if text is None else {KEY: text.encode()}), DECLARATION)


def report_text(champion: Any = 0.5 * TRUTH + 0.2, **changes: Any) -> str:
    served = None if champion is None else as_served_of(LABELS, TRUTH, champion)
    return report_of(LABELS, TRUTH, champion, model="late_train", as_served=served, **changes).to_json()


def test_a_good_candidate_passes_with_its_metrics() -> None:
    answer = act(event(), services(report_text()))
    assert answer["verdict"] == "pass"
    assert set(answer) == {"verdict", "reasons", "metrics", "money", "report_sha256"}
    assert present(answer["money"])["candidate"]["value"] < present(answer["money"])["baseline"]["value"]
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


@pytest.mark.parametrize(("recalibration", "verdict"), [({}, "fail"), ("none", "pass")])
def test_the_declaration_says_which_scores_the_champion_is_judged_by(recalibration: Any, verdict: str) -> None:
    """GIVEN a candidate that is better by raw scores, and no better once both are recalibrated."""
    served = as_served_of(LABELS, TRUTH, TRUTH)
    text = report_of(LABELS, TRUTH, 0.5 * TRUTH + 0.2, model="late_train", as_served=served).to_json()
    using = Services(services(text).s3, declare(binary_document(gate=GATE) | {"recalibration": recalibration}))
    answer = act(event(), using)
    assert answer["verdict"] == verdict
    (told,) = [r["sentence"] for r in answer["reasons"] if r["code"] == "champion_scores"]
    assert ("callers would have got" in told) == (recalibration == {})


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


CHECKED = "runs/late_train/train-0123/refit_check/refit.json"


def refit_event(text: str, **changes: Any) -> dict[str, Any]:
    snapshot = {**event()["snapshot"], "time_range": ["2013-01-01T00:00:00Z", "2013-02-10T06:00:00Z"]}
    gate = {"verdict": "pass", "report_sha256": hashlib.sha256(text.encode()).hexdigest()}
    uri = "s3://lake/runs/late_train/train-0123/refit_check/"
    return event(action="refit", snapshot=snapshot, gate=gate, refit_uri=uri, **changes)


def refit_services(text: str, **changes: Any) -> Services:
    """The candidate's report, and the check of a refit that is a little nearer to the truth."""
    facts: dict[str, Any] = {"model": "late_train", "report_sha256": hashlib.sha256(text.encode()).hexdigest()}
    facts["evaluated_files"] = {"model.onnx": "0" * 64}
    checked = refit_report_of(0.9 * TRUTH + 0.05, TRUTH, LABELS, **{**facts, **changes}).to_json()
    return Services(FakeS3({KEY: text.encode(), CHECKED: checked.encode()}), DECLARATION)


def test_a_sound_refit_serves_and_the_decision_names_the_check_by_its_bytes() -> None:
    text = report_text()
    using = refit_services(text)
    answer = act(refit_event(text), using)
    assert answer["serves"] == "refit", answer["reasons"]
    assert answer["report_sha256"] == hashlib.sha256(using.s3.objects[CHECKED]).hexdigest()
    assert set(answer) == {"serves", "reasons", "report_sha256"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"learned_rows": 9000}, "report_mismatch"),
        ({"learned_until": parse_instant("2013-02-03T06:00:00Z")}, "report_mismatch"),
        ({"difference": ScoreDifference(4.0, 4.0, 4.0, 4.0, 0.5)}, "refit_difference"),
        ({"refit_loss": 9.0}, "refit_fit"),
    ],
)
def test_an_unsound_refit_leaves_the_evaluated_model(changes: dict[str, Any], code: str) -> None:
    text = report_text()
    answer = act(refit_event(text), refit_services(text, **changes))
    assert (answer["serves"], answer["reasons"][0]["code"]) == ("evaluated", code)


def test_a_report_exchanged_since_the_verdict_is_refused() -> None:
    text = report_text()
    using = refit_services(text)
    using.s3.objects[KEY] += b"\n"
    with pytest.raises(ReportError, match="replaced in between"):
        act(refit_event(text), using)


def test_a_check_that_left_no_report_is_refused() -> None:
    text = report_text()
    using = refit_services(text)
    del using.s3.objects[CHECKED]
    with pytest.raises(ReportError, match=r"refit_check/refit\.json is missing"):
        act(refit_event(text), using)


def test_a_failed_job_of_a_refit_is_told_by_its_sentence() -> None:
    cause = 'States.TaskFailed: {"FailureReason": "AlgorithmError: train.py line 2: out of rows", "X": 1}'
    answer = act({"action": "refit_failed", "cause": cause, "at": "", "execution": ""}, services(None))
    assert (answer["serves"], answer["report_sha256"]) == ("evaluated", None)
    assert answer["reasons"][0]["sentence"].endswith("AlgorithmError: train.py line 2: out of rows")


def test_another_action_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'promote'"):
        act(event(action="promote"), services(report_text()))


class TestAnOlderVersion:
    """GIVEN the report on version 2, which is to come back beside version 3."""

    OLDER = OlderFacts(2, "m" * 64, parse_instant("2012-12-01T00:00:00Z"))

    def older_event(self, **changes: Any) -> dict[str, Any]:
        older = {"version": 2, "artifact_uri": "s3://a/artifacts/x/2/", "manifest_sha256": "m" * 64, "asked_for": False}
        run = {**event()["run"], "kind": "restore", "older": {**older, **changes}}
        return event(action="older", run=run)

    def test_it_passes_where_it_is_better_with_the_report_it_is_about(self) -> None:
        text = report_text(older=self.OLDER)
        answer = act(self.older_event(), services(text))
        assert answer["verdict"] == "pass"
        assert answer["report_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert "registered_files" in {reason["code"] for reason in answer["reasons"]}

    @pytest.mark.parametrize(
        ("changes", "code"),
        [({"version": 1}, "report_mismatch"), ({"manifest_sha256": "x" * 64}, "registered_files")],
    )
    def test_a_report_on_another_version_or_other_files_fails(self, changes: dict[str, Any], code: str) -> None:
        answer = act(self.older_event(**changes), services(report_text(older=self.OLDER)))
        assert answer["verdict"] == "fail"
        assert answer["reasons"][0]["code"] == code

    def test_who_asked_decides_whether_not_worse_is_enough(self) -> None:
        policy = declare(binary_document(gate={**GATE, "policy": "not_worse", "margin": 0.02}))
        using = Services(services(report_text(champion=TRUTH, older=self.OLDER)).s3, policy)
        assert act(self.older_event(asked_for=True), using)["verdict"] == "pass"
        assert act(self.older_event(asked_for=False), using)["verdict"] == "fail"

    def test_what_is_waived_does_not_refuse_and_says_so(self) -> None:
        policy = declare(binary_document(gate={**GATE, "policy": "not_worse", "margin": 0.02}))
        using = Services(services(report_text(champion=TRUTH, older=self.OLDER)).s3, policy)
        waived = {"code": "better_than_champion", "until": "2013-09-01T00:00:00Z", "by": "bob", "why": "for the summer"}
        answer = act(self.older_event(waived=[waived]), using)
        assert answer["verdict"] == "pass"
        (told,) = [reason for reason in answer["reasons"] if reason.get("waived")]
        assert told["sentence"].startswith("Waived until 2013-09-01T00:00:00Z by bob: for the summer — ")
        assert act(self.older_event(waived=[{**waived, "code": "latency"}]), using)["verdict"] == "fail"
