"""A commit's subject says what in one line, and the body begins after an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.commit_subject import LONGEST, main, refusal


@pytest.mark.parametrize(
    "message",
    ["a" * LONGEST, "Say what\n\nand why", "# a comment\nSay what\n# another\n", "Say what\n\nfirst\nsecond\n"],
)
def test_what_fits_is_let_through(message: str) -> None:
    assert refusal(message) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("", "no subject"),
        ("# only comments\n\n", "no subject"),
        ("a" * (LONGEST + 1), f"{LONGEST + 1} characters"),
        ("Say what\nand why", "the second line is 'and why'"),
    ],
)
def test_what_does_not_is_refused_with_what_to_do(message: str, said: str) -> None:
    assert said in (refusal(message) or "")


def test_the_hook_reads_the_file_that_git_gives_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("a" * 80)
    assert main([str(message)]) == 1
    assert "80 characters" in capsys.readouterr().err
    message.write_text("Say what")
    assert main([str(message)]) == 0
