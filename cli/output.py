"""How a command speaks: tables and sentences for people, one JSON document for machines.

Whatever is printed goes through here, for it holds texts of others: categories, keys, reasons, ends of logs. People see
what such a text has in it, and their terminal does nothing that it says (:mod:`everloop.shown`).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import click

from everloop.instants import instant_text
from everloop.shown import as_entry, on_one_line, shortened, visible, written_out

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LONGEST_WARNING = 500
"""Characters of a library's warning."""

UNBOUNDED = 1_000_000
"""The width of a pipe or a file, in characters."""


def plain_console(*, stderr: bool, soft_wrap: bool = True) -> Console:
    """A console that prints texts as they stand: ``[x]`` and ``:x:`` of a message or a log are no markup."""
    from rich.console import Console  # now: it takes longer than all else of a command that only says sentences

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)
    if not _has_width(console):
        console.width = UNBOUNDED
    return console


def _has_width(console: Console) -> bool:
    """Whether lines end somewhere: a pipe's and a file's don't, unless ``COLUMNS`` says so."""
    return console.is_terminal or os.environ.get("COLUMNS") is not None


class Output:
    """Where a command's result goes. With ``as_json`` only :meth:`document` prints, on standard output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def document(self, value: Any) -> None:
        """Print ``value`` as JSON where machines listen."""
        if self.as_json:
            click.echo(as_json_text(value))

    def say(self, text: str) -> None:
        """A sentence of the result, for people."""
        if not self.as_json:
            _print_line(as_entry(text), sys.stdout)

    def page(self, text: str) -> None:
        """A whole document, for people who read it or keep it as a file: each line as it is."""
        if not self.as_json:
            _print_line(visible(text.rstrip("\n")), sys.stdout)

    def note(self, text: str) -> None:
        """Progress, on standard error."""
        _print_line(as_entry(text), sys.stderr)

    def table(self, title: str, columns: list[str], rows: Iterable[Iterable[Any]]) -> None:
        """A table of the result, for people; columns without names have no head, and no rows make a sentence.

        True and false are yes and no, None is empty.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        if not cells:
            self.say(f"{title}: none")
            return
        from everloop.cli.layout import lay_out

        self._print(lay_out(on_one_line(title), [on_one_line(name) for name in columns], cells, self._width()))

    def story(self, title: str, events: Iterable[tuple[str, str, str]]) -> None:
        """What happened: when, what, and a text that may be long, which keeps to its own column."""
        from everloop.cli.layout import lay_out_story

        lines = [(on_one_line(when), on_one_line(what), visible(text)) for when, what, text in events]
        self.say(title)
        self._print(lay_out_story(lines, self._width()))

    @cached_property
    def _console(self) -> Console:
        """What tables are drawn on."""
        return plain_console(stderr=False)

    def _width(self) -> int | None:
        return self._console.width if _has_width(self._console) else None

    def _print(self, drawn: RenderableType) -> None:
        if not self.as_json:
            self._console.print(drawn)


def _print_line(text: str, stream: TextIO) -> None:
    """Print a text as it stands; whoever waits at the other end of a pipe has it at once."""
    stream.write(f"{text}\n")
    stream.flush()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else on_one_line(str(value))


def as_json_text(value: Any) -> str:
    """``value`` as JSON that also a terminal can be sent: what it would obey is written as an escape of JSON's."""
    text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    # Outside of its texts JSON has none of these characters.
    return written_out(text, _json_escape)


def _json_escape(character: str) -> str:
    """A character as JSON escapes it: one beyond 16 bits as two halves."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def print_error(message: str, remedy: str | None = None) -> None:
    """Say on standard error what went wrong, and what to do next."""
    click.echo(f"error: {as_entry(message)}", err=True)
    if remedy is not None:
        click.echo(f"  → {as_entry(remedy)}", err=True)


def guard_streams() -> None:
    """Let nothing reach the terminal past this module: tracebacks and the log lines of libraries hold texts of others.

    Texts that the terminal's encoding has no character for are written as escapes, instead of ending the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _print_traceback
    warnings.showwarning = _print_warning
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_VisibleFormatter("%(name)s: %(message)s"))


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return as_entry(super().format(record))


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of a library in one line: it may repeat what a file holds, and its place is in code of others."""
    text = " ".join(str(message).split())
    sys.stderr.write(f"warning: {on_one_line(shortened(text, LONGEST_WARNING))} ({category.__name__})\n")


def keep_traceback(error: BaseException) -> str:
    """Where the traceback of an error is kept that nobody foresaw; empty where it can be kept nowhere."""
    text = visible("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="everloop-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:
        return ""
    return file.name


def minute(instant: datetime) -> str:
    """An instant of the registry as people read it, in UTC: ``2024-03-01 09:30``."""
    return f"{instant:%Y-%m-%d %H:%M}"


def to_plain(value: Any) -> Any:
    """``value`` as what JSON knows: dataclasses as objects, instants in ISO 8601, enums by value.

    JSON has finite numbers only: NaN and infinity are null.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
