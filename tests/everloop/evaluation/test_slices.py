"""A part of the rows on which a model is bad is named, judged at its declared rate, and said where it is too small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.dimensions import dimension_of_category, dimension_of_number
from everloop.evaluation.found_slices import found_parts
from everloop.evaluation.gate import decide
from everloop.evaluation.metrics import row_losses
from everloop.evaluation.report import Report
from everloop.evaluation.slices import MOST_SLICES, Measured, Part, parts_of, slices_of
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import DAYS, EXPECTED, labels_and_truth, policy, report_of

LABELS, TRUTH = labels_and_truth(1)
ROWS = len(LABELS)
ORIGIN = np.array(["EWR", "JFK", "LGA", "LGA"], dtype=object)[np.arange(ROWS) % 4]
RARE = np.where(np.arange(ROWS) < 3, "XYZ", ORIGIN)
BASELINE = np.full(ROWS, LABELS.mean())


def report(candidate: np.ndarray, values: np.ndarray = ORIGIN, minimum_rows: int = 100, **changes: Any) -> Report:
    champion = changes.pop("champion", None)
    found = report_of(LABELS, candidate, champion, **changes)
    beside = None if champion is None else (np.ones(ROWS, dtype=bool), candidate, champion)
    rows = Measured("log_loss", LABELS, candidate, BASELINE, DAYS, beside)
    parts = list(parts_of([dimension_of_category("origin", values, None)], pairs=False))
    return replace(found, slices=slices_of(rows, parts, minimum_rows))


def reasons(found: Report, champion_version: int | None = None, **slices: Any) -> list[Reason]:
    asked = policy(slices={"by": [{"by": "origin"}], **slices})
    expected = replace(EXPECTED, champion_version=champion_version)
    return [r for r in decide(found, asked, expected).reasons if r.code.startswith("slice")]


def test_a_good_model_keeps_its_limits_and_the_worst_slice_is_named() -> None:
    told, kept = reasons(report(TRUTH), max_worse_than_baseline=0.0)
    assert told.passed
    assert "3 slices of 100 rows or more were measured. The worst is origin = " in told.sentence
    assert kept.passed
    assert kept.sentence == "No slice is shown to break a limit: 3 comparisons together, with 95% confidence."


def test_a_slice_on_which_the_model_is_turned_upside_down_is_refused_by_name() -> None:
    bad = np.where(ORIGIN == "JFK", 1 - TRUTH, TRUTH)
    refused = [r for r in reasons(report(bad), max_worse_than_baseline=0.0) if not r.passed]
    assert [r.code for r in refused] == ["slice_worse_than_baseline"]
    assert "On the rows with origin = JFK the candidate's log_loss minus the baseline's is +" in refused[0].sentence
    assert "with 3 comparisons accounted for" in refused[0].sentence
    assert report(bad).slices.worst == "origin = JFK"  # type: ignore[union-attr]  # it is there


def test_a_slice_that_is_worse_than_the_champions_is_refused() -> None:
    bad = np.where(ORIGIN == "JFK", np.clip(1.6 * TRUTH, 0.01, 0.99), TRUTH)
    found = reasons(report(bad, champion=TRUTH), 3, max_worse_than_champion=0.0)
    assert [r.code for r in found if not r.passed] == ["slice_worse_than_champion"]
    assert all(r.passed for r in reasons(report(bad), None, max_worse_than_champion=0.0))


def test_a_slice_of_three_rows_is_said_and_not_judged() -> None:
    found = report(TRUTH, RARE)
    [small] = [one for one in found.slices.slices if one.reason]  # type: ignore[union-attr]  # it is there
    assert (small.name, small.rows, small.candidate) == ("origin = XYZ", 3, None)
    assert small.reason == "3 rows, and gate.slices.minimum_rows asks for 100"
    told = reasons(found, max_worse_than_baseline=0.0)[0]
    assert "and 1 smaller one was not judged: origin = XYZ (3 rows)" in told.sentence


@pytest.mark.parametrize(("require", "passes"), [("not_broken", True), ("estimate", True), ("kept", False)])
def test_what_counts_is_declared(require: str, passes: bool) -> None:
    found = reasons(report(TRUTH), max_loss=0.66, require=require)
    assert all(r.passed for r in found) == passes
    if not passes:
        assert all("confidence; required is at most 0.66." in r.sentence for r in found if not r.passed)


def test_a_report_without_slices_or_with_other_ones_is_refused() -> None:
    [silent] = reasons(report_of(LABELS, TRUTH, None))
    assert silent.passed is False
    [other] = reasons(report(TRUTH, minimum_rows=30))
    assert other.passed is False
    assert "evaluate again" in other.sentence


def test_a_slice_of_one_class_has_no_interval_and_says_so() -> None:
    positive = np.where(LABELS == 1, "ones", "zeros")
    found = report(TRUTH, positive)
    kept = reasons(found, max_worse_than_baseline=-0.5)[1]
    assert kept.passed
    assert "2 of them are not known, e.g. of origin = " in kept.sentence
    assert "0 rows of class" in kept.sentence
    assert not all(r.passed for r in reasons(found, max_worse_than_baseline=-0.5, require="kept"))


@pytest.mark.slow
def test_the_declared_rate_is_kept_over_many_slices() -> None:
    """GIVEN twenty slices of a model that is exactly as bad as its limit allows WHEN judged 20 times THEN few fail."""
    wrong, rng = 0, np.random.default_rng(5)
    names = np.array([f"v{i}" for i in range(20)], dtype=object)
    for _ in range(20):
        labels = (rng.random(2000) < 0.3).astype(np.int64)
        days, values = np.repeat(np.arange(20), 100), names[rng.integers(0, 20, 2000)]
        scores = np.full(2000, 0.5)
        rows = Measured("brier", labels, scores, np.full(2000, 0.3), days)
        parts = list(parts_of([dimension_of_category("v", values, None)], pairs=False))
        slices = slices_of(rows, parts, 30)
        limit = 0.25 - 0.21  # of the true difference: the Brier scores are 0.25 and 0.3 * 0.7
        base = report_of(LABELS, TRUTH, None)
        asked = policy(metric="brier", slices={"minimum_rows": 30, "max_worse_than_baseline": limit})
        found = decide(replace(base, slices=slices), asked, EXPECTED).reasons
        wrong += any(r.code == "slice_worse_than_baseline" for r in found)
    assert wrong <= 3  # of 20 at 5%: more come with a probability of 2%


def test_numbers_make_four_slices_of_about_as_many_rows_and_missing_ones_their_own() -> None:
    values = np.where(np.arange(1000) % 10 == 0, np.nan, np.arange(1000, dtype=float))
    found = dimension_of_number("distance", values, None)
    assert len(found.names) == 5
    assert found.names[-1] == "missing"
    sizes = np.bincount(found.places)
    assert sizes[-1] == 100
    assert sizes[:-1].min() > 200
    constant = dimension_of_number("distance", np.ones(9), None)
    assert constant.names == ("any number",)
    empty = dimension_of_number("distance", np.full(3, np.nan), None)
    assert empty.names == ("any number", "missing")
    assert set(empty.places) == {1}


def test_declared_edges_and_groups_are_taken_and_the_rest_is_said() -> None:
    spans = dimension_of_number("distance", np.array([1.0, 5.0, 9.0]), [5.0])
    assert spans.conditions() == ("distance = below 5", "distance = 5 and above")
    assert spans.places.tolist() == [0, 1, 1]
    groups = dimension_of_category("origin", RARE, ["JFK", ""])
    assert groups.names == ("JFK", "missing")
    assert "rows of origin with 3 values, which are not declared groups" in groups.left_out
    many = dimension_of_category("key", np.array([f"k{i}" for i in range(50)], dtype=object), None)
    assert len(many.names) == 20
    assert "30 rows of key with 30 values" in many.left_out


def test_pairs_are_those_that_have_rows() -> None:
    one = dimension_of_category("a", np.array(["x", "y", "x"], dtype=object), None)
    two = dimension_of_category("b", np.array(["p", "q", "p"], dtype=object), None)
    pairs = [part for part in parts_of([one, two], pairs=True) if part.kind == "pair"]
    assert {part.name for part in pairs} == {"a = x and b = p", "a = y and b = q"}
    assert sum(int(part.rows.sum()) for part in pairs) == 3


def test_more_slices_than_a_report_has_are_said() -> None:
    parts = [Part(f"part {i}", "declared", np.arange(ROWS) < i) for i in range(MOST_SLICES + 5)]
    rows = Measured("brier", LABELS, TRUTH, BASELINE, DAYS)
    found = slices_of(rows, parts, ROWS + 1)
    assert len(found.slices) == MOST_SLICES
    assert "5 slices with the fewest rows of 205" in found.left_out[0]
    assert found.worst is None


def test_a_tree_finds_what_nobody_declared_and_measures_it_on_other_days() -> None:
    rng = np.random.default_rng(3)
    hour, place = rng.uniform(0, 24, ROWS), np.array(["a", "b", ""], dtype=object)[rng.integers(0, 3, ROWS)]
    wrong = np.where(hour >= 18, 1 - TRUTH, TRUTH)
    losses = row_losses("log_loss", LABELS, wrong)
    parts, how = found_parts({"hour": hour, "place": place}, losses, DAYS, 50)
    assert "the older 10 test days" in how
    assert any(part.name.startswith("hour 1") and "and above" in part.name for part in parts)
    assert all(part.rows[DAYS < 10].sum() == 0 for part in parts)
    assert sum(int(part.rows.sum()) for part in parts) == 500


@pytest.mark.parametrize(
    ("columns", "days", "told"),
    [
        ({"x": np.zeros(1000)}, DAYS, "it found nothing to part rows by"),
        ({"x": np.full(1000, np.nan)}, DAYS, "it found nothing to part rows by"),
        ({"x": np.arange(1000.0)}, DAYS % 2, "that takes 4 test days, and there are 2"),
        ({"x": np.arange(1000.0)}, np.where(np.arange(1000) < 30, np.arange(1000) % 3, 9), "has 20 rows"),
    ],
)
def test_a_search_that_finds_nothing_says_why(columns: dict[str, np.ndarray], days: np.ndarray, told: str) -> None:
    parts, how = found_parts(columns, row_losses("brier", LABELS, TRUTH), days, 50)
    assert parts == []
    assert told in how


def test_slices_survive_the_report() -> None:
    found = report(TRUTH, RARE, champion=np.clip(0.5 * TRUTH + 0.2, 0, 1))
    assert Report.from_json(found.to_json()) == found
