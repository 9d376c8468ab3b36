"""The score reference that a version without one takes from its own first windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.documents.window import WindowRecord
from everloop.monitoring.bins import NumberBins
from everloop.monitoring.drift import DriftPolicy, judge_drift
from everloop.monitoring.own_scores import DAYS, OwnScores, own_scores
from everloop.monitoring.profile import BinCounts, Profile
from everloop.monitoring.reference import SCORE, FeatureReference, Reference
from tests.helpers.window_records import window_record

BEGIN = datetime(2013, 3, 1, tzinfo=UTC)
BINS = NumberBins((0.2, 0.4, 0.6, 0.8))
REFERENCE = Reference(
    rows=700,
    days=7,
    features={},
    score=FeatureReference(BINS, BinCounts((400, 200, 50, 30, 20)), ()),
    score_unjudged="they are its sibling's",
)
POLICY = DriftPolicy(days=7, window_days=1, minimum_rows=50, false_alarm_rate=0.01, minimum_effect=0.0)
USUAL = np.array([0.2, 0.3, 0.3, 0.15, 0.05])


def day(number: int, counts: tuple[int, ...], *, version: int = 1, others: int = 0, length: int = 1) -> WindowRecord:
    """The record of a window that begins ``number`` days on, in which other versions answered ``others`` rows."""
    profile = Profile(REFERENCE.bins_id, sum(counts) + others, {}, BinCounts(counts))
    begin = BEGIN + timedelta(days=number)
    end = begin + timedelta(days=length)
    return window_record(version=version, start=begin, end=end, rows=profile.rows, profile=profile.as_dict())


def days(count: int, *, rows: int = 100, seed: int = 1) -> list[WindowRecord]:
    rng = np.random.default_rng(seed)
    return [day(i, tuple(int(n) for n in rng.multinomial(rows, USUAL))) for i in range(count)]


def collected(documents: list[WindowRecord], *, policy: DriftPolicy = POLICY, before: int = 400) -> OwnScores:
    return own_scores(documents, REFERENCE, policy, version=1, before=BEGIN + timedelta(days=before))


def test_until_there_are_days_enough_it_says_how_many_there_are() -> None:
    found = collected(days(DAYS - 1))
    assert found.score is None
    assert found.sentence == (
        f"collecting its own score reference, {100 * (DAYS - 1):,} of 500 rows and {DAYS - 1} of {DAYS} days that"
        " it alone answered"
    )
    assert found.judging(REFERENCE).score_unjudged == found.sentence
    assert collected([]).sentence.startswith("collecting its own score reference, 0 of 500 rows and 0 of")


def test_a_day_in_which_the_share_of_captured_rows_changed_is_none_of_them() -> None:
    documents = days(DAYS + 1)
    documents[3] = replace(documents[3], share_changed=True)
    assert collected(documents[:DAYS]).days == DAYS - 1
    found = collected(documents)
    assert (found.days, found.score is not None) == (DAYS, True)


def test_until_there_are_rows_enough_it_goes_on() -> None:
    few = [day(i, (4, 3, 2, 1, 0)) for i in range(60)]
    assert collected(few[:49]).score is None
    found = collected(few)
    assert (found.rows, found.days, found.end) == (500, 50, BEGIN + timedelta(days=50))
    assert collected(few, policy=replace(POLICY, minimum_rows=550)).rows == 550


def test_reference_is_the_sum_of_the_first_windows_and_never_changes_again() -> None:
    documents = days(DAYS + 30)
    found = collected(documents[:DAYS])
    assert found.score is not None
    assert found.score.bins == BINS
    assert found.score.counts.rows == 100 * DAYS
    assert [n.days for n in found.score.natural] == [n for n in range(1, 8) if DAYS / n >= 5]
    assert collected(documents) == found
    # AND looked at again as of then, it is what it was then
    assert collected(documents, before=DAYS).score is None
    assert collected(documents, before=DAYS + 1) == found


def test_no_more_windows_are_read_than_are_needed() -> None:
    read = 0

    def reading() -> Iterator[WindowRecord]:
        nonlocal read
        for document in days(400):
            read += 1
            yield document

    own_scores(reading(), REFERENCE, POLICY, version=1, before=BEGIN + timedelta(days=900))
    assert read == DAYS


@pytest.mark.parametrize(
    "unfit",
    [
        day(0, (30, 30, 30, 5, 5), others=1),
        day(0, (30, 30, 30, 5, 5), version=2),
        day(0, (0, 0, 0, 0, 0)),
        day(-6, (30, 30, 30, 5, 5), length=7),
    ],
    ids=["a canary's", "another champion's", "an empty one", "one of another length"],
)
def test_a_window_that_is_no_whole_day_of_it_is_left_out(unfit: WindowRecord) -> None:
    rest = [d for d in days(DAYS + 1) if d.end != unfit.end]
    assert collected(sorted([unfit, *rest], key=lambda d: d.end)) == collected(rest)


def test_windows_of_several_days_are_days_together() -> None:
    weekly = replace(POLICY, days=14, window_days=7)
    weeks = [day(7 * i, (40, 30, 20, 9, 1), length=7) for i in range(9)]
    assert collected(weeks[:4], policy=weekly).score is None
    found = collected(weeks[:6], policy=weekly)
    assert found.score is not None
    assert (found.days, [n.days for n in found.score.natural]) == (35, [7])


def test_only_windows_after_the_reference_are_judged_by_it() -> None:
    documents = days(DAYS + 3)
    found = collected(documents)
    ends = [BEGIN + timedelta(days=n) for n in range(DAYS + 3, DAYS - 4, -1)]
    assert found.windows_after(ends) == 3
    judging = found.judging(REFERENCE)
    profiles = [Profile.from_dict(d.profile) for d in reversed(documents)]
    one = judge_drift(judging, profiles[2:], POLICY, score_windows=1)
    assert [(f.name, f.days) for f in one.features] == [(SCORE, 1)]
    assert not judge_drift(judging, profiles[3:], POLICY, score_windows=0).evaluated


def test_scores_that_move_after_it_alarm_and_those_that_do_not_are_quiet() -> None:
    rng = np.random.default_rng(4)
    alarms = {True: 0, False: 0}
    looks = 60
    for seed in range(looks):
        found = collected(days(DAYS, rows=200, seed=seed))
        for moved in alarms:
            shares = np.array([0.1, 0.2, 0.3, 0.25, 0.15]) if moved else USUAL
            after = [BinCounts(tuple(int(n) for n in rng.multinomial(200, shares))) for _ in range(7)]
            windows = [Profile(REFERENCE.bins_id, 200, {}, counts) for counts in after]
            report = judge_drift(found.judging(REFERENCE), windows, POLICY, score_windows=7)
            alarms[moved] += bool(report.alarmed)
    assert alarms[False] / looks <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / looks)
    assert alarms[True] == looks


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=0, max_size=60), st.integers(0, 60))
def test_later_windows_change_nothing(sizes: list[int], cut: int) -> None:
    documents = [day(i, (n, n, 0, 1, 0)) for i, n in enumerate(sizes)]
    early = collected(documents[:cut])
    if early.score is not None:
        assert collected(documents) == early
