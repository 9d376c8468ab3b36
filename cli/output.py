"""How a command speaks: tables and sentences for people, one JSON document for machines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table

from everloop.instants import parse_instant


def plain_console(*, stderr: bool, soft_wrap: bool = True) -> Console:
    """A console that prints texts as they stand: ``[x]`` and ``:x:`` of a message or a log are no markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


class Output:
    """Where a command's result goes. With ``as_json`` only :meth:`document` prints, on standard output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._console = plain_console(stderr=False)
        self._progress = plain_console(stderr=True)

    def document(self, value: Any) -> None:
        """Print ``value`` as JSON where machines listen."""
        if self.as_json:
            click.echo(json.dumps(to_plain(value), indent=2, ensure_ascii=False))

    def say(self, text: str) -> None:
        """A sentence of the result, for people."""
        if not self.as_json:
            self._console.print(text)

    def note(self, text: str) -> None:
        """Progress, on standard error."""
        self._progress.print(text)

    def table(self, title: str, columns: list[str], rows: Iterable[Iterable[Any]]) -> None:
        """A table of the result, for people; columns without names have no head, and no rows make a sentence."""
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        if not cells:
            self.say(f"{title}: none")
            return
        table = Table(title=title, title_justify="left", header_style="bold", show_header=any(columns), show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*row)
        self._print(table)

    def story(self, title: str, events: Iterable[tuple[str, str, str]]) -> None:
        """What happened: when, what, and a text that may be long, which keeps to its own column."""
        grid = Table.grid(padding=(0, 2))
        for no_wrap in (True, True, False):
            grid.add_column(no_wrap=no_wrap)
        for event in events:
            grid.add_row(*event)
        self.say(title)
        self._print(Padding(grid, (0, 0, 0, 2)))

    def _print(self, drawn: RenderableType) -> None:
        if not self.as_json:
            self._console.print(drawn)


def minute(instant: str) -> str:
    """An instant of the registry as people read it, in UTC: ``2024-03-01 09:30``."""
    return f"{parse_instant(instant):%Y-%m-%d %H:%M}"


def to_plain(value: Any) -> Any:
    """``value`` as what JSON knows: dataclasses as objects, instants in ISO 8601, enums by value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value
