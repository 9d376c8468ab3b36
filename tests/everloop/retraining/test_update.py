"""Whether a version is continued: each thing in the way is found, and named, wherever the others stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import WarmStart
from everloop.retraining.update import FEWEST_OF_A_CLASS, FEWEST_ROWS, Parent, Rows, decide, trained_in_full

PARENT = Parent(3, 150, datetime(2013, 3, 1, tzinfo=UTC), None)
ROWS = Rows(newer=2000, rarest=300, test=900, test_learned=0)
DECLARED = WarmStart(added_trees=50, max_trees=200)


def code(parent: Parent = PARENT, rows: Rows = ROWS, declared: WarmStart = DECLARED) -> str:
    update = decide(parent, rows, declared)
    assert update.warm == (update.reason.code == "warm_start")
    whole = trained_in_full(update.reason)
    assert whole.sentence == f"Trained in full and not continued: {update.reason.sentence}"
    assert whole.code == update.reason.code
    return update.reason.code


def test_it_is_continued_where_nothing_is_in_the_way() -> None:
    assert code() == "warm_start"
    assert decide(PARENT, ROWS, DECLARED).reason.sentence == (
        "Version 3 is continued: 50 trees from 2,000 rows later than 2013-03-01T00:00:00Z are added to its 150."
    )
    assert code(rows=replace(ROWS, rarest=None)) == "warm_start"


def test_a_model_without_trees_learns_on_and_has_no_cap() -> None:
    found = decide(replace(PARENT, trees=None), ROWS, WarmStart(passes=2, max_trees=51))
    assert found.warm
    told = "Version 3 is continued: it learns on from 2,000 rows later than 2013-03-01T00:00:00Z, in 2 passes."
    assert found.reason.sentence == told


def test_each_thing_in_the_way_has_its_name() -> None:
    assert code(parent=replace(PARENT, unlike="numpy 1")) == "warm_start_unlike"
    assert code(rows=replace(ROWS, test_learned=1)) == "warm_start_test_seen"
    assert code(rows=replace(ROWS, newer=FEWEST_ROWS - 1)) == "warm_start_few_rows"
    assert code(rows=replace(ROWS, rarest=FEWEST_OF_A_CLASS - 1)) == "warm_start_few_of_a_class"
    assert code(parent=replace(PARENT, trees=151)) == "warm_start_many_trees"


@given(
    st.none() | st.just("numpy 1"), st.integers(0, 300), st.none() | st.integers(0, 30), st.integers(0, 2),
    st.integers(1, 300),
)  # fmt: skip
def test_nothing_is_continued_that_knows_its_test_or_would_grow_beyond_the_cap(
    unlike: str | None, newer: int, rarest: int | None, learned: int, trees: int
) -> None:
    parent, rows = replace(PARENT, unlike=unlike, trees=trees), Rows(newer, rarest, 2, learned)
    may = (
        unlike is None
        and not learned
        and newer >= FEWEST_ROWS
        and (rarest is None or rarest >= FEWEST_OF_A_CLASS)
        and trees + DECLARED.added_trees <= DECLARED.max_trees
    )
    assert decide(parent, rows, DECLARED).warm == may
