"""How often the rows of a test part were looked at."""

from __future__ import annotations

from datetime import UTC, datetime

from everloop.registry.looks import LookCounts, counted
from everloop.registry.records import Look
from everloop.registry.store import RegistryStore
from tests.fakes.registry_table import TABLE, UnreliableClient


def look(run_id: str, snapshot: str, after: int, until: int) -> Look:
    begin, end = (datetime(2026, 1, day, tzinfo=UTC) for day in (after, until))
    return Look("late_train", run_id, snapshot, begin, end, at=end)


def test_looks_count_by_snapshot_and_where_days_are_shared() -> None:
    looks = [look("a", "s1", 1, 8), look("b", "s1", 1, 8), look("c", "s2", 7, 14), look("d", "s3", 14, 21)]
    assert counted(looks, "s1") == LookCounts(same=2, overlapping=3)
    assert counted(looks, "s2") == LookCounts(same=1, overlapping=3)
    # One part begins behind the last row of the other: they share none.
    assert counted(looks, "s3") == LookCounts(same=1, overlapping=1)


def test_what_nobody_recorded_is_not_known() -> None:
    assert counted([], "s1") is None
    assert counted([look("a", "s1", 1, 8)], "s2") is None


def test_a_part_of_one_instant_overlaps_itself_alone() -> None:
    looks = [look("a", "s1", 5, 5), look("b", "s1", 5, 5), look("c", "s2", 1, 5)]
    assert counted(looks, "s1") == LookCounts(same=2, overlapping=2)


def test_the_sentence_says_both_counts() -> None:
    assert LookCounts(1, 1).sentence == "1 run looked at this test part"
    assert LookCounts(2, 5).sentence == "2 runs looked at this test part, and 3 runs at test rows of the same days"


def test_a_run_looks_once_however_often_it_is_recorded(client: UnreliableClient) -> None:
    looks = RegistryStore(client, TABLE, "late_train").looks
    for one in (look("b", "s1", 2, 9), look("a", "s1", 1, 8), look("b", "s1", 2, 9)):
        looks.put(one)
    assert [one.run_id for one in looks.all()] == ["a", "b"]
    assert looks.counts("s1") == LookCounts(2, 2)
    assert RegistryStore(client, TABLE, "other").looks.all() == []
