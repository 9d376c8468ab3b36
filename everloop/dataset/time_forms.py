"""The forms in which people and programs write times, as directives of ``strptime``.

Nothing is read by what is found here: a person types it, or not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from everloop.dataset.file_format import MISSING_WORDS

LONGEST = 48
"""Characters of a cell that is looked at."""

_DATE = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:( |T|, )\d{1,2}:\d{2}(:\d{2})?( ?)([AaPp][Mm])?)?", re.ASCII
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}|$)", re.ASCII)
"""What is read without a word about it."""

_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", "%Y年%m月%d日"),
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_CLOCKS = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", " %H.%M", " %H.%M.%S", " %Hh%M"),
    *(" %I:%M %p", " %I:%M:%S %p", " %I:%M%p", ", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p"),
)
_WHOLE = (
    *("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d %H:%M", "%Y%m%d %H:%M:%S"),
    *("%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z"),
    *("%H:%M %d.%m.%Y", "%H:%M %d/%m/%Y", "%H:%M:%S %d.%m.%Y", "%A, %d %B %Y", "%A, %B %d, %Y"),
)


def time_format(cells: Sequence[str]) -> tuple[str, str]:
    """The form that every cell has, quoted as it is typed, and one of the cells; empty where they have none.

    Where nothing tells day and month apart, it is both forms.
    """
    told = [cell for cell in cells if cell not in MISSING_WORDS]
    if not told or any(len(cell) > LONGEST for cell in told) or all(map(_ISO.match, told)):
        return "", ""
    numbered = _numbered_day(told)
    if numbered:
        return numbered, told[0]
    form = next((form for form in _forms() if all(_has(form, cell) for cell in told)), "")
    return (f"'{form}'", told[0]) if form else ("", "")


def _numbered_day(cells: Sequence[str]) -> str:
    """The form of day, month and year in numbers, where the days there are settle which is which."""
    matches = [match for match in map(_DATE.fullmatch, cells) if match]
    if len(matches) < len(cells):
        return ""
    _, mark, _, year, between, seconds, gap, half = matches[0].groups()
    hour, half = ("%I", f"{gap}%p") if half else ("%H", "")
    clock = f"{between}{hour}:%M{':%S' if seconds else ''}{half}" if between else ""
    year = "%Y" if len(year) == 4 else "%y"
    month_first = any(int(m.group(3)) > 12 for m in matches)
    day_first = mark == "." or any(int(m.group(1)) > 12 for m in matches)
    forms = [f"%d{mark}%m{mark}{year}{clock}"] * (not month_first) + [f"%m{mark}%d{mark}{year}{clock}"] * (
        not day_first
    )
    return " or ".join(f"'{form}'" for form in forms if any(_has(form, cell) for cell in cells))


@cache
def _forms() -> tuple[str, ...]:
    return (*_WHOLE, *(day + clock for day in _DAYS for clock in _CLOCKS))


def _has(form: str, cell: str) -> bool:
    """Whether the cell is a time of the form. ``strptime`` would take %Y%m%d of seven digits apart in some way."""
    if form.startswith("%Y%m%d") and not re.match(r"\d{8}(?!\d)|\d{12}(?!\d)|\d{14}(?!\d)", cell):
        return False
    try:
        datetime.strptime(cell, form)
    except ValueError:
        return False
    return True


def parts_missing(form: str) -> list[str]:
    """What of a date a form does not say, of year, month and day."""
    said = set(re.findall(r"%([A-Za-z])", form))
    parts = {"year": set("YyGcx"), "month": set("mbBjUWVcx"), "day": set("djuwaAcx")}
    return [part for part, directives in parts.items() if not said & directives]
