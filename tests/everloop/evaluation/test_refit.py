from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.refit import decide, not_made
from everloop.evaluation.refit_report import RefitReport, ScoreDifference
from everloop.evaluation.report import Latency, ParityFacts
from everloop.instants import parse_instant
from everloop.model_file.schema import Gate, Training
from everloop.training.refit_check import score_difference
from tests.everloop.evaluation.builders import REFIT_EXPECTED, labels_and_truth, policy, refit_report_of
from tests.helpers.present import present

LABELS, TRUTH = labels_and_truth(1)
TRAINING = Training(refit_max_difference=0.25)


GOOD = refit_report_of(0.9 * TRUTH + 0.05, 0.95 * TRUTH + 0.025, LABELS)


def refused(report: RefitReport, training: Training = TRAINING, gate: Gate | None = None) -> set[str]:
    """The codes of the reasons for which the evaluated sibling serves; empty when the refit does."""
    decision = decide(report, training, gate or policy(), REFIT_EXPECTED)
    codes = {reason.code for reason in decision.reasons if not reason.passed}
    assert decision.serves == ("evaluated" if codes else "refit")
    return codes


def test_a_refit_that_stays_near_and_fits_better_serves() -> None:
    decision = decide(GOOD, TRAINING, policy(max_latency_ms=10, max_artifact_mb=1), REFIT_EXPECTED)
    assert decision.serves == "refit"
    codes = [r.code for r in decision.reasons]
    assert codes == ["parity_rows", "parity_flips", "refit_difference", "refit_fit", "latency", "artifact_size"]
    assert all(r.sentence.endswith(".") for r in decision.reasons)


def test_a_refit_beyond_the_bound_does_not_serve_and_says_how_far_it_was() -> None:
    # GIVEN scores that differ by 0.2 on average, where outcomes deviate by about a half
    far = refit_report_of(TRUTH, np.clip(TRUTH + np.where(LABELS == 1, 0.2, -0.2), 0, 1), LABELS)
    assert present(far.difference.relative) > 0.25
    # WHEN a quarter is allowed, THEN the sibling serves, with the figure and the bound
    decision = decide(far, TRAINING, policy(), REFIT_EXPECTED)
    assert (decision.serves, decision.reasons[0].code) == ("evaluated", "refit_difference")
    assert (decision.reasons[0].value, decision.reasons[0].limit) == (far.difference.relative, 0.25)
    assert f"differ from the evaluated model's by {far.difference.mean:.4g} on average" in decision.reasons[0].sentence
    # AND within a wider bound the refit does
    assert refused(far, Training(refit_max_difference=1)) == set()


