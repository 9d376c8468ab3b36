"""How a table is laid out: by columns where its words fit side by side, and else row by row.

No word is ever broken: a hash, an ARN or a key stands on one line, so that it can be copied whole, and a sentence wraps
between its words. What is in backticks is a word, for it is typed as it stands. Where even that is too wide, or a
sentence would run down a narrow column, each row becomes lines of ``name  value``. There a value with a word that is
wider than the terminal stands on one line. Where the names take more than half of the width, each value stands below
its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_BETWEEN = 3
"""Characters between two columns: a space, the line, a space."""

_INDENT = 2
"""Characters before a value that stands below its name."""

_WORD = re.compile(r"(?:`[^`]*`|\S)+")

_TALLEST = 8
"""Lines of a cell. A table with a taller one is read row by row."""


def lay_out(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> RenderableType:
    """What prints ``rows`` under ``columns`` within ``width`` characters, or as plain text where ``width`` is None.

    Columns without names have no head. Rows have as many cells as there are columns.
    """
    if width is None:
        return _plain(title, columns, rows)
    widths = _column_widths(columns, rows, width)
    if widths is None or any(len(_wrapped(c, w)) > _TALLEST for row in rows for c, w in zip(row, widths, strict=True)):
        return _by_rows(title, columns, rows, width)
    table = Table(title=title, title_justify="left", header_style="bold", show_header=any(columns), show_edge=False)
    for column, wide in zip(columns, widths, strict=True):
        table.add_column(column, width=wide, overflow="fold")
    for row in rows:
        # Wrapped here, for rich would break what is in backticks.
        table.add_row(*("\n".join(_wrapped(cell, wide)) for cell, wide in zip(row, widths, strict=True)))
    return table


def lay_out_story(events: Sequence[tuple[str, str, str]], width: int | None) -> RenderableType:
    """Lines of when, what and a text, which keeps to its own column where lines have a ``width``.

    Where that column would be narrow, or break a word, each text stands below its line.
    """
    if width is None:
        return _plain_lines([("", *event) for event in events])
    margin = _INDENT + sum(max((cell_len(event[i]) for event in events), default=0) + 2 for i in (0, 1))
    room = width - margin
    if 3 * room < width or any(cell_len(word) > room for event in events for word in _words(event[2])):
        heads = [(f"  {when}  {what}".rstrip(), text) for when, what, text in events]
        return Group(*(line for head, text in heads for line in _below(head, text, 2 * _INDENT, width)))
    grid = Table.grid(padding=(0, 2))
    for no_wrap in (True, True, False):
        grid.add_column(no_wrap=no_wrap)
    for when, what, text in events:
        grid.add_row(when, what, "\n".join(_wrapped(text, room)))
    return Padding(grid, (0, 0, 0, _INDENT), expand=False)


def _below(head: str, text: str, indent: int, width: int) -> list[Text]:
    """A line, and below it a text that wraps between its words."""
    return [_whole(Text(head)), *(_whole(Text(" " * indent + line)) for line in _wrapped(text, width - indent) if line)]


def _plain(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """One line for each row, for a pipe or a file: no frame, nothing wrapped, nothing after a line's last word."""
    return Group(_whole(Text(title)), _plain_lines([*([columns] if any(columns) else []), *rows]))


def _plain_lines(lines: Sequence[Sequence[str]]) -> RenderableType:
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    texts = ("  ".join(set_cell_size(cell, wide) for cell, wide in zip(line, widths, strict=True)) for line in lines)
    return Group(*(_whole(Text(text.rstrip())) for text in texts))


def _column_widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """How wide each column is, or None where the words do not fit."""
    texts = [[column, *(row[i] for row in rows)] for i, column in enumerate(columns)]
    whole = [max(cell_len(text) for text in column) for column in texts]
    left = width - _BETWEEN * (len(columns) - 1) - 2
    words = [max(cell_len(word) for text in column for word in (_words(text) or [""])) for column in texts]
    if sum(words) > left:
        return None
    return _share(words, whole, left)


def _share(least: list[int], most: list[int], width: int) -> list[int]:
    """Widths of at least ``least`` and at most ``most``, the narrow columns filled first; their sum is in ``width``."""
    widths, spare = list(least), width - sum(least)
    for position, i in enumerate(sorted(range(len(most)), key=lambda i: most[i] - least[i])):
        given = min(most[i] - least[i], spare // (len(most) - position))
        widths[i] += given
        spare -= given
    return widths


def _by_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    if any(columns):
        names, blocks = columns, [list(zip(columns, row, strict=True)) for row in rows]
    else:
        names = [row[0] for row in rows]
        blocks = [[(row[0], "  ".join(row[1:])) for row in rows]]
    margin = max(map(cell_len, names))
    below = 2 * (margin + 2) > width
    lines = [Text(title, style="italic")]
    for number, block in enumerate(blocks):
        if number:
            lines.append(Text(""))
        for name, value in block:
            if below:
                head, *values = _below(name, value, _INDENT, width)
                head.stylize("bold")
                lines += [head, *values]
                continue
            first, *more = _wrapped(value, width - margin - 2)
            lines += [_line(name, first, margin), *(_line("", line, margin) for line in more)]
    return Group(*lines)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _wrapped(value: str, width: int) -> list[str]:
    """The lines of a value that wraps between its words; one line where a word is wider than ``width``."""
    lines = [""]
    for word in _words(value):
        if cell_len(word) > width:
            return [value]
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _line(name: str, value: str, margin: int) -> Text:
    line = Text.assemble((name, "bold"), " " * (margin - cell_len(name) + 2), value)
    line.rstrip()
    return _whole(line)


def _whole(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ignore"
    return line
