"""What no model may come through with: each is refused, and the reason says what is the matter and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from everloop.dataset.exceptions import LeakageSuspectedError
from everloop.dataset.snapshot_making import check, look_for_leakage
from everloop.evaluation.exceptions import EvaluationError, ReportError
from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.metrics import estimate
from everloop.evaluation.report import Report
from everloop.reasons import Reason
from everloop.registry.commands import decoded
from everloop.registry.exceptions import CommandRefusedError
from tests.everloop.dataset.test_leakage import BOUNDARY, declaration, frame
from tests.everloop.dataset.test_snapshot_making import AS_OF, PLACE, Engine
from tests.everloop.evaluation.builders import EXPECTED, labels_and_truth, policy, report_of
from tests.everloop.evaluation.test_slices import RARE, reasons
from tests.everloop.evaluation.test_slices import report as sliced

LABELS, TRUTH = labels_and_truth(1)
FIRST = replace(EXPECTED, champion_version=None)


def refused(report: Report, expected: Expected = FIRST, **gate: Any) -> dict[str, Reason]:
    verdict = decide(report, policy(**gate), expected)
    assert not verdict.passed
    return {reason.code: reason for reason in verdict.reasons if not reason.passed}


def test_a_good_candidate_passes_so_that_what_follows_refuses_by_its_own_fault() -> None:
    assert decide(report_of(LABELS, TRUTH, None), policy(), FIRST).passed


def test_a_test_part_of_a_few_rows_of_one_day() -> None:
    found = refused(report_of(LABELS, TRUTH, None, rows=40, days=1), replace(FIRST, test_rows=40))
    assert {"minimum_test_rows", "too_few_rows", "too_few_days"} <= found.keys()
    assert "too few to judge a model; at least 183 are required" in found["too_few_rows"].sentence
    assert "Declare more data.split.test_days" in found["too_few_days"].sentence


def test_an_empty_test_part() -> None:
    with pytest.raises(EvaluationError, match="log_loss of labels"):
        estimate("log_loss", np.array([]), np.array([]))


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_one_class_alone(label: int) -> None:
    found = refused(report_of(np.full(len(LABELS), label), TRUTH, None))
    assert f"0 rows of class {1 - label}, on 0 of 20 days: too few" in found["too_few_of_a_class"].sentence


def test_a_slice_of_three_rows_is_not_judged_and_its_name_is_said() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 30"):
        policy(slices={"by": [{"by": "origin"}], "minimum_rows": 3})
    told = reasons(sliced(TRUTH, RARE), max_worse_than_baseline=0.0)[0]
    assert "1 smaller one was not judged: origin = XYZ (3 rows)" in told.sentence


@pytest.mark.parametrize("answer", [np.nan, np.inf, -0.1, 1.1])
def test_a_prediction_that_is_no_probability(answer: float) -> None:
    scores = TRUTH.copy()
    scores[7] = answer
    with pytest.raises(EvaluationError, match=r"the score of row 7 is .*: not (finite|a probability)"):
        estimate("log_loss", LABELS, scores)


def test_a_model_that_answers_the_same_to_everyone() -> None:
    found = refused(report_of(LABELS, np.full(len(LABELS), LABELS.mean()), None))
    assert "minus the baseline's is +0, and" in found["better_than_baseline"].sentence
    assert "required is better at all" in found["better_than_baseline"].sentence


def test_an_edited_report_is_not_registered() -> None:
    text = report_of(LABELS, TRUTH, None).to_json()
    command = {
        "command": "RegisterVersion",
        "run_id": "train-1",
        "snapshot_hash": "s1",
        "code_sha256": "c",
        "files": {"report.json": {"sha256": "edited", "bytes": len(text)}},
        "metrics": {},
        "gate": {"verdict": "pass", "reasons": [], "report_sha256": "judged"},
        "at": "2013-03-01T00:00:00Z",
        "actor": "t",
        "refit": None,
    }
    with pytest.raises(CommandRefusedError, match=r"the gate judged the report 'judged', but files has report\.json"):
        decoded(command, "register")


def test_a_report_of_another_run_or_one_that_is_broken() -> None:
    found = refused(report_of(LABELS, TRUTH, None, run_id="train-9", rows=999))
    assert found["report_mismatch"].sentence.startswith("The report belongs to another run: its ")
    with pytest.raises(ReportError, match="not JSON"):
        Report.from_json(report_of(LABELS, TRUTH, None).to_json()[:-40])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.athena.connection.close()


@pytest.mark.slow
def test_a_leak_that_was_planted_in_a_feature(engine: Engine) -> None:
    rows = frame()
    declared = declaration(leakage="stop")
    engine.freeze(rows.assign(distance=rows["label"] * 10 + np.arange(len(rows)) * 1e-6))
    checked = check(engine.queries, declared, PLACE, AS_OF)
    with pytest.raises(LeakageSuspectedError, match="distance"):
        look_for_leakage(engine.queries, declared, PLACE, checked, BOUNDARY)
