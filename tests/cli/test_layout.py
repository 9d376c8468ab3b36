"""Tables fit what they hold: no word is ever broken, and a pipe gets plain text."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from everloop.cli.layout import lay_out, lay_out_story
from everloop.cli.output import Output

HASH = "ab12" * 16
SENTENCE = "the answers of version 1 lose a quarter more than they would if they were put right"
WORD = st.text("abcdef0123456789:/-", min_size=1, max_size=90)
CELL = st.lists(WORD, max_size=8).map(" ".join)


def drawn(columns: list[str], rows: list[list[str]], width: int | None) -> str:
    """The table as it is printed, on a terminal of that width or in a pipe."""
    out = io.StringIO()
    console = Console(file=out, width=width or 1_000_000, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(lay_out("title", columns, rows, width))
    return out.getvalue()


@given(st.integers(20, 200), st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[CELL] * n), min_size=1)))
def test_no_word_is_broken_at_any_width(width: int, rows: list[tuple[str, ...]]) -> None:
    columns = [f"column{i}" for i in range(len(rows[0]))]
    printed = drawn(columns, [list(row) for row in rows], width).split()
    wanted = [word for row in rows for cell in row for word in cell.split()]
    assert sorted(set(wanted)) == sorted(set(wanted) & set(printed))


@given(st.integers(20, 200), st.lists(st.tuples(CELL, CELL), min_size=1))
def test_where_the_words_fit_no_line_is_wider_than_the_terminal(width: int, rows: list[tuple[str, str]]) -> None:
    longest = [max((len(word) for row in rows for word in row[i].split()), default=0) for i in (0, 1)]
    printed = drawn(["a", "b"], [list(row) for row in rows], width)
    if sum(max(1, one) for one in longest) + 5 <= width:
        assert max(map(len, printed.splitlines())) <= width


@given(st.integers(40, 200), st.lists(st.tuples(st.text("ab", max_size=9), CELL.filter(lambda c: len(c) < 60))))
def test_short_cells_stand_in_columns(width: int, rows: list[tuple[str, str]]) -> None:
    longest = max((len(word) for row in rows for word in row[1].split()), default=0)
    if rows and longest + 9 + 5 <= width:
        assert "│" in drawn(["a", "b"], [list(row) for row in rows], width)


def test_a_hash_can_be_copied_where_its_column_does_not_fit() -> None:
    printed = drawn(["", ""], [["artefact", f"sha256 {HASH} (1,234 bytes)"], ["state", "production"]], 60)
    assert printed.splitlines() == ["title", f"artefact  sha256 {HASH} (1,234 bytes)", "state     production"]


def test_rows_that_do_not_fit_stand_below_each_other() -> None:
    printed = drawn(["run", "hash"], [["r1", HASH], ["r2", HASH]], 40)
    assert printed.splitlines() == ["title", "run   r1", f"hash  {HASH}", "", "run   r2", f"hash  {HASH}"]


def test_a_sentence_that_would_run_down_a_narrow_column_gets_the_whole_width() -> None:
    columns = ["started", "status", "guardrail"]
    rows = [["2013-03-01 00:20", "completed", f"{SENTENCE} {SENTENCE}"], ["2013-03-02 00:20", "baking", ""]]
    printed = drawn(columns, rows, 36)
    assert printed.splitlines() == [
        "title",
        "started    2013-03-01 00:20",
        "status     completed",
        "guardrail  the answers of version 1",
        "           lose a quarter more than",
        "           they would if they were",
        "           put right the answers of",
        "           version 1 lose a quarter",
        "           more than they would if",
        "           they were put right",
        "",
        "started    2013-03-02 00:20",
        "status     baking",
        "guardrail",
    ]


def test_a_sentence_wraps_between_its_words_in_its_own_column() -> None:
    printed = drawn(["code", "reason"], [["better", SENTENCE]], 50)
    cells = [line.split("│")[1].strip() for line in printed.splitlines()[3:]]
    assert len(cells) > 1
    assert " ".join(cells) == SENTENCE


def test_a_pipe_gets_one_line_for_each_row_and_nothing_after_its_last_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    output = Output(False)
    output.table("gate", ["code", "reason"], [("better", SENTENCE * 9), ("b", None)])
    output.story("events", [("2013-04-26 11:00", "retraining", SENTENCE * 9)])
    assert capsys.readouterr().out.splitlines() == [
        "gate",
        "code    reason",
        f"better  {SENTENCE * 9}",
        "b",
        "events",
        f"  2013-04-26 11:00  retraining  {SENTENCE * 9}",
    ]


def test_columns_are_as_wide_as_their_characters_on_the_screen() -> None:
    printed = drawn(["a", "b"], [["東京", "x"], ["Zürich", "y"]], None)
    assert printed.splitlines() == ["title", "a       b", "東京    x", "Zürich  y"]


def test_a_story_without_events_is_nothing() -> None:
    out = io.StringIO()
    Console(file=out, width=40).print(lay_out_story([], None))
    assert out.getvalue().strip() == ""


COMMAND = "`everloop rollout start bread_sold`"


def story(events: list[tuple[str, str, str]], width: int | None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width or 1_000_000, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(lay_out_story(events, width))
    return out.getvalue()


@pytest.mark.parametrize("width", range(20, 120))
def test_a_command_is_never_wrapped(width: int) -> None:
    told = f"newer code is deployed but does not serve yet: {COMMAND} rolls it out"
    assert COMMAND in drawn(["", ""], [["code", told], ["staging", "nothing"]], width)
    assert COMMAND in drawn(["at", "what"], [["2026-11-27 12:12", told]], width)
    assert COMMAND in story([("2026-11-27 12:12", "train-b3b5c71114d441c9", told)], width)


def test_where_names_are_long_their_values_stand_below() -> None:
    rows = [["state", "production since 2026-11-27 12:12"], ["evaluated/training.json", f"sha256 {HASH}"]]
    assert drawn(["", ""], rows, 40).splitlines() == [
        "title",
        "state",
        "  production since 2026-11-27 12:12",
        "evaluated/training.json",
        f"  sha256 {HASH}",
    ]


@given(st.integers(20, 200), st.lists(st.tuples(WORD, WORD, CELL), min_size=1))
def test_no_word_of_a_story_is_broken_at_any_width(width: int, events: list[tuple[str, str, str]]) -> None:
    printed = story(events, width).split()
    assert {word for event in events for text in event for word in text.split()} <= set(printed)


def test_a_story_with_a_narrow_column_has_its_texts_below() -> None:
    assert story([("2026-11-27 12:12", "promotion", SENTENCE)], 44).splitlines() == [
        "  2026-11-27 12:12  promotion",
        "    the answers of version 1 lose a quarter",
        "    more than they would if they were put",
        "    right",
    ]
