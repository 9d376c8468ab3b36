"""What people read fits their terminal; what machines read is one document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.cli.output import Output, as_json_text, minute, print_error
from everloop.cli.replay.progress import Progress
from everloop.shown import ACTING


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


def test_a_page_is_kept_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    page = json.dumps({"text": "long " * 40, "list": [{"a": 1}, [2]]}, indent=2) + "\n"
    Output(False).page(page)
    assert capsys.readouterr().out == page
    Output(False).page("# [bold]Title\x1b[31m\n\n- entry")
    assert capsys.readouterr().out == "# [bold]Title\\x1b[31m\n\n- entry\n"
    Output(True).page(page)
    assert capsys.readouterr().out == ""


def test_true_and_false_are_yes_and_no(capsys: pytest.CaptureFixture[str]) -> None:
    Output(False).table("windows", ["rows", "drift"], [(0, False), (1, True)])
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[-2:]] == ["no", "yes"]


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
    assert minute(datetime(2013, 4, 26, 11, 0, 31, 250_000, tzinfo=UTC)) == "2013-04-26 11:00"


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


HOSTILE = {
    "title of the window": "\x1b]0;gone\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "link": "\x1b]8;;http://example.org\x1b\\\\here\x1b]8;;\x1b\\\\",
    "colour": "\x1b[31mred\x1b[0m",
    "one byte": "\x9b2J",
    "overwritten": "all good\rerror: no",
    "turned around": "\u202etxt.exe\u202c and \u2066isolated\u2069",
    "backspaces": "ab\x08\x08cd",
    "other line ends": "a\x0bb\x0cc\x85d\u2028e",
    "a lone surrogate": "\ud800",
}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def speak_all(text: str) -> None:
    """Print a text at every place that a command has for one."""
    output = Output(False)
    output.say(text)
    output.note(text)
    output.table(text, [text], [(text,)])
    output.story(text, [(text, text, text)])
    print_error(text, text)
    progress = Progress(model="m", starts_at=datetime(2013, 1, 1), ends_at=datetime(2014, 1, 1))
    progress.champion = progress.step = text
    progress.simulated = datetime(2013, 2, 1)
    progress.event(text)
    progress.show()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_of_others_is_seen_and_does_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    speak_all(HOSTILE[name])
    printed = capsys.readouterr()
    assert not OBEYED.search(printed.out + printed.err)
    written_out = HOSTILE[name].encode("unicode_escape").decode().replace("\\\\", "\\")
    assert written_out.split("\\")[1] in printed.out.replace("\n", ""), "it is seen what the text has in it"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=20))
def test_no_text_reaches_a_terminal_that_it_would_obey(capsys: pytest.CaptureFixture[str], text: str) -> None:
    speak_all(text)
    printed = capsys.readouterr()
    assert not OBEYED.search(printed.out + printed.err)


@pytest.mark.parametrize("text", ["Zürich – Genève", "東京", "מונית", "🇨🇭 👩‍🔬", "a\tb", "²³ ≤ ½"])
def test_what_is_text_stays_readable(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(False).say(text)
    print_error(text)
    printed = capsys.readouterr()
    assert printed.out == text.expandtabs() + "\n" or printed.out == text + "\n"
    assert printed.err == f"error: {text}\n"


def test_a_line_feed_in_a_text_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    output, text = Output(False), "done\nerror: the table is gone\n  → rm -rf /"
    output.say(text)
    output.note(text)
    print_error(text, text)
    output.table("t", ["a"], [(text,)])
    printed = capsys.readouterr()
    for line in (printed.out + printed.err).splitlines():
        assert not line.startswith(("error: the table", "  → rm"))


def test_machines_get_json_that_a_terminal_may_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    document = {**HOSTILE, "Zürich": "東京", "figures": [1.5, float("nan"), float("inf")]}
    Output(True).document(document)
    printed = capsys.readouterr().out
    assert not OBEYED.search(printed)
    assert json.loads(printed) == {**document, "figures": [1.5, None, None]}
    assert "東京" in printed


@given(st.dictionaries(st.text(), st.text() | st.floats()))
def test_any_document_is_pure_json(document: dict[str, object]) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(as_json_text(document), parse_constant=refuse).keys() == document.keys()


def test_tracebacks_and_log_lines_of_libraries_are_seen_and_do_nothing() -> None:
    program = (
        "import logging; from everloop.cli.output import guard_streams; guard_streams()\n"
        "logging.getLogger('library').warning('a\\x1b[2Jb\\nerror: x')\n"
        "raise ValueError('c\\x1b]0;d')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "library: a\\x1b[2Jb\n    error: x" in ran.stderr
    assert "ValueError: c\\x1b]0;d" in ran.stderr
    assert "\x1b" not in ran.stderr


def test_a_terminal_without_the_character_is_sent_an_escape() -> None:
    program = "from everloop.cli.output import guard_streams, Output; guard_streams(); Output(False).say('東')"
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (ran.returncode, ran.stdout) == (0, "\\u6771\n")


def test_a_warning_of_a_library_is_one_line_and_does_nothing() -> None:
    program = (
        "import warnings; from everloop.cli.output import guard_streams; guard_streams()\n"
        "warnings.warn('the category a\\x1b[2Jb\\n  error: x' + 'y' * 1000, UserWarning)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    (line,) = ran.stderr.splitlines()
    assert line.startswith("warning: the category a\\x1b[2Jb error: xyyy")
    assert line.endswith("y… (UserWarning)")
    assert "\x1b" not in line


def test_json_for_a_terminal_reads_back_as_what_it_was() -> None:
    value = {"a\u200b": "\x1b[2J\u202e\U000e0041\ufeff", "b": "é👩\u200d🔬"}

    text = as_json_text(value)

    assert json.loads(text) == value
    assert not ACTING.search(text.replace("\n", ""))
    assert "👩\u200d🔬" in text
