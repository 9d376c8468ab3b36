"""The query that counts the labelled window for recalibration: outcomes by what the model said, not by what was served.

It keeps to what Trino (Athena) and DuckDB read alike; its sums are those of :mod:`everloop.recalibration.sums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from everloop.dataset.lake_sql import double, quoted
from everloop.limits import LARGEST_VALUE
from everloop.monitoring.profile_query import Windows, joined_rows
from everloop.recalibration.calibration import LARGEST_LOG_ODDS
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.sums import BIN_WIDTH, BINS, LARGEST_BIN, UNSCALED, LogOddsSums, Scale, Sums, ValueSums

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]

_MOMENTS = ("n", "score", "score_squares", "error", "error_squares", "product")


@dataclass(frozen=True)
class RowsApart:
    """What rows are taken apart by.

    Attributes
    ----------
    features : tuple of str
        Those that ``places`` look at.
    places : mapping of str to str
        Columns that the sums are grouped by, and the terms that make them.
    over : mapping of str to str
        Columns of 0 and 1 that are counted by outcome, and the terms that make them: of a classification.
    """

    features: tuple[str, ...]
    places: Mapping[str, str]
    over: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, by: GroupBy) -> Self:
        """By groups."""
        return cls((by.feature,), {"place": place_of(by)})


_TOGETHER = RowsApart((), {})


def raw_scores_query(
    declaration: ModelDeclaration,
    windows: Windows,
    *,
    version: int,
    scale: Scale = UNSCALED,
    apart: RowsApart = _TOGETHER,
) -> str:
    """The query; its answer is what :func:`read_sums` takes, or, by groups, :func:`read_group_sums`.

    Parameters
    ----------
    version : int
        The champion: only rows that it answered teach something of it.
    scale : Scale
        Of a regression.
    apart : RowsApart
        Sums of all rows together where nothing is given.
    """
    columns = "".join(f'"{name}", ' for name in apart.features)
    made = "".join(f"{term} AS {name}, " for name, term in {**apart.places, **apart.over}.items())
    kept = "".join(f"{name}, " for name in (*apart.places, *apart.over))
    grouped = ", ".join((*apart.places, "bin"))
    rows = f"""{joined_rows(declaration, windows, version=version, columns=columns)}, taught AS (
  SELECT {made}"_raw" AS s, y FROM joined
  WHERE l = 1 AND "_own" = 1 AND y IS NOT NULL AND "_raw" IS NOT NULL
)"""
    if declaration.problem.type == "binary_classification":
        over = "".join(
            f",\n  sum(CASE WHEN y = 1E0 THEN 0 ELSE {name} END) AS {name}_zeros,"
            f" sum(CASE WHEN y = 1E0 THEN {name} ELSE 0 END) AS {name}_ones"
            for name in apart.over
        )
        return f"""{rows}, rated AS (
  SELECT {kept}y, CASE WHEN s <= 0E0 THEN {double(-LARGEST_LOG_ODDS)} WHEN s >= 1E0 THEN {double(LARGEST_LOG_ODDS)}
    ELSE ln(s) - ln(1E0 - s) END AS z
  FROM taught
), limited AS (
  SELECT {kept}y, CASE WHEN z < {double(-LARGEST_LOG_ODDS)} THEN {double(-LARGEST_LOG_ODDS)}
    WHEN z > {double(LARGEST_LOG_ODDS)} THEN {double(LARGEST_LOG_ODDS)} ELSE z END AS z
  FROM rated
), binned AS (
  SELECT {kept}y, z, CASE WHEN z < {double(-LARGEST_BIN * BIN_WIDTH)} THEN {-LARGEST_BIN - 1}
    WHEN z >= {double(LARGEST_BIN * BIN_WIDTH)} THEN {LARGEST_BIN}
    ELSE CAST(floor(z / {double(BIN_WIDTH)}) AS integer) END AS bin
  FROM limited
)
SELECT {grouped}, sum(CASE WHEN y = 1E0 THEN 0 ELSE 1 END) AS zeros,
  sum(CASE WHEN y = 1E0 THEN 0E0 ELSE z END) AS zeros_z,
  sum(CASE WHEN y = 1E0 THEN 1 ELSE 0 END) AS ones, sum(CASE WHEN y = 1E0 THEN z ELSE 0E0 END) AS ones_z{over}
FROM binned GROUP BY {grouped} ORDER BY {grouped}"""
    limit, most, width = double(LARGEST_VALUE), LARGEST_BIN * scale.width, double(scale.width)
    return f"""{rows}, counted AS (
  SELECT {kept}s - ({double(scale.center)}) AS x, y - s AS e FROM taught WHERE abs(y) <= {limit} AND abs(s) <= {limit}
), binned AS (
  SELECT {kept}x, e, CASE WHEN x < {double(-most)} THEN {-LARGEST_BIN - 1} WHEN x >= {double(most)} THEN {LARGEST_BIN}
    ELSE CAST(floor(x / {width}) AS integer) END AS bin
  FROM counted
)
SELECT {grouped}, count(*) AS n, sum(x) AS score, sum(x * x) AS score_squares, sum(e) AS error,
  sum(e * e) AS error_squares, sum(x * e) AS product
FROM binned GROUP BY {grouped} ORDER BY {grouped}"""


def place_of(by: GroupBy) -> str:
    """The place of a row's group, as :func:`everloop.recalibration.calibration.group_places` gives it."""
    column = f'"{by.feature}"'
    if by.values:
        known = f"array_position(ARRAY[{', '.join(map(quoted, by.values))}], {column})"
        # Of what is not in the array, engines make zero or null.
        return f"coalesce(nullif({known}, 0) - 1, {OTHERS})"
    spans = f"width_bucket({column}, ARRAY[{', '.join(map(double, by.edges))}])"
    return f"CASE WHEN {column} IS NULL THEN {OTHERS} ELSE {spans} END"


def read_sums(declaration: ModelDeclaration, answer: Rows, *, scale: Scale = UNSCALED) -> Sums:
    """The sums that the query's answer says."""
    if declaration.problem.type == "binary_classification":
        counts, log_odds = np.zeros((2, BINS)), np.zeros((2, BINS))
        for row in answer:
            index = int(_number(row, "bin")) + LARGEST_BIN + 1
            counts[:, index] = _number(row, "zeros"), _number(row, "ones")
            log_odds[:, index] = _number(row, "zeros_z"), _number(row, "ones_z")
        return LogOddsSums(counts, log_odds)
    sums = ValueSums.none(scale.center, scale.width)
    for row in answer:
        index = int(_number(row, "bin")) + LARGEST_BIN + 1
        sums.moments[:, index] = [_number(row, name) for name in _MOMENTS]
    return sums


def read_group_sums(
    declaration: ModelDeclaration, answer: Rows, by: GroupBy, *, scale: Scale = UNSCALED
) -> dict[int, Sums]:
    """The sums of each group by its place, and of the rows in none under ``OTHERS``."""
    found = {}
    for place in range(OTHERS, len(by)):
        rows = [row for row in answer if int(_number(row, "place")) == place]
        found[place] = read_sums(declaration, rows, scale=scale)
    return found


def _number(row: dict[str, str | None], name: str) -> float:
    return float(row[name] or 0)
