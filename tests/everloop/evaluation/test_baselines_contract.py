"""What every baseline rule keeps, and that a rule of one's own is a file and its registration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.evaluation import baselines
from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.evaluation.baselines import BASELINES, GO_BY_A_FEATURE
from everloop.evaluation.exceptions import EvaluationError
from tests.helpers.declarations import binary_document, declare
from tests.helpers.seams import add

RULES = pytest.mark.parametrize("kind", BASELINES.names)
GROUPS = st.sampled_from(["", "AA", "ü", "new"])


def learned(kind: str, target: list[float], groups: list[str]) -> Baseline:
    goes_by = {"by": "carrier", "groups": groups} if kind in GO_BY_A_FEATURE else {}
    return fit_baseline(kind, np.array(target, dtype=np.float64), **goes_by)


@RULES
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), GROUPS), min_size=1, max_size=40), st.lists(GROUPS, max_size=9))
def test_rates_are_answered_with_rates_to_any_rows(kind: str, rows: list[tuple[float, str]], asked: list[str]) -> None:
    rule = learned(kind, [y for y, _ in rows], [g for _, g in rows])
    answers = rule.scores(len(asked), asked)
    assert answers.shape == (len(asked),)
    assert answers.dtype == np.float64
    assert ((answers >= 0) & (answers <= 1)).all()


@RULES
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), GROUPS), min_size=1, max_size=40))
def test_what_was_learned_travels_as_json_and_the_rule_keeps_nothing(kind: str, rows: list[tuple[float, str]]) -> None:
    groups = [g for _, g in rows]
    rule = learned(kind, [y for y, _ in rows], groups)
    before = rule.scores(len(rows), groups)
    learned(kind, [1.0], ["AA"])
    again = Baseline.from_dict(json.loads(json.dumps(rule.as_dict())))
    assert again == rule
    assert np.array_equal(again.scores(len(rows), groups), before)
    assert np.isfinite(before).all()


@RULES
def test_no_rows_and_missing_groups_are_refused(kind: str) -> None:
    with pytest.raises(EvaluationError):
        learned(kind, [], [])
    if kind in GO_BY_A_FEATURE:
        with pytest.raises(EvaluationError):
            fit_baseline(kind, np.array([1.0]))
        with pytest.raises(EvaluationError):
            learned(kind, [1.0], ["AA"]).scores(2)


def test_one_is_added_by_its_file_and_its_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a declaration that names a rule nobody knows
    document = binary_document()
    document["problem"]["baseline"] = {"kind": "median"}
    with pytest.raises(ValueError, match="'prior' or 'group_mean'"):
        declare(document)
    # WHEN its file and its name are there
    source = """
    import numpy as np

    from everloop.evaluation.baselines import Learned


    class Median:
        def fit(self, target, groups):
            return Learned(float(np.median(target)), {})

        def scores(self, learned, rows, groups):
            return np.full(rows, learned.value)


    RULE = Median()
    """
    add(monkeypatch, tmp_path, baselines.BASELINES, "median", source)
    # THEN the declaration holds, the rule learns, travels and answers
    declared = declare(document).problem.baseline
    rule = fit_baseline(declared.kind, np.array([0.0, 1.0, 5.0]), by=declared.by)
    assert Baseline.from_dict(json.loads(json.dumps(rule.as_dict()))).scores(2).tolist() == [1.0, 1.0]
    # AND what is asked of a rule that goes by no feature is asked of it too
    document["problem"]["baseline"] = {"kind": "median", "by": "line"}
    with pytest.raises(ValueError, match="no 'by' with the kind median"):
        declare(document)
