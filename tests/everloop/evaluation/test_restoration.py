"""The gate's verdict on an older version that is to come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.evaluation.report import OlderFacts, Report
from everloop.evaluation.restoration import Expected, decide
from everloop.instants import parse_instant
from everloop.model_file.schema import Gate
from tests.everloop.evaluation.builders import as_served_of, labels_and_truth, policy, report_of

LABELS, TRUTH = labels_and_truth(1)
FADED = 0.5 * TRUTH + 0.2
OLDER = OlderFacts(2, "m" * 64, parse_instant("2012-12-01T00:00:00Z"))
EXPECTED = Expected("delay", "train-0123", "abc", 2, "m" * 64, 1200, 3, asked_for=False, scores="served")


def report(older: np.ndarray, champion: np.ndarray, **changes: Any) -> Report:
    served = as_served_of(LABELS, older, champion)
    return replace(report_of(LABELS, older, champion, as_served=served), older=OLDER, **changes)


def failed(found: Report, gate: Gate, **changes: Any) -> list[str]:
    return [r.code for r in decide(found, gate, replace(EXPECTED, **changes)).reasons if not r.passed]


def test_a_version_that_answers_the_newest_rows_better_may_come_back() -> None:
    verdict = decide(report(TRUTH, FADED), policy(), EXPECTED)
    assert verdict.passed
    (registered,) = [r for r in verdict.reasons if r.code == "registered_files"]
    assert "on the 1,000 of 1,200 test rows after 2012-12-01T00:00:00Z" in registered.sentence


def test_not_worse_is_enough_for_a_person_and_for_nobody_else() -> None:
    same, gate = report(TRUTH, TRUTH), policy(policy="not_worse", margin=0.02)
    assert failed(same, gate, asked_for=True) == []
    assert failed(same, gate, asked_for=False) == ["better_than_champion"]


def test_a_worse_version_does_not_come_back_whoever_asks() -> None:
    for asked_for in (True, False):
        assert failed(report(FADED, TRUTH), policy(), asked_for=asked_for) == ["better_than_champion"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"older": None}, "registered_files"),
        ({"older": replace(OLDER, version=1)}, "report_mismatch"),
        ({"older": replace(OLDER, manifest_sha256="x" * 64)}, "registered_files"),
        ({"champion_version": 2}, "report_mismatch"),
        ({"run_id": "train-9"}, "report_mismatch"),
        ({"snapshot_hash": "def"}, "report_mismatch"),
        ({"rows": 1201}, "report_mismatch"),
        ({"probes": None}, "probes"),
        ({"latency_ms": None}, "latency"),
        ({"as_served": None}, "champion_scores"),
    ],
)
def test_what_the_report_does_not_say_or_says_of_something_else_refuses(changes: dict[str, Any], code: str) -> None:
    gate = policy(max_latency_ms=5)
    assert code in failed(replace(report(TRUTH, FADED), **changes), gate)


@pytest.mark.slow
@given(share=st.floats(0, 1), confidence=st.sampled_from([0.6, 0.9, 0.99]), margin=st.floats(0, 0.1))
def test_by_itself_only_what_lost_less_comes_back(share: float, confidence: float, margin: float) -> None:
    """Whatever is declared: of a mixture of truth and a faded score, none passes that is not better on these rows."""
    gate = policy(policy="not_worse", margin=margin, confidence=confidence)
    found = report(share * FADED + (1 - share) * TRUTH, 0.5 * FADED + 0.5 * TRUTH)
    if decide(found, gate, EXPECTED).passed:
        assert found.as_served is not None
        assert found.as_served.paired.difference < 0
        assert decide(found, gate, replace(EXPECTED, asked_for=True)).passed
