"""Quality falls when the champion's answers stop fitting, not when its rows become harder."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from everloop.model_file.schema import QualityTrigger
from everloop.monitoring.build import number_bins
from everloop.monitoring.counting import count_outcomes
from everloop.monitoring.profile import Outcomes
from everloop.monitoring.quality import QualityReport, auc, binning_error, judge_quality
from everloop.monitoring.reference import Reference
from tests.helpers.present import present

TRIGGER = QualityTrigger(days=10, minimum_increase=0.0, confidence=0.95)
BARE = Reference(0, 0, {})
PERCENTS = number_bins(np.linspace(0, 1, 101), 100)


def day(
    rng: np.random.Generator,
    *,
    bias: float = 0.0,
    day_spread: float = 0.0,
    stretch: float = 1.0,
    sharpness: float = 1.0,
    rows: int = 300,
    classification: bool = True,
) -> Outcomes:
    """A day whose truth wanders from the scores by ``day_spread``, and lies off them by ``bias``."""
    z = rng.normal(-1.2, sharpness, rows)
    truth = -1.2 + stretch * (z + 1.2) + bias + day_spread * rng.normal()
    if classification:
        scores, labels = 1 / (1 + np.exp(-z)), (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(float)
        return count_outcomes(PERCENTS, scores, labels, metric="log_loss", classification=True)
    return count_outcomes(None, z, truth + rng.normal(0, 1, rows), metric="mae", classification=False)


def judge(
    days: list[Outcomes], trigger: QualityTrigger | None = TRIGGER, minimum_rows: int = 100, rarest_fault: float = 0.02
) -> QualityReport:
    return judge_quality(
        BARE, days, trigger=trigger, window_days=1, minimum_rows=minimum_rows, rarest_fault=rarest_fault
    )


def wandering_day(rng: np.random.Generator, *, spread: float, classification: bool) -> Outcomes:
    """A day on which the truth lies off the scores, by something that is zero on average over days."""
    off = np.tanh(rng.normal(0, 1)) * spread
    z = rng.normal(-1.2, 1.0, 300)
    if not classification:
        return count_outcomes(None, z, z + off + rng.normal(0, 1, 300), metric="mae", classification=False)
    p = 1 / (1 + np.exp(-z))
    labels = (rng.random(300) < p + off * p * (1 - p)).astype(float)
    return count_outcomes(None, p, labels, metric="log_loss", classification=True)


@pytest.mark.slow
@pytest.mark.parametrize("classification", [True, False])
@pytest.mark.parametrize("spread", [0.0, 0.3, 0.9])
def test_false_alarm_rate_is_kept_however_much_days_differ(spread: float, classification: bool) -> None:
    rng = np.random.default_rng(1)
    trials = 400
    alarms = sum(
        bool(judge([wandering_day(rng, spread=spread, classification=classification) for _ in range(10)]).fallen)
        for _ in range(trials)
    )
    # 0.05 declared; three standard errors of the trials above it
    assert alarms / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("classification", [True, False])
@pytest.mark.parametrize("bias", [0.8, -0.8])
def test_level_that_is_off_is_seen(bias: float, classification: bool) -> None:
    rng = np.random.default_rng(2)
    report = judge([day(rng, bias=bias, day_spread=0.3, classification=classification) for _ in range(10)])
    fallen = {d.kind: d for d in report.fallen}
    assert np.sign(fallen["level"].amount) == np.sign(bias)
    assert fallen["level"].increase > 0.02


@pytest.mark.parametrize("classification", [True, False])
def test_lost_discrimination_is_seen_at_the_same_level(classification: bool) -> None:
    rng = np.random.default_rng(3)
    report = judge([day(rng, stretch=0.0, classification=classification) for _ in range(10)])
    spread = next(d for d in report.fallen if d.kind == "spread")
    assert spread.amount < -0.5


def test_outcomes_that_follow_more_steeply_are_no_decay() -> None:
    rng = np.random.default_rng(4)
    report = judge([day(rng, stretch=1.8) for _ in range(10)])
    spread = next(d for d in report.deviations if d.kind == "spread")
    assert spread.amount > 0
    assert not spread.fallen


def test_harder_rows_lose_more_and_are_no_decay() -> None:
    rng = np.random.default_rng(5)
    easy = judge([day(rng, sharpness=2.0) for _ in range(10)])
    hard = judge([day(rng, sharpness=0.2) for _ in range(10)])
    assert present(hard.loss.value) > present(easy.loss.value) * 1.1
    assert not easy.fallen
    assert not hard.fallen


def test_deviation_below_the_smallest_declared_one_does_not_count() -> None:
    rng = np.random.default_rng(6)
    days = [day(rng, bias=0.12, rows=5000) for _ in range(10)]
    assert judge(days).fallen
    assert not judge(days, TRIGGER.model_copy(update={"minimum_increase": 0.02})).fallen


def test_increase_is_what_recalibration_saves() -> None:
    rng = np.random.default_rng(7)
    z = rng.normal(-1, 1, 200_000)
    labels = (rng.random(200_000) < 1 / (1 + np.exp(-(z + 0.3)))).astype(float)

    def loss(scores: np.ndarray) -> float:
        value: float = -np.mean(np.where(labels == 1, np.log(scores), np.log(1 - scores)))
        return value

    scores, right = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-(z + 0.3)))
    outcomes = [
        count_outcomes(None, scores[i::10], labels[i::10], metric="log_loss", classification=True) for i in range(10)
    ]
    level = judge(outcomes).deviations[0]
    assert level.increase == pytest.approx(loss(scores) / loss(right) - 1, rel=0.15)


class TestWhatIsNotJudged:
    def days(self, n: int) -> list[Outcomes]:
        rng = np.random.default_rng(8)
        return [day(rng) for _ in range(n)]

    def test_champion_of_a_few_days(self) -> None:
        report = judge(self.days(9))
        assert not report.evaluated
        assert report.reason == "this champion has 9 of the 10 labelled windows needed"
        assert present(report.loss.low) < present(report.loss.value) < present(report.loss.high)

    def test_days_without_labels_are_passed_over(self) -> None:
        days = self.days(10)
        assert judge([Outcomes(), *days]).rows == judge(days).rows

    def test_few_rows(self) -> None:
        assert "there are 3000 labelled rows, and 5000" in judge(self.days(10), minimum_rows=5000).reason

    def test_few_rows_of_a_regression_with_rare_large_errors(self) -> None:
        """Without one of them among the rows, the level of right answers looks wrong."""
        rng = np.random.default_rng(20)
        reports = []
        for _ in range(100):
            days = []
            for _ in range(10):
                scores = rng.normal(0, 1, 6)
                errors = np.where(rng.random(6) < 0.02, 49.0, -1.0) + rng.normal(0, 0.1, 6)
                days.append(count_outcomes(None, scores, scores + errors, metric="mae", classification=False))
            reports.append(judge(days, minimum_rows=1))
        assert not any(report.fallen for report in reports)
        assert reports[0].reason == "there are 60 labelled rows, too few to judge: 183 are needed"
        rarer = judge(days, minimum_rows=1, rarest_fault=0.001)
        assert rarer.reason == "there are 60 labelled rows, too few to judge: 3688 are needed"

    @pytest.mark.parametrize("score", [0.02, 0.3, 1e-7, 1 - 1e-7])
    @pytest.mark.parametrize("rows", [1, 50, 333])
    def test_scores_that_are_all_alike_have_no_spread_to_fall(self, score: float, rows: int) -> None:
        """Their sums are rounding errors, and so was the error that they were held against: p = 0."""
        scores, labels = np.full(rows, score), np.zeros(rows)
        days = [count_outcomes(PERCENTS, scores, labels, metric="log_loss", classification=True) for _ in range(10)]
        spread = next(d for d in judge(days, minimum_rows=1).deviations if d.kind == "spread")
        assert (spread.p_value, spread.increase, spread.fallen) == (1.0, 0.0, False)

    def test_no_trigger(self) -> None:
        report = judge(self.days(3), trigger=None)
        assert report.reason == "no quality trigger is declared"
        assert report.days == 1

    def test_nothing_at_all(self) -> None:
        report = judge([])
        assert report.loss.value is None
        assert report.auc.value is None


class TestAuc:
    def test_is_sklearns_within_the_binning_error(self) -> None:
        rng = np.random.default_rng(9)
        scores = rng.beta(1, 3, 5000)
        labels = (rng.random(5000) < scores).astype(float)
        bins = number_bins(scores[:1000], 100)
        outcomes = count_outcomes(bins, scores, labels, metric="log_loss", classification=True)
        error = present(binning_error(outcomes))
        assert error < 0.006
        assert abs(auc(outcomes) - roc_auc_score(labels, scores)) <= error

    def test_one_class_has_none(self) -> None:
        assert auc(Outcomes(rows=3, ones=(1, 2), zeros=(0, 0))) is None

    @pytest.mark.slow
    def test_interval_holds_the_truth_mostly(self) -> None:
        rng = np.random.default_rng(10)
        truth = present(auc(sum((day(rng) for _ in range(400)), Outcomes())))
        inside = 0
        for _ in range(100):
            found = judge([day(rng) for _ in range(10)]).auc
            inside += present(found.low) <= truth <= present(found.high)
        assert inside >= 88


def rare_day(
    rng: np.random.Generator,
    *,
    expected: float,
    rows: int = 200,
    factor: float = 1.0,
    stretch: float = 1.0,
    flipped: bool = False,
) -> Outcomes:
    """A day on which ``expected`` rows are positive by the scores, and ``factor`` times the odds in truth."""
    z = rng.normal(np.log(expected / rows) - 1.1, 1.5, rows)
    centre = np.log(expected / rows) + 1.1
    labels = (rng.random(rows) < 1 / (1 + np.exp(-(centre + stretch * (z - centre) + np.log(factor))))).astype(float)
    scores = 1 / (1 + np.exp(-z))
    if flipped:
        labels, scores = 1 - labels, 1 - scores
    return count_outcomes(PERCENTS, scores, labels, metric="log_loss", classification=True)


class TestRareOutcomes:
    @pytest.mark.slow
    @pytest.mark.parametrize("flipped", [False, True])
    @pytest.mark.parametrize(
        ("expected", "days", "rows"), [(0.2, 10, 200), (0.1, 14, 100), (0.05, 7, 50), (1, 10, 200)]
    )
    def test_an_unchanged_world_alarms_no_more_often_than_declared(
        self, expected: float, days: int, rows: int, flipped: bool
    ) -> None:
        """Where most days have no positive, days hardly differ: by them alone one window in four was a decay."""
        rng = np.random.default_rng(11)
        trigger = QualityTrigger(days=days, minimum_increase=0.0, confidence=0.99)
        trials = 300
        alarms = sum(
            bool(
                judge(
                    [rare_day(rng, expected=expected, rows=rows, flipped=flipped) for _ in range(days)], trigger
                ).fallen
            )
            for _ in range(trials)
        )
        assert alarms <= 9  # of 300 at 1%: more has a probability below 1 in 700

    def test_days_without_a_positive_are_no_certainty(self) -> None:
        rng = np.random.default_rng(12)
        none = [rare_day(rng, expected=0.2, factor=1e-9) for _ in range(10)]
        level = next(d for d in judge(none).deviations if d.kind == "level")
        assert level.p_value > 0.2
        many = [rare_day(rng, expected=2, factor=1e-9) for _ in range(10)]
        assert next(d for d in judge(many).deviations if d.kind == "level").p_value < 1e-6

    @pytest.mark.slow
    def test_a_level_that_doubles_and_a_spread_that_halves_are_seen(self) -> None:
        rng = np.random.default_rng(13)
        trigger = QualityTrigger(days=10, minimum_increase=0.0, confidence=0.99)
        doubled = sum(
            "level"
            in {d.kind for d in judge([rare_day(rng, expected=10, factor=2) for _ in range(10)], trigger).fallen}
            for _ in range(20)
        )
        halved = sum(
            "spread"
            in {d.kind for d in judge([rare_day(rng, expected=10, stretch=0.3) for _ in range(10)], trigger).fallen}
            for _ in range(20)
        )
        assert doubled >= 18
        assert halved >= 18

    def test_few_outcomes_of_a_class_give_no_intervals_and_say_so(self) -> None:
        rng = np.random.default_rng(14)
        report = judge([rare_day(rng, expected=0.3) for _ in range(10)])
        assert report.loss.value is not None
        assert report.loss.low is None
        assert "outcomes of 1 are too few: 10 are needed" in report.loss.reason
        assert report.auc.low is None


def test_of_a_regression_the_error_is_never_less_than_independent_rows_have() -> None:
    """Two windows that agree by chance prove nothing."""
    rng = np.random.default_rng(15)
    z = rng.normal(0, 1, 400)
    noise = rng.normal(0.1, 1, 400)
    one = count_outcomes(None, z, z + noise, metric="mae", classification=False)
    level = judge([one] * 10, minimum_rows=10).deviations[0]
    assert level.p_value > 1e-6