@pytest.mark.slow
@given(bound=st.floats(0.001, 10), shift=st.floats(0, 0.5))
def test_the_bound_is_held_exactly(bound: float, shift: float) -> None:
    scores = np.full(1000, 0.25)
    report = replace(GOOD, difference=score_difference(scores, scores + shift, LABELS))
    beyond = abs(shift) / np.std(LABELS) > bound
    if not math.isclose(abs(shift) / np.std(LABELS), bound, rel_tol=1e-9):
        assert (refused(report, Training(refit_max_difference=bound)) == {"refit_difference"}) == beyond


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_the_distance_does_not_depend_on_the_unit(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    before, after, outcomes = rng.normal(size=(3, 50))
    one = score_difference(before, after, outcomes).relative
    assert score_difference(scale * before, scale * after, scale * outcomes).relative == pytest.approx(one)
    assert score_difference(after, before, outcomes).relative == pytest.approx(one)


def test_a_refit_that_fits_what_it_learned_worse_than_a_model_that_never_saw_it_does_not_serve() -> None:
    worse = refit_report_of(TRUTH, 0.9 * TRUTH + 0.05, LABELS)
    assert refused(worse) == {"refit_fit"}
    assert refused(worse, gate=policy(margin=0.1)) == set()
    assert refused(refit_report_of(TRUTH, TRUTH, LABELS)) == set()


def test_outcomes_that_are_all_alike_can_not_judge() -> None:
    alike = refit_report_of(TRUTH, 0.9 * TRUTH, np.zeros(1000, dtype=np.int64))
    assert "refit_difference" in refused(alike, Training(refit_max_difference=10))
    assert "can't be judged" in decide(alike, TRAINING, policy(), REFIT_EXPECTED).reasons[0].sentence


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "another model": ({"model": "fraud"}, "report_mismatch"),
    "another run": ({"run_id": "train-ffff"}, "report_mismatch"),
    "another snapshot": ({"snapshot_hash": "abd"}, "report_mismatch"),
    "another evaluation": ({"report_sha256": "9" * 64}, "report_mismatch"),
    "other code": ({"code_sha256": "c0d3"}, "report_mismatch"),
    "other test rows": ({"rows": 999, "parity": ParityFacts(999, 0.0, 0)}, "report_mismatch"),
    "the train rows alone": ({"learned_rows": 9000}, "report_mismatch"),
    "older rows": ({"learned_until": parse_instant("2013-02-09T06:00:00Z")}, "report_mismatch"),
    "another sibling": (
        {"evaluated_files": {**REFIT_EXPECTED.evaluated_files, "model.onnx": "8" * 64}},
        "report_mismatch",
    ),
    "a sibling without a contract": ({"evaluated_files": {"model.onnx": "0" * 64}}, "report_mismatch"),
    "a sibling with more": ({"evaluated_files": {**REFIT_EXPECTED.evaluated_files, "x": "8"}}, "report_mismatch"),
    "parity of some rows": ({"parity": ParityFacts(999, 0.0, 0)}, "parity_rows"),
    "a flipped label": ({"parity": ParityFacts(1000, 0.1, 1)}, "parity_flips"),
    "another metric": ({"metric": "brier"}, "refit_fit"),
    "a loss that is none": ({"refit_loss": math.nan}, "refit_fit"),
    "a distance that is none": ({"difference": ScoreDifference(math.nan, 0, 0, 0, 0.5)}, "refit_difference"),
    "slower than declared": ({"latency_ms": Latency(1, 11)}, "latency"),
    "larger than declared": ({"artifact_bytes": 1_000_001}, "artifact_size"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_is_not_shown_leaves_the_evaluated_sibling_to_serve(name: str) -> None:
    changes, code = FAULTY[name]
    gate = policy(max_latency_ms=10, max_artifact_mb=1)
    assert refused(GOOD, gate=gate) == set()
    assert refused(replace(GOOD, **changes), gate=gate) == {code}


def test_a_refit_leaves_the_rows_of_held_out_groups_out() -> None:
    expected = replace(REFIT_EXPECTED, held_out_rows=100)
    older = replace(GOOD, learned_until=parse_instant("2013-02-09T06:00:00Z"))
    without = replace(older, learned_rows=GOOD.learned_rows - 100)
    assert decide(without, TRAINING, policy(), expected).serves == "refit"
    # WHEN it has learned all rows, or any later than there are, THEN it is of another run
    newer = replace(without, learned_until=parse_instant("2023-02-09T06:00:00Z"))
    assert [decide(one, TRAINING, policy(), expected).serves for one in (older, newer)] == ["evaluated"] * 2


def test_a_refit_that_was_not_made_leaves_the_sibling_with_the_cause() -> None:
    decision = not_made("train.py line 2: ZeroDivisionError: division by zero")
    (reason,) = decision.as_dict()["reasons"]
    assert (decision.serves, reason["code"], reason["passed"]) == ("evaluated", "refit_failed", False)
    assert "ZeroDivisionError" in reason["sentence"]


def test_the_report_is_read_as_it_was_written() -> None:
    assert RefitReport.from_json(GOOD.to_json()) == GOOD


@pytest.mark.parametrize("name", list(json.loads(GOOD.to_json())))
def test_a_report_that_lacks_something_is_refused(name: str) -> None:
    document = json.loads(GOOD.to_json())
    del document[name]
    with pytest.raises(ReportError, match=f"{name} is missing"):
        RefitReport.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "null", "[" * 100_000])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ReportError, match=r"is not JSON|it is .*, not an object"):
        RefitReport.from_json(text)


@pytest.mark.parametrize(("name", "value"), [("rows", "many"), ("difference", 7), ("parity", None), ("files", [])])
def test_a_report_with_another_kind_of_value_is_refused(name: str, value: Any) -> None:
    document = json.loads(GOOD.to_json()) | {name: value}
    with pytest.raises(ReportError, match=f"{name} is .*, not "):
        RefitReport.from_json(json.dumps(document))
