"""What disturbed rows do to a model's answers, and what the gate makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everloop.evaluation.metrics import row_losses
from everloop.evaluation.report import Report
from everloop.evaluation.robustness import MOST_FEATURES, Rows, robustness_of
from everloop.evaluation.robustness_gate import on_robustness
from everloop.evaluation.robustness_report import KINDS, Disturbance, Robustness
from everloop.model_file.sections.gate import GateRobustness
from everloop.reasons import Reason
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from tests.everloop.evaluation.builders import DAYS, labels_and_truth, policy, report_of

CONTRACT = ServingContract(
    model="delay",
    problem_type="binary_classification",
    key="id",
    target="late",
    threshold=0.5,
    max_rows=10,
    numbers=(
        NumberField("wind", min=0, max=40, missing="allow"),
        NumberField("temperature_f", min=-60, max=140),
        NumberField("holiday", min=0, max=1),
        NumberField("free"),
    ),
    categories=(
        CategoryField("line", values=("north", "south"), missing="allow"),
        CategoryField("desk", unseen="refuse"),
    ),
)
RNG = np.random.default_rng(3)
ROWS = Rows(
    num=np.column_stack(
        [RNG.uniform(0, 40, 1000), RNG.uniform(10, 90, 1000), RNG.integers(0, 2, 1000), RNG.normal(size=1000)]
    ),
    cat=np.column_stack([RNG.choice(["north", "south"], 1000), np.full(1000, "a")]).astype(object),
    labels=np.zeros(1000),
    days=DAYS,
)


def score(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
    """Late where the wind is strong; a missing wind counts as none."""
    z = 0.3 * (np.nan_to_num(num[:, 0]) - 20) + (cat[:, 0] == "north")
    return np.asarray(1 / (1 + np.exp(-z)))


def labelled() -> Rows:
    labels = (np.random.default_rng(4).random(1000) < score(ROWS.num, ROWS.cat)).astype(float)
    return replace(ROWS, labels=labels)


def measured(seed: int = 7) -> Robustness:
    return robustness_of(CONTRACT, score, labelled(), metric="log_loss", seed=seed)


def by_name(found: Robustness) -> dict[tuple[str, str], list[Disturbance]]:
    places: dict[tuple[str, str], list[Disturbance]] = {}
    for one in found.disturbances:
        places.setdefault((one.kind, one.feature), []).append(one)
    return places


@pytest.mark.slow
def test_only_what_the_contract_admits_is_tried() -> None:
    found = by_name(measured())
    assert {feature for kind, feature in found if kind == "missing"} == {"wind", "line"}
    assert {feature for kind, feature in found if kind == "unseen"} == {"line"}
    assert {feature for kind, feature in found if kind == "extreme"} == {"wind", "temperature_f", "holiday"}
    assert {feature for kind, feature in found if kind == "unit"} == {"wind", "temperature_f", "free"}
    assert measured().left_out == ("extremes of free: no range is declared",)


def test_a_disturbance_of_a_feature_that_the_model_does_not_use_changes_nothing() -> None:
    for one in by_name(measured())["extreme", "temperature_f"]:
        assert (one.increase, one.moved, one.flipped) == (0, 0, 0)


def test_figures_are_those_of_the_changed_rows() -> None:
    rows = labelled()
    [one] = by_name(measured())["missing", "wind"]
    without = score(np.where(np.arange(4) == 0, np.nan, rows.num), rows.cat)
    before = score(rows.num, rows.cat)
    losses = row_losses("log_loss", rows.labels, without) - row_losses("log_loss", rows.labels, before)
    assert one.increase == pytest.approx(losses.mean())
    assert one.low < one.increase < one.high  # type: ignore[operator]  # both are there
    assert one.moved == pytest.approx(np.abs(without - before).mean())
    assert one.flipped == ((without >= 0.5) != (before >= 0.5)).mean()
    assert one.rows == 1000


@pytest.mark.slow
def test_what_the_contract_refuses_is_no_answer() -> None:
    times, divided = by_name(measured())["unit", "wind"]
    assert times.refused == pytest.approx((ROWS.num[:, 0] > 0.04).mean())
    assert times.rows == 1000 - round(1000 * times.refused)
    assert divided.refused == 0
    told = [one.told for one in by_name(measured())["unit", "temperature_f"]]
    assert told[2] == "temperature_f comes in degrees Celsius instead of Fahrenheit"
    # GIVEN a range that no such row fits, THEN none is scored
    narrow = replace(CONTRACT, numbers=(NumberField("wind", min=5, max=40), *CONTRACT.numbers[1:]))
    rows = replace(labelled(), num=np.clip(ROWS.num, 6, 30))
    [gone, *_] = by_name(robustness_of(narrow, score, rows, metric="log_loss", seed=7))["unit", "wind"]
    assert (gone.refused, gone.increase, gone.rows) == (1, None, 0)


def test_the_search_finds_more_than_chance_and_never_helps() -> None:
    found = by_name(measured())
    [noise], [search] = found["noise", ""], found["search", ""]
    assert noise.increase is not None
    assert search.increase is not None
    assert search.increase > max(0.0, noise.increase)
    # It moves at most a tenth of a standard deviation: this model's log odds by a third.
    assert search.moved is not None
    assert search.moved < 0.09


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    assert measured() == measured()
    assert by_name(measured())["noise", ""] != by_name(measured(8))["noise", ""]


def test_a_row_without_a_score_is_counted_and_refused_where_its_kind_is_limited() -> None:
    def gaps(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        return np.where(num[:, 0] > 39.9999, np.nan, score(np.where(num > 1e9, 0, num), cat))

    rows = replace(labelled(), num=np.where(ROWS.num > 39, 39, ROWS.num))
    found = robustness_of(CONTRACT, gaps, rows, metric="log_loss", seed=7)
    least, most = by_name(found)["extreme", "wind"]
    assert (least.unanswered, most.unanswered, most.increase) == (0, 1, None)
    # A row at 39 may be moved to 40 by the search, which has the worst outcome there is.
    [search] = by_name(found)["search", ""]
    assert 0 < search.unanswered < 0.2
    [reason, kept] = judged(found, max_extreme_increase=100.0)
    assert (reason.code, reason.passed, kept.passed) == ("robustness_extreme_unanswered", False, True)
    [other] = judged(found, max_missing_increase=100.0)
    assert other.passed


@pytest.mark.parametrize("rows", [1, 2, 49])
def test_few_rows_have_figures_without_intervals_that_they_do_not_give(rows: int) -> None:
    some = labelled().at(np.arange(rows))
    found = robustness_of(CONTRACT, score, some, metric="brier", seed=7)
    assert found.rows == rows
    assert all(one.low is None for one in found.disturbances)


@pytest.mark.slow
def test_many_features_are_bounded_and_said() -> None:
    wide = replace(CONTRACT, numbers=tuple(NumberField(f"n{i}", min=0, max=1) for i in range(300)), categories=())
    rows = Rows(np.random.default_rng(5).random((3000, 300)), np.empty((3000, 0), dtype=object), *(np.zeros(3000),) * 2)
    scored = 0

    def counting(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        nonlocal scored
        scored += len(num)
        return np.asarray(0.5 + 0.1 * num[:, 0])

    found = robustness_of(wide, counting, rows, metric="log_loss", seed=7)
    assert found.left_out == (f"100 features, one by one: the first {MOST_FEATURES} were disturbed",)
    assert found.rows < 3000
    assert scored < 500_000


def test_a_regression_has_no_decisions() -> None:
    contract = replace(CONTRACT, problem_type="regression")
    found = robustness_of(contract, score, labelled(), metric="mae", seed=7)
    assert {one.flipped for one in found.disturbances} == {None}
    assert {one.kind for one in found.disturbances} == set(KINDS)


LABELS, TRUTH = labels_and_truth(1)


def judged(found: Robustness | None, **limits: float) -> list[Reason]:
    report = report_of(LABELS, TRUTH, None, robustness=found)
    return list(on_robustness(report, policy(robustness=GateRobustness(**limits))))


def test_each_limit_is_judged_by_the_worst_of_its_kind() -> None:
    found = measured()
    worst = found.worst("missing")
    assert worst is not None
    assert worst.increase is not None
    [kept] = judged(found, max_missing_increase=worst.increase)
    [broken] = judged(found, max_missing_increase=worst.increase - 1e-6)
    assert (kept.passed, broken.passed) == (True, False)
    assert broken.sentence.startswith("If wind is missing, log_loss changes by +")
    [flips] = judged(found, max_search_flips=0.0)
    assert flips.code == "robustness_search_flips"
    assert not flips.passed


@pytest.mark.slow
def test_without_limits_nothing_is_judged_and_a_report_without_figures_is_refused() -> None:
    assert list(on_robustness(report_of(LABELS, TRUTH, None), policy())) == []
    [reason] = judged(None, max_noise_increase=1.0)
    assert not reason.passed
    [other] = judged(replace(measured(), metric="brier"), max_noise_increase=1.0)
    assert "evaluate again" in other.sentence


def test_a_kind_that_cannot_come_keeps_its_limit() -> None:
    none = replace(measured(), disturbances=())
    [reason] = judged(none, max_unseen_increase=0.0)
    assert reason.passed
    assert "no feature of the model can come so" in reason.sentence


def test_the_report_keeps_it() -> None:
    report = report_of(LABELS, TRUTH, None, robustness=measured())
    assert Report.from_json(report.to_json()) == report


class TestSeveralClasses:
    """GIVEN the same model as one of two classes by name."""

    CONTRACT = replace(CONTRACT, problem_type="multiclass_classification", classes=("on_time", "late"))

    @staticmethod
    def score(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
        late = score(num, cat)
        return np.column_stack([1 - late, late])

    def test_two_classes_are_disturbed_as_one_chance_is(self) -> None:
        found = robustness_of(self.CONTRACT, self.score, labelled(), metric="log_loss", seed=7)
        beside = measured()
        assert found.loss == pytest.approx(beside.loss)
        for one, other in zip(found.disturbances, beside.disturbances, strict=True):
            assert (one.kind, one.told, one.rows, one.refused) == (other.kind, other.told, other.rows, other.refused)
            numbers = ("increase", "moved", "flipped")
            ours, theirs = ([getattr(of, number) for number in numbers] for of in (one, other))
            assert ours == pytest.approx(theirs, abs=1e-9)

    def test_a_row_without_one_of_its_probabilities_is_not_answered(self) -> None:
        def silent(num: np.ndarray, cat: np.ndarray) -> np.ndarray:
            scores = self.score(num, cat)
            scores[np.isnan(num[:, 0]), 1] = np.nan
            return scores

        [one] = by_name(robustness_of(self.CONTRACT, silent, labelled(), metric="log_loss", seed=7))["missing", "wind"]
        assert (one.unanswered, one.rows, one.increase) == (1.0, 0, None)
