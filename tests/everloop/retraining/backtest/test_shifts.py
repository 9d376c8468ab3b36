"""Drift triggers see features that move, and do not see those that stay."""

from __future__ import annotations

import numpy as np

from everloop.retraining.backtest.shifts import feature_counts, least_p_value, stability
from everloop.retraining.backtest.timeline import Timeline


def scene(moved: float) -> tuple[Timeline, list[np.ndarray]]:
    """200 rows a day; from day 30 on a number is higher, and a text is mostly another."""
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(50), 200)
    late = day >= 30
    number = rng.normal(size=len(day)) + moved * late
    number[rng.random(len(day)) < 0.05] = np.nan
    text = np.where(rng.random(len(day)) < 0.1 + 0.7 * late * (moved > 0), "b", "a").astype(object)
    return Timeline(np.zeros(len(day)), day, 10, 5), [number, text]


def test_every_row_is_counted_once() -> None:
    line, columns = scene(1.0)
    counts = feature_counts(line, columns)
    assert counts.shape[:2] == (2, 9)
    assert (counts.sum(axis=(1, 2)) == 50 * 200).all()
    assert (counts[0, 0].sum(), counts[0, 1].sum()) == (2000, 1000)


def test_both_statistics_see_the_move_and_only_models_from_before_it() -> None:
    line, columns = scene(1.0)
    counts = feature_counts(line, columns)
    index, p = stability(counts), least_p_value(counts)
    # windows 0 to 3 lie before the move, 4 to 7 after it
    assert np.nanmax(index[:4, :4]) < 0.1
    assert np.nanmin(index[:4, 4:]) > 0.25
    assert np.nanmin(p[:4, :4]) > 0.01
    assert np.nanmax(p[:4, 4:]) < 1e-6
    # AND what lies before a model has no value
    assert np.isnan(index[5, 4])


def test_a_world_that_stays_alarms_no_trigger() -> None:
    line, columns = scene(0.0)
    counts = feature_counts(line, columns)
    assert np.nanmax(stability(counts)) < 0.1
    assert np.nanmin(least_p_value(counts)) > 0.005


def test_a_value_that_history_never_held_is_counted_as_unheard_of() -> None:
    line, columns = scene(0.0)
    columns[1][-200:] = "new"
    assert feature_counts(line, columns)[1, -1, -1] == 200


def test_history_is_split_into_parts_as_long_as_windows() -> None:
    line, columns = scene(1.0)
    whole, split = feature_counts(line, columns), feature_counts(line, columns, before=2)
    assert (split[:, 0] + split[:, 1] == whole[:, 0]).all()
    assert (split[:, 2:] == whole[:, 1:]).all()
    assert split[0, :2].sum(-1).tolist() == [1000, 1000]
    # AND the statistics are the same, as models learned from all of it
    assert (np.nan_to_num(stability(split, before=2)) == np.nan_to_num(stability(whole))).all()
    assert (np.nan_to_num(least_p_value(split, before=2)) == np.nan_to_num(least_p_value(whole))).all()


def test_a_model_of_the_newest_rows_is_held_against_those() -> None:
    line, columns = scene(1.0)
    counts = feature_counts(line, columns, before=2)
    spans = [None, 2, 1, 1, 1, 1, 1, 99]
    index, p = stability(counts, before=2, spans=spans), least_p_value(counts, before=2, spans=spans)
    everything = stability(counts, before=2)
    # Window 4 is the first after the move: the model of window 5 learned from it alone, and nothing is new to it.
    assert np.nanmax(index[5:7, 5:]) < 0.1 < everything[5, 5]
    assert np.nanmin(p[5:7, 5:]) > 0.001
    assert index[4, 4] > 0.25
    # A span that is longer than what there is holds all of it.
    assert index[7, 7] == everything[7, 7]
    assert index[0, 0] == everything[0, 0]
