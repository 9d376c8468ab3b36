"""Calibration is told with its interval, beside what chance alone would make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everloop.evaluation.calibration_error import calibration_of
from everloop.evaluation.report import Report
from tests.everloop.evaluation.builders import DAYS, labels_and_truth, report_of

LABELS, TRUTH = labels_and_truth(1)


def test_true_chances_have_the_error_that_chance_makes() -> None:
    found = calibration_of(LABELS, TRUTH, DAYS, 7)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.error == pytest.approx(found.by_chance, rel=0.6)
    assert found.low < found.by_chance * 1.5
    assert [one.score for one in found.bins] == sorted(one.score for one in found.bins)
    assert sum(one.rows for one in found.bins) == 1000


def test_a_shift_of_all_scores_is_the_error() -> None:
    found = calibration_of(LABELS, np.minimum(TRUTH + 0.2, 1), DAYS, 7)
    assert found is not None
    assert found.error == pytest.approx(0.2, abs=0.04)
    assert found.low is not None
    assert found.low > 2 * found.by_chance


def test_it_is_the_mean_distance_of_the_curve_from_the_diagonal() -> None:
    found = calibration_of(LABELS, TRUTH**2, DAYS, 7)
    assert found is not None
    by_hand = sum(one.rows * abs(one.score - one.share) for one in found.bins) / 1000
    assert found.error == pytest.approx(by_hand)


@pytest.mark.parametrize("scores", [np.zeros(1000), np.full(1000, 0.5), np.ones(1000)])
def test_a_constant_model_has_one_bin(scores: np.ndarray) -> None:
    found = calibration_of(LABELS, scores, DAYS, 7)
    assert found is not None
    assert len(found.bins) == 1
    assert found.error == pytest.approx(abs(scores[0] - LABELS.mean()))


def test_few_rows_say_nothing_and_one_day_has_no_interval() -> None:
    assert calibration_of(LABELS[:49], TRUTH[:49], DAYS[:49], 7) is None
    found = calibration_of(LABELS, TRUTH, np.zeros(1000), 7)
    assert found is not None
    assert (found.low, found.high) == (None, None)


def test_it_is_seeded_and_survives_the_report() -> None:
    found = calibration_of(LABELS, TRUTH, DAYS, 7)
    assert found == calibration_of(LABELS, TRUTH, DAYS, 7)
    report = replace(report_of(LABELS, TRUTH, None), calibration=found)
    assert Report.from_json(report.to_json()) == report
