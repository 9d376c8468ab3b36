"""What every baseline rule keeps, and that a rule of one's own is a file and its registration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.evaluation import baselines
from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.evaluation.baselines import BASELINES, CLASSES_ONLY, KEYS, OF_SEVERAL_CLASSES, Asked, Rows
from everloop.evaluation.exceptions import EvaluationError
from tests.helpers.declarations import binary_document, declare
from tests.helpers.seams import add

RULES = pytest.mark.parametrize("kind", BASELINES.names)
NUMBER_RULES = pytest.mark.parametrize("kind", [kind for kind in BASELINES.names if kind not in CLASSES_ONLY])
GROUPS = st.sampled_from(["", "AA", "ü", "new"])
NUMBERS = st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6))
ROW = st.tuples(NUMBERS, GROUPS, st.integers(0, 20), st.booleans())
"""A number, a category, the day, and what the rule in force says."""


def asked(kind: str, *, classification: bool = True) -> Asked:
    expression = "delay > 0 and carrier != 'AA'" if classification else "abs(delay) + 1"
    return Asked(
        classification,
        by="carrier" if "by" in KEYS.get(kind, {}) else None,
        expression=expression if "expression" in KEYS.get(kind, {}) else None,
        numbers=("delay",),
        categories=("carrier",),
    )


def rows_of(rows: list[tuple[float, str, int, bool]], outcomes: list[float] | None = None) -> Rows:
    return Rows(
        features={
            "delay": np.array([row[0] for row in rows], dtype=np.float64),
            "carrier": np.array([row[1] for row in rows], dtype=object),
        },
        times=np.array([np.datetime64("2024-01-01", "ms") + np.timedelta64(row[2], "D") for row in rows], "M8[ms]"),
        outcomes=None if outcomes is None else np.array(outcomes, dtype=np.float64),
        lag=np.timedelta64(36 * 3_600_000, "ms"),
        answers=np.array([row[3] for row in rows], dtype=np.float64),
    )


@pytest.mark.slow
@RULES
@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), ROW), min_size=1, max_size=40),
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), ROW), max_size=9),
)
def test_classes_are_answered_with_probabilities_to_any_rows(
    kind: str, learned: list[tuple[float, tuple[Any, ...]]], later: list[tuple[float, tuple[Any, ...]]]
) -> None:
    rule = fit_baseline(kind, asked(kind), rows_of([r for _, r in learned]), np.array([y for y, _ in learned]))
    answers = rule.answer(asked(kind), rows_of([r for _, r in later], [y for y, _ in later]))
    assert answers.scores.shape == (len(later),)
    assert answers.scores.dtype == np.float64
    assert ((answers.scores >= 0) & (answers.scores <= 1)).all()
    assert answers.acts is None or answers.acts.dtype == bool


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(OF_SEVERAL_CLASSES))
@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 3), ROW), min_size=1, max_size=40),
    st.lists(ROW, max_size=9),
)
def test_of_several_classes_each_row_is_answered_with_shares_that_add_up(
    kind: str, learned: list[tuple[int, tuple[Any, ...]]], later: list[tuple[Any, ...]]
) -> None:
    of = replace(asked(kind, classification=False), classes=4)
    target = np.array([float(y) for y, _ in learned])
    rule = fit_baseline(kind, of, rows_of([r for _, r in learned]), target)
    again = Baseline.from_dict(json.loads(json.dumps(rule.as_dict(), allow_nan=False)))
    scores = again.answer(of, rows_of(later)).scores
    assert scores.shape == (len(later), 4)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(later)))
    # AND a class that training had is never ruled out
    assert (scores[:, np.unique(target.astype(int))] > 0).all()


@pytest.mark.slow
@NUMBER_RULES
@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), ROW), min_size=1, max_size=40))
def test_what_was_learned_travels_as_json_and_the_rule_keeps_nothing(
    kind: str, told: list[tuple[float, tuple[Any, ...]]]
) -> None:
    of, rows = asked(kind, classification=False), rows_of([r for _, r in told], [y for y, _ in told])
    rule = fit_baseline(kind, of, rows, np.array([y for y, _ in told]))
    before = rule.answer(of, rows).scores
    fit_baseline(kind, of, rows_of([(1.0, "AA", 0, True)]), np.array([1.0]))
    again = Baseline.from_dict(json.loads(json.dumps(rule.as_dict(), allow_nan=False)))
    assert again == rule
    assert np.array_equal(again.answer(of, rows).scores, before)
    assert np.isfinite(before).all()


def test_a_group_is_answered_with_its_own_shares_of_each_class() -> None:
    rows = rows_of([(0.0, "AA", 0, True)] * 3 + [(0.0, "ü", 0, True)])
    of = replace(asked("group_mean", classification=False), classes=3)
    rule = fit_baseline("group_mean", of, rows, np.array([0.0, 0.0, 1.0, 2.0]))
    scores = rule.answer(of, rows_of([(0.0, group, 9, True) for group in ("AA", "ü", "new")])).scores
    # one row more at the overall shares: a half, a quarter and a quarter
    assert scores == pytest.approx(
        np.array([[2.5 / 4, 1.25 / 4, 0.25 / 4], [0.5 / 2, 0.25 / 2, 1.25 / 2], [0.5, 0.25, 0.25]])
    )


@pytest.mark.slow
@RULES
@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), ROW), min_size=2, max_size=30), st.data())
def test_no_rule_sees_an_outcome_that_was_not_known_yet(
    kind: str, told: list[tuple[float, tuple[Any, ...]]], data: st.DataObject
) -> None:
    # GIVEN rows whose own outcomes, and those of the rows after them, are turned round
    rows = rows_of([r for _, r in told], [y for y, _ in told])
    outcomes = np.array([y for y, _ in told])
    rule = fit_baseline(kind, asked(kind), rows, outcomes)
    place = data.draw(st.integers(0, len(told) - 1))
    unknown = rows.times + rows.lag > rows.times[place]
    other = replace(rows, outcomes=np.where(unknown, 1 - outcomes, outcomes))
    # THEN its answer is the same
    assert rule.answer(asked(kind), rows).scores[place] == rule.answer(asked(kind), other).scores[place]


@RULES
def test_no_rows_and_what_lacks_is_refused(kind: str) -> None:
    with pytest.raises(EvaluationError, match="0 training rows"):
        fit_baseline(kind, asked(kind), rows_of([]), np.array([]))
    for key, needed in KEYS.get(kind, {}).items():
        if needed and key != "script":
            nothing: dict[str, Any] = {key: None}
            with pytest.raises(EvaluationError, match=key):
                fit_baseline(kind, replace(asked(kind), **nothing), rows_of([(1.0, "AA", 0, True)]), np.array([1.0]))


def test_one_is_added_by_its_file_and_its_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a declaration that names a rule nobody knows
    document = binary_document()
    document["problem"]["baseline"] = {"kind": "median"}
    with pytest.raises(ValueError, match=r"'prior', 'group_mean', .* or 'logistic_regression'"):
        declare(document)
    # WHEN its file and its name are there
    source = """
    import numpy as np

    from everloop.evaluation.baselines import Answers, Learned


    class Median:
        def fit(self, asked, rows, target):
            return Learned(float(np.median(target)))

        def answer(self, asked, learned, rows):
            return Answers(np.full(len(rows), learned.value))


    RULE = Median()
    """
    add(monkeypatch, tmp_path, baselines.BASELINES, "median", source)
    # THEN the declaration holds, the rule learns, travels and answers
    declared = declare(document).problem.baseline
    rows = rows_of([(1.0, "AA", day, True) for day in range(3)])
    rule = fit_baseline(declared.kind, asked(declared.kind), rows, np.array([0.0, 1.0, 5.0]))
    read = Baseline.from_dict(json.loads(json.dumps(rule.as_dict())))
    assert read.answer(asked(declared.kind), rows).scores.tolist() == [1.0, 1.0, 1.0]
    # AND what is asked of a rule that goes by no feature is asked of it too
    document["problem"]["baseline"] = {"kind": "median", "by": "line"}
    with pytest.raises(ValueError, match="no 'by' with the kind median"):
        declare(document)
