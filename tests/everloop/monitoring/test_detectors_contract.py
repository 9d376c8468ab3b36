"""What every drift detector keeps, and that a detector of one's own is a file and its registration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.detectors import DETECTORS
from everloop.monitoring.natural import natural_variation
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.reference import FeatureReference
from everloop.monitoring.watch import Scene, watch
from everloop.registry.records import Champion
from tests.helpers.declarations import binary_document, declare
from tests.helpers.seams import add
from tests.helpers.watched_lake import WatchedLake, draw, reference_of

DETECTOR = pytest.mark.parametrize("name", DETECTORS.names)
BINS = CategoryBins(tuple("abcd"))
USUAL, MOVED = np.array([0.4, 0.3, 0.2, 0.05, 0.05]), np.array([0.05, 0.05, 0.2, 0.3, 0.4])


def days(rng: np.random.Generator, count: int, rows: int = 400, shares: np.ndarray = USUAL) -> list[BinCounts]:
    """Days whose shares differ a little, as days do."""
    found = []
    for _ in range(count):
        own = shares * np.exp(rng.normal(0, 0.1, 5))
        found.append(BinCounts(tuple(int(n) for n in rng.multinomial(rows, own / own.sum()))))
    return found


def reference(rng: np.random.Generator, count: int = 60) -> FeatureReference:
    daily = days(rng, count)
    return FeatureReference(BINS, sum(daily[1:], daily[0]), natural_variation(daily, 7))


@pytest.mark.slow
@DETECTOR
def test_its_alarms_keep_the_rate_where_nothing_changes(name: str) -> None:
    rng, low, looks = np.random.default_rng(3), 0, 300
    for _ in range(looks):
        found = DETECTORS.load(name).judge(reference(rng), days(rng, 7), window_days=1, minimum_rows=100)
        assert found is not None
        assert 0 <= found.p_value <= 1
        assert found.effect >= 0
        assert 1 <= found.windows <= 7
        low += found.p_value <= 0.05
    assert low / looks <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / looks)


@DETECTOR
def test_it_sees_a_large_shift_that_lasts(name: str) -> None:
    rng = np.random.default_rng(4)
    found = DETECTORS.load(name).judge(reference(rng), days(rng, 7, shares=MOVED), window_days=1, minimum_rows=100)
    assert found is not None
    assert found.p_value < 0.001
    assert found.effect > 0.25


@DETECTOR
def test_it_keeps_nothing_and_judges_nothing_by_too_little(name: str) -> None:
    rng, detector = np.random.default_rng(5), DETECTORS.load(name)
    known, after = reference(rng), days(rng, 7)
    first = detector.judge(known, after, window_days=1, minimum_rows=100)
    detector.judge(known, days(rng, 7, shares=MOVED), window_days=1, minimum_rows=100)
    assert detector.judge(known, after, window_days=1, minimum_rows=100) == first
    assert detector.judge(known, days(rng, 1, rows=50), window_days=1, minimum_rows=100) is None
    assert detector.judge(known, [], window_days=1, minimum_rows=100) is None
    assert detector.judge(FeatureReference(BINS, known.counts), after, window_days=1, minimum_rows=100) is None


def test_one_is_added_by_its_file_and_its_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a declaration that names a detector nobody knows
    document = binary_document(monitoring={"minimum_rows": 50, "detector": "any_row"})
    with pytest.raises(ValueError, match="'stability'"):
        declare(document)
    # WHEN its file and its name are there
    source = """
    from everloop.monitoring.detectors import Finding


    class AnyRow:
        def judge(self, feature, windows, *, window_days, minimum_rows):
            return Finding(1, 1.0, 0.0) if windows else None


    DETECTOR = AnyRow()
    """
    add(monkeypatch, tmp_path, DETECTORS, "any_row", source)
    # THEN the monitor judges by it: a quiet day alarms, and the record says so
    declaration, rng = declare(document), np.random.default_rng(6)
    reference = reference_of([draw(rng, 100) for _ in range(10)], declaration)
    scheduled = datetime(2013, 3, 20, 13, tzinfo=UTC)
    windows, lake = windows_at(declaration, scheduled), WatchedLake(declaration)
    lake.live(draw(rng, 100), windows.end - timedelta(days=1))
    champion = Champion(declaration.model, 1, datetime(2013, 3, 1, tzinfo=UTC), "1", "c0de", "r")
    record = watch(declaration, windows, Scene(champion, reference, [], [], [], None), lake.rows)
    assert record.drift_alarm
    assert {found["effect"] for found in record.drift.values()} == {1.0}
