"""A test part that has enough rows of each class: its days are counted back until the rarest one has them.

Rows of a rare class can't be drawn from all days: the model would learn from newer rows than those that judge it. Nor
can others be left out: the shares of the classes, and so every probability, would be wrong. So the test part stays the
newest rows, all of them, and has more days where a class is rare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import SplitError
from everloop.dataset.frozen import Place
from everloop.instants import format_instant
from everloop.numbers_of import number_of

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

STRATIFIED = "stratified"

DAY = timedelta(days=1)


def class_names(declaration: ModelDeclaration) -> list[str]:
    """The classes by their places; of two, the labels themselves."""
    return [str(name) for name in declaration.problem.classes or (0, 1)]


def reached_query(declaration: ModelDeclaration, place: Place) -> str:
    """The query that tells how far back the wanted rows of each class reach: its place, and the oldest one's time.

    A class that has fewer rows is not among the answers.
    """
    wanted = declaration.data.split.rows_of_each_class
    return f"""SELECT "label" AS label, date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00.000', "time") AS reached
FROM (
  SELECT "label", "time", row_number() OVER (PARTITION BY "label" ORDER BY "time" DESC) AS n FROM {place.rows()}
) newest
WHERE n = {wanted}"""


def test_days_of(declaration: ModelDeclaration, reached: Mapping[int, datetime], last: datetime) -> int:
    """How many of the newest days the test part has.

    Parameters
    ----------
    reached : mapping of int to datetime
        By the place of each class that has as many rows as are wanted, the time of the oldest one of them.
    last : datetime
        The newest row's.

    Raises
    ------
    SplitError
        When a class lacks rows, in all or within ``data.split.most_test_days``.
    """
    split = declaration.data.split
    names, wanted = class_names(declaration), split.rows_of_each_class
    lacking = [name for place, name in enumerate(names) if place not in reached]
    if lacking:
        raise _too_rare(lacking, f"fewer than {wanted} labelled rows", wanted)
    days = {place: (last - reached[place]) // DAY + 1 for place in range(len(names))}
    found, longest = max(split.test_days, *days.values()), split.longest_days
    if found > longest:
        place = max(days, key=lambda one: days[one])
        since = format_instant(reached[place])
        why = f"{wanted} rows since {since}, {number_of(found, 'day')} back, and data.split.most_test_days is {longest}"
        raise _too_rare([names[place]], why, wanted)
    return found


def _too_rare(names: Sequence[str], why: str, wanted: int | None) -> SplitError:
    told = ", ".join(names)
    return SplitError(
        f"the test part can't have {wanted} rows of each class: {'class' if len(names) == 1 else 'classes'} {told} with"
        f" {why}. Add rows, declare more data.split.most_test_days, or fewer data.split.rows_of_each_class"
    )
