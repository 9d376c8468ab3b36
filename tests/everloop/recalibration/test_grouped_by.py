"""Groups are the declared values of a category, or the spans of a number; whatever else a row has is in none."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from everloop.recalibration.calibration import group_places
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.recalibration.grouped_by import LONGEST_BY, MOST_GROUPS, OTHERS, GroupBy

EDGES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=MOST_GROUPS - 1)


def rising(edges: list[float]) -> tuple[float, ...]:
    return tuple(sorted({float(f"{edge:.9g}") + 0.0 for edge in edges}))


def test_a_categorys_groups_are_its_values() -> None:
    by = GroupBy("origin", values=("EWR", "JFK"))
    assert (by.names, len(by)) == (("EWR", "JFK"), 2)
    column = np.array(["JFK", "EWR", "LGA", "", "jfk"], dtype=object)
    assert group_places(by, column).tolist() == [1, 0, OTHERS, OTHERS, OTHERS]
    assert [by.place(value) for value in column] == [1, 0, OTHERS, OTHERS, OTHERS]
    assert (by.place(None), by.place(1.0)) == (OTHERS, OTHERS)


def test_a_numbers_groups_are_the_spans_between_its_edges() -> None:
    by = GroupBy("distance", edges=(500, 1500.5))
    assert by.names == ("below 500", "500 to below 1500.5", "1500.5 and above")
    column = np.array([-1, 499.99, 500, 1500.5, np.inf, np.nan])
    assert group_places(by, column).tolist() == [0, 0, 1, 2, 2, OTHERS]
    assert [by.place(value) for value in column] == [0, 0, 1, 2, 2, OTHERS]
    assert by.place("500") == OTHERS


@pytest.mark.slow
@given(EDGES, st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1))
def test_one_row_and_many_are_put_into_the_same_groups(edges: list[float], numbers: list[float]) -> None:
    by = GroupBy("distance", edges=rising(edges))
    assert group_places(by, np.array(numbers)).tolist() == [by.place(number) for number in numbers]
    assert GroupBy.from_document(json.loads(by.to_text())) == by


@pytest.mark.slow
@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=MOST_GROUPS, unique=True))
def test_the_text_says_all_of_it(values: list[str]) -> None:
    # JSON escapes what is outside of ASCII, so that six characters may take 72.
    assume(len(json.dumps(values)) < LONGEST_BY - 30)
    by = GroupBy("origin", values=tuple(values))
    assert GroupBy.from_document(json.loads(by.to_text())) == by


@pytest.mark.parametrize(
    ("values", "edges", "message"),
    [
        ((), (), "need either values or edges"),
        (("a",), (1.0,), "need either values or edges"),
        (("a", "a"), (), "one stands twice"),
        (("",), (), "not texts"),
        ((), (2.0, 1.0), "do not rise"),
        ((), (1.0, 1.0 + 1e-12), "do not rise"),
        ((), (math.inf,), "not a finite number"),
        ((), (True,), "not a finite number"),
        (tuple("abcdefghi"), (), "makes 9 groups, and there may be 8"),
        (("x" * 301,), (), "as JSON, and there may be 306"),
    ],
)
def test_what_makes_no_groups_is_refused(values: tuple[str, ...], edges: tuple[float, ...], message: str) -> None:
    with pytest.raises(CalibrationFormatError, match=message):
        GroupBy("origin", values, edges)


@pytest.mark.parametrize(
    "document", [None, {}, {"feature": "a"}, {"feature": "a", "values": "b"}, {"feature": 1, "values": ["b"]}]
)
def test_what_is_no_document_of_groups_is_refused(document: object) -> None:
    with pytest.raises(CalibrationFormatError):
        GroupBy.from_document(document)
