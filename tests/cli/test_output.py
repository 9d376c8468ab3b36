"""What people read fits their terminal; what machines read is one document."""

from __future__ import annotations

import json

import pytest

from cli.output import Output, minute


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")


def test_a_table_without_rows_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Output(False).table("last runs", ["started", "run"], [])
    assert capsys.readouterr().out == "last runs: none\n"


def test_columns_without_names_have_no_head(capsys: pytest.CaptureFixture[str]) -> None:
    Output(False).table("facts", ["", ""], [("serves", "version 3"), ("staging", None)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["facts"], ["serves", "│", "version", "3"], ["staging", "│"]]


def test_a_long_text_of_a_story_keeps_to_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "the answers of version 1 lose a quarter more than they would if they were put right"
    Output(False).story("events", [("2013-04-26 11:00", "retraining", reason), ("2013-07-03 14:00", "promotion", "3")])
    title, first, *more, last = capsys.readouterr().out.splitlines()
    begin = first.index("the answers")
    assert title == "events"
    assert all(len(line) <= 60 for line in (first, *more, last))
    assert more, "the text needs a second line at this width"
    assert {line[:begin].strip() for line in more} == {""}
    assert last[begin:].strip() == "3"


def test_machines_get_the_document_alone(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(True)
    output.document({"version": 3})
    output.say("three")
    output.table("t", ["a"], [("b",)])
    output.story("s", [("a", "b", "c")])
    assert json.loads(capsys.readouterr().out) == {"version": 3}


def test_instants_are_told_to_the_minute() -> None:
    assert minute("2013-04-26T11:00:31.250Z") == "2013-04-26 11:00"


@pytest.mark.parametrize("text", ["^[a-z][a-z0-9_]{1,30}$", "no [/opt/ml] here [/]", "[bold]x[/bold]", "see :warning:"])
def test_what_looks_like_markup_is_printed_as_it_stands(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(False)
    output.say(text)
    output.note(text)
    output.table(text, [text], [(text,)])
    output.story(text, [("at", text, text)])
    printed = capsys.readouterr()
    assert printed.out.count(text) == 7, "once said, three times in the table, three times in the story"
    assert printed.err == text + "\n"
