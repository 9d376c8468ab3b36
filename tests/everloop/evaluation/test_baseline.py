from __future__ import annotations

import json

import numpy as np
import pytest

from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.evaluation.exceptions import EvaluationError


def test_the_prior_answers_the_rate_to_everyone() -> None:
    assert fit_baseline("prior", np.array([0, 0, 0, 1])).scores(3).tolist() == [0.25] * 3


def test_groups_are_answered_by_their_own_mean_and_new_ones_by_the_overall_mean() -> None:
    target = np.array([1.0] * 100 + [0.0] * 300)
    groups = ["AA"] * 100 + ["UA"] * 300
    rule = fit_baseline("group_mean", target, by="carrier", groups=groups)
    answers = rule.scores(3, ["AA", "UA", "new"])
    assert answers == pytest.approx([100.25 / 101, 0.25 / 301, 0.25])


def test_a_small_group_is_never_certain() -> None:
    rule = fit_baseline("group_mean", np.array([0, 1, 1, 0]), by="g", groups=["a", "b", "b", "a"])
    assert all(0 < p < 1 for p in rule.groups.values())


def test_the_rule_survives_json() -> None:
    rule = fit_baseline("group_mean", np.array([0.0, 3.0]), by="g", groups=["", "ü"])
    assert Baseline.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no training rows"):
        fit_baseline("prior", np.array([]))
    with pytest.raises(EvaluationError, match="group_mean"):
        fit_baseline("group_mean", np.array([1.0]))
    with pytest.raises(EvaluationError, match="'g' of each row"):
        Baseline("group_mean", 0.5, "g", {}).scores(2)
    with pytest.raises(EvaluationError, match="is not one"):
        Baseline.from_dict({"kind": "prior"})
