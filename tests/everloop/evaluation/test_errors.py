"""Where a model fails and what its answers depend on; whether more rows would help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.error_page import errors_told, learning_told
from everloop.evaluation.error_report import Errors
from everloop.evaluation.errors import DEPENDENCES, MASKED, MISSING, WORST, errors_of
from everloop.evaluation.learning_report import LearningCurve, LearningPoint, more_rows
from everloop.evaluation.metrics import row_losses
from everloop.evaluation.report import Report
from everloop.evaluation.robustness import Rows
from tests.everloop.evaluation.builders import labels_and_truth, report_of
from tests.everloop.evaluation.test_robustness import CONTRACT, labelled, score
from tests.helpers.present import present


def rows_in_days() -> Rows:
    rows = labelled()
    return replace(rows, days=np.datetime64("2013-01-01", "D") + rows.days)


def analysed(rows: Rows | None = None, **changes: object) -> Errors:
    rows = rows or rows_in_days()
    scores = score(rows.num, rows.cat)
    arguments: dict[str, Any] = {"metric": "log_loss", "seed": 7, **changes}
    return errors_of(CONTRACT, score, rows, scores, **arguments)


def test_confusion_counts_every_row_once() -> None:
    rows = rows_in_days()
    found = analysed().confusion
    assert found is not None
    acts = score(rows.num, rows.cat) >= 0.5
    assert found.true_positives == (acts & (rows.labels == 1)).sum()
    assert found.false_positives + found.true_positives == acts.sum()
    assert found.false_negatives + found.true_negatives == (~acts).sum()


def test_worst_rows_are_those_with_the_largest_loss_and_personal_values_are_masked() -> None:
    rows = rows_in_days()
    num = rows.num.copy()
    num[:, 3] = np.nan
    worst = analysed(replace(rows, num=num), personal={"line", "wind"}).worst
    assert len(worst) == WORST
    losses = np.sort(row_losses("log_loss", rows.labels, score(num, rows.cat)))[::-1]
    assert [one.loss for one in worst] == pytest.approx(losses[:WORST])
    assert {one.features["line"] for one in worst} == {one.features["wind"] for one in worst} == {MASKED}
    assert {one.features["free"] for one in worst} == {MISSING}
    assert worst[0].day.startswith("2013-01-")


def test_a_feature_is_as_important_as_the_model_depends_on_it() -> None:
    importance = {one.feature: one for one in analysed().importance}
    assert list(importance)[:2] == ["wind", "line"]
    assert importance["wind"].low is not None
    assert importance["wind"].low > 0
    # What the model does not use changes nothing.
    assert importance["temperature_f"].increase == importance["desk"].increase == 0


def test_dependence_is_the_mean_score_with_one_value_everywhere() -> None:
    rows = rows_in_days()
    found = {one.feature: one for one in analysed().dependence}
    assert len(found) == DEPENDENCES
    wind = found["wind"]
    scores = [present(one) for one in wind.scores]
    assert scores == sorted(scores)
    num = rows.num.copy()
    num[:, 0] = np.min(num[:, 0])
    assert wind.scores[0] == pytest.approx(score(num, rows.cat).mean())
    assert found["line"].values == ("north", "south")
    assert "wind" not in {one.feature for one in analysed(personal={"wind"}).dependence}


def test_a_column_that_is_missing_everywhere_has_no_dependence_to_show() -> None:
    rows = rows_in_days()
    num = np.where(np.arange(4) == 3, np.nan, rows.num)
    found = {one.feature: one for one in analysed(replace(rows, num=num)).dependence}
    assert found["free"].values == ()


@pytest.mark.parametrize("count", [1, 3])
def test_few_rows_are_analysed_too(count: int) -> None:
    found = analysed(rows_in_days().at(np.arange(count)))
    assert len(found.worst) == found.rows == count
    assert "".join(errors_told(found))


def test_a_regression_has_no_confusion() -> None:
    rows = rows_in_days()
    contract = replace(CONTRACT, problem_type="regression")
    found = errors_of(contract, score, rows, score(rows.num, rows.cat), metric="mae", seed=7)
    assert found.confusion is None


CURVE = LearningCurve(
    "log_loss", 200, (LearningPoint(400, 0.5, 0.4, 0.6), LearningPoint(800, 0.4, 0.3, 0.5)), -0.1, -0.2, -0.02
)


@pytest.mark.parametrize(
    ("curve", "told"),
    [
        (CURVE, "changed log_loss by -0.1 (95%: -0.2 to -0.02): more rows still help."),
        (replace(CURVE, high=0.01), "it is not shown that more rows help"),
        (replace(CURVE, change=0.1, low=0.05, high=0.2), "more rows made it worse"),
        (replace(CURVE, low=None, high=None), "how sure that is can't be said"),
        (replace(CURVE, change=None), "is not known"),
    ],
)
def test_what_a_curve_says_of_more_rows(curve: LearningCurve, told: str) -> None:
    assert told in more_rows(curve)
    assert told.split(":")[0] in "".join(learning_told(curve)).replace("&#x27;", "'")


def test_the_report_keeps_both() -> None:
    labels, truth = labels_and_truth(1)
    report = report_of(labels, truth, None, errors=analysed(), learning_curve=CURVE)
    assert Report.from_json(report.to_json()) == report


class TestSeveralClasses:
    """GIVEN the same model as one of two classes by name."""

    CONTRACT = replace(CONTRACT, problem_type="multiclass_classification", classes=("on_time", "late"))

    @staticmethod
    def score(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        late = score(num, cat)
        return np.column_stack([1 - late, late])

    def found(self) -> Errors:
        rows = rows_in_days()
        return errors_of(self.CONTRACT, self.score, rows, self.score(rows.num, rows.cat), metric="log_loss", seed=7)

    def test_importance_is_that_of_one_chance(self) -> None:
        found, beside = self.found(), analysed()
        ours, theirs = ({one.feature: one.increase for one in of.importance} for of in (found, beside))
        assert ours == pytest.approx(theirs)
        assert found.confusion is None

    def test_each_class_has_its_own_dependence_and_they_are_all_of_it_together(self) -> None:
        found = self.found()
        assert [one.of_class for one in found.dependence] == ["on_time", "late"] * DEPENDENCES
        for on_time, late, chance in zip(
            found.dependence[::2], found.dependence[1::2], analysed().dependence, strict=True
        ):
            assert late.scores == pytest.approx(chance.scores)
            both = [present(one) + present(other) for one, other in zip(on_time.scores, late.scores, strict=True)]
            assert both == pytest.approx([1.0] * len(both))
        # THEN with many classes fewer features are shown
        many = replace(self.CONTRACT, classes=tuple(f"c{n}" for n in range(20)))
        rows = rows_in_days()

        def wide(num: np.ndarray | None, cat: np.ndarray | None) -> np.ndarray:
            return np.pad(self.score(present(num), present(cat)), ((0, 0), (0, 18)))

        found = errors_of(many, wide, rows, wide(rows.num, rows.cat), metric="log_loss", seed=7)
        assert len(found.dependence) == 20

    def test_the_worst_rows_say_what_came_and_what_was_answered(self) -> None:
        worst, told = self.found().worst[0], "".join(errors_told(self.found()))
        assert {worst.came, worst.answered} == {"on_time", "late"}
        assert worst.loss == pytest.approx(-np.log(worst.score))
        assert "<th>probability of the outcome</th>" in told.replace('<th class="n">', "<th>")
        assert "mean probability of late if all rows had this wind" in told
        assert "The mean probability of late:" in told
