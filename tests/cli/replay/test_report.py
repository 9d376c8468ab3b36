"""A person reads what set a retraining off, and what was held against it."""

from __future__ import annotations

from typing import Any

from everloop.cli.replay.report import served, told
from everloop.cli.replay.summary import RetrainingFacts, ServingFacts

PASSED = {"code": "absolute_threshold", "passed": True, "sentence": "It is good enough."}
FAILED = {"code": "better_than_baseline", "passed": False, "sentence": "It may be worse than the baseline."}


def retraining(**changes: Any) -> RetrainingFacts:
    facts: Any = {"trigger": "quality", "reason": "The answers lose 12% more.", "verdict": "pass", "version": 3}
    found: RetrainingFacts = facts | {"reasons": [PASSED], "cause": None} | changes
    return found


def test_one_that_passed() -> None:
    assert told(retraining()) == "version 3, gate: pass. quality: The answers lose 12% more."


def test_one_that_the_gate_refused() -> None:
    text = told(retraining(verdict="fail", reasons=[PASSED, FAILED]))
    assert text.endswith("lose 12% more. Against it: It may be worse than the baseline.")
    assert "good enough" not in text


def test_one_that_failed_before_its_gate() -> None:
    text = told(retraining(verdict="failed", version=None, reasons=[], cause="train.py line 3: no memory"))
    assert text == "gate: failed. quality: The answers lose 12% more. Against it: train.py line 3: no memory"


def test_a_promotion_says_which_bytes_came_to_serve() -> None:
    assert served({"version": 3, "serves": "refit", "against": []}) == ", its refit"
    kept: ServingFacts = {"version": 3, "serves": "evaluated", "against": ["It differs by 0.7.", "It fits worse."]}
    assert served(kept) == ", no refit: It differs by 0.7. It fits worse."
    assert served({**kept, "against": []}) == "", "none was to be made"
    assert served(None) == ""
