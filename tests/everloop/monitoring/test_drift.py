"""The drift test keeps its false alarm rate although days differ, and sees a shift that lasts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.build import category_bins
from everloop.monitoring.counting import bin_indices, count, count_profile, counted
from everloop.monitoring.drift import DriftPolicy, judge_drift
from everloop.monitoring.natural import natural_variation
from everloop.monitoring.profile import BinCounts, Profile
from everloop.monitoring.reference import FeatureReference, Reference
from tests.helpers.declarations import binary_document, declare
from tests.helpers.watched_lake import WatchedRows, draw, reference_of

POLICY = DriftPolicy(days=7, window_days=1, minimum_rows=100, false_alarm_rate=0.05, minimum_effect=0.0)
BINS = CategoryBins(tuple("abcdefghi"))


def days_of(rng: np.random.Generator, spread: float, tilts: np.ndarray, rows: np.ndarray) -> list[BinCounts]:
    """Counts of days whose own shares wander: log ratios of an autocorrelated process."""
    states = rng.normal(0, spread, (len(rows), 10))
    for before, state in itertools.pairwise(states):
        state *= np.sqrt(0.75)
        state += 0.5 * before
    shares = np.exp(states + tilts[:, None] * np.arange(10) / 9)
    counts = rng.multinomial(rows, shares / shares.sum(axis=1, keepdims=True))
    return [BinCounts(tuple(day)) for day in counts.tolist()]


def world(
    rng: np.random.Generator, spread: float, days: int, features: int, tilt: float = 0.0, rows: int = 800
) -> tuple[Reference, list[Profile]]:
    """A reference of ``days`` days, and the seven days after it, newest first."""
    names = [f"f{i}" for i in range(features)]
    references, after = {}, {}
    tilts, counted_rows = np.repeat([0.0, tilt], [days, 7]), np.repeat([800, rows], [days, 7])
    for name in names:
        daily = days_of(rng, spread, tilts, counted_rows)
        total = sum(daily[1:days], daily[0])
        references[name] = FeatureReference(BINS, total, natural_variation(daily[:days], 7))
        after[name] = daily[days:]
    reference = Reference(rows=800 * days, days=days, features=references)
    windows = [Profile(reference.bins_id, rows, {n: after[n][d] for n in names}) for d in reversed(range(7))]
    return reference, windows


def alarms_in(drawn: tuple[Reference, list[Profile]], policy: DriftPolicy) -> bool:
    """Whether anything alarms in what :func:`world` drew."""
    reference, windows = drawn
    return bool(judge_drift(reference, windows, policy).alarmed)


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "days"), [(0.0, 40), (0.3, 60), (1.0, 45), (1.5, 60)])
def test_false_alarm_rate_over_all_features_is_kept(spread: float, days: int) -> None:
    rng = np.random.default_rng(int(10 * spread) + days)
    worlds = 150
    alarms = sum(alarms_in(world(rng, spread, days, 4), POLICY) for _ in range(worlds))
    # 0.05 declared; two standard errors of the trials above it
    assert alarms / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
def test_days_of_fewer_rows_than_the_reference_had_alarm_no_more_often(spread: float) -> None:
    """What days differ by and what few rows leave to chance add up; either alone explains too little."""
    rng = np.random.default_rng(21)
    worlds = 150
    policy = replace(POLICY, minimum_rows=1)
    alarms = sum(alarms_in(world(rng, spread, 60, 4, rows=15), policy) for _ in range(worlds))
    assert alarms / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.slow
def test_rare_categories_that_the_reference_happened_to_hold_are_no_yardstick() -> None:
    """Which categories have a bin is read off the reference: it has too many of them, and too few of the others."""
    rng, days, worlds = np.random.default_rng(5), 40, 300
    policy = replace(POLICY, minimum_rows=1, false_alarm_rate=0.01)
    names = np.array(["usual", *(f"rare {i}" for i in range(30))])
    shares = np.array([0.97, *np.full(30, 0.001)])

    def drawn(count: int) -> np.ndarray:
        return rng.choice(names, count, p=shares)

    alarms = 0
    for _ in range(worlds):
        values = drawn(days * 50)
        bins = category_bins(values)
        daily = [counted(bins, bin_indices(bins, day)) for day in values.reshape(days, 50)]
        feature = FeatureReference(bins, sum(daily[1:], daily[0]), natural_variation(daily, 7))
        reference = Reference(rows=days * 50, days=days, features={"kind": feature})
        windows = [Profile("", 50, {"kind": counted(bins, bin_indices(bins, drawn(50)))}) for _ in range(7)]
        alarms += bool(judge_drift(reference, windows, policy).alarmed)
    assert alarms / worlds <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / worlds)
    # AND a category that comes to be seen is seen
    seen = Profile("", 50, {"kind": counted(bins, bin_indices(bins, np.array(["usual"] * 40 + ["new"] * 10)))})
    assert judge_drift(reference, [seen] * 7, policy).alarmed


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "tilt"), [(0.0, 0.5), (0.3, 2.0), (0.5, 4.0)])
def test_shift_that_lasts_is_seen_in_its_feature(spread: float, tilt: float) -> None:
    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(20):
        reference, windows = world(rng, spread, 60, 5)
        shifted, moved = world(rng, spread, 60, 1, tilt)
        reference = replace(reference, features={**reference.features, "f0": shifted.features["f0"]})
        windows = [
            replace(w, bins=reference.bins_id, features={**w.features, "f0": m.features["f0"]})
            for w, m in zip(windows, moved, strict=True)
        ]
        report = judge_drift(reference, windows, POLICY)
        seen += [f.name for f in report.alarmed] == ["f0"]
    assert seen >= 17


def test_what_a_naive_test_would_take_for_drift_is_not() -> None:
    rng = np.random.default_rng(2)
    reference, windows = world(rng, 0.5, 60, 6)
    report = judge_drift(reference, windows, POLICY)
    assert not report.alarmed
    assert min(f.effect for f in report.features) > 0.02


class TestSmallThings:
    @pytest.fixture
    def reference(self) -> Reference:
        rng = np.random.default_rng(1)
        return reference_of([draw(rng, 400) for _ in range(40)], declare(binary_document()))

    def profiles(
        self, reference: Reference, *, shift: float = 0.0, days: int = 7, rows: int = 400, seed: int = 2
    ) -> list[Profile]:
        rng = np.random.default_rng(seed)
        return self.count(reference, [draw(rng, rows, shift=shift) for _ in range(days)])

    def count(self, reference: Reference, days: list[WatchedRows]) -> list[Profile]:
        return [
            count_profile(reference, r.features, r.scores, r.labels, metric="log_loss", classification=True)
            for r in days
        ]

    def test_shift_of_a_number_is_named_with_what_moved(self, reference: Reference) -> None:
        report = judge_drift(reference, self.profiles(reference, shift=6.0), POLICY)
        first = report.features[0]
        assert (first.name, first.alarm, first.days) == ("wind", True, 7)
        assert "->" in first.moved

    def test_scores_are_judged_too(self, reference: Reference) -> None:
        report = judge_drift(reference, self.profiles(reference), POLICY)
        assert {f.name for f in report.features} == {"distance", "wind", "line", "operator", "prediction"}
        assert not report.alarmed

    @pytest.mark.slow
    def test_trivial_shift_at_a_huge_number_of_rows_does_not_alarm(self, reference: Reference) -> None:
        large = replace(POLICY, minimum_effect=0.1)
        windows = self.profiles(reference, shift=0.5, rows=20_000)
        assert "wind" in [f.name for f in judge_drift(reference, windows, POLICY).alarmed]
        assert not judge_drift(reference, windows, large).alarmed

    def test_too_few_rows_are_said_to_be(self, reference: Reference) -> None:
        report = judge_drift(reference, self.profiles(reference, rows=50), POLICY)
        assert not report.evaluated
        assert report.reason == "the window has 50 rows and needs 100 (monitoring.minimum_rows)"

    def test_no_windows_at_all(self, reference: Reference) -> None:
        assert (
            judge_drift(reference, [], POLICY).reason == "the window has 0 rows and needs 100 (monitoring.minimum_rows)"
        )

    def test_first_days_of_a_champion_are_judged_on_their_own(self, reference: Reference) -> None:
        report = judge_drift(reference, self.profiles(reference, days=2), POLICY)
        assert {f.days for f in report.features} == {2}

    def test_reference_of_too_few_days_is_said_to_be(self) -> None:
        rng = np.random.default_rng(1)
        reference = reference_of([draw(rng, 400) for _ in range(3)], declare(binary_document()))
        report = judge_drift(reference, self.profiles(reference), POLICY)
        assert not report.evaluated
        assert "3 days, too few" in report.reason

    def test_value_that_never_occurred_shows(self, reference: Reference) -> None:
        rows = draw(np.random.default_rng(5), 400)
        profiles = []
        for base in self.profiles(reference):
            odd = count(reference.features["line"].bins, ["elsewhere"] * 200 + rows.features["line"][:200])
            profiles.append(replace(base, features={**base.features, "line": odd}))
        report = judge_drift(reference, profiles, POLICY)
        assert report.features[0].name == "line"
        assert report.features[0].moved.startswith("other: 0%")

    def test_a_feature_that_training_never_saw_alarms_once_it_comes(self) -> None:
        # GIVEN a feature that is missing in every row of the reference
        rng = np.random.default_rng(1)

        def without_wind() -> WatchedRows:
            rows = draw(rng, 400)
            rows.features["wind"][:] = np.nan
            return rows

        reference = reference_of([without_wind() for _ in range(40)], declare(binary_document()))
        assert not judge_drift(reference, self.count(reference, [without_wind()]), POLICY).alarmed
        # WHEN it has values
        report = judge_drift(reference, self.profiles(reference, days=1), POLICY)
        assert [f.name for f in report.alarmed] == ["wind"]
        assert report.features[0].moved.startswith(("any value: 0%", "missing: 100%"))


def test_a_window_without_rows_is_no_day() -> None:
    # GIVEN a second day, before which nobody asked
    reference, windows = world(np.random.default_rng(4), 0.5, 60, 3)
    nothing = BinCounts((0,) * 10)
    empty = Profile(reference.bins_id, 0, dict.fromkeys(reference.features, nothing))
    # WHEN it is judged, THEN as the single day it is: as if the empty ones had not been there
    report = judge_drift(reference, [windows[0], empty, empty], POLICY)
    assert {f.days for f in report.features} == {1}
    assert report == judge_drift(reference, windows[:1], POLICY)
    # and a gap does not end a span
    gap = judge_drift(reference, [windows[0], empty, windows[1]], POLICY)
    assert gap == judge_drift(reference, windows[:2], POLICY)
