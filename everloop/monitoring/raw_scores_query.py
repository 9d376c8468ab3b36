"""The query that counts the labelled window for recalibration: outcomes by what the model said, not by what was served.

It keeps to what Trino (Athena) and DuckDB read alike; its sums are those of :mod:`everloop.recalibration.sums`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.limits import LARGEST_VALUE
from everloop.monitoring.profile_query import Windows, double, joined_rows
from everloop.recalibration.calibration import LARGEST_LOG_ODDS
from everloop.recalibration.sums import BIN_WIDTH, BINS, LARGEST_BIN, LogOddsSums, Sums, ValueSums

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]


def raw_scores_query(declaration: ModelDeclaration, windows: Windows, *, version: int, center: float = 0.0) -> str:
    """The query; its answer is what :func:`read_sums` takes.

    Parameters
    ----------
    version : int
        The champion: only rows that it answered teach something of it.
    center : float
        Of a regression: what its scores are counted from.
    """
    rows = f"""{joined_rows(declaration, windows, version=version)}, taught AS (
  SELECT "_raw" AS s, y FROM joined
  WHERE l = 1 AND "_own" = 1 AND y IS NOT NULL AND "_raw" IS NOT NULL
)"""
    if declaration.problem.type == "binary_classification":
        return f"""{rows}, rated AS (
  SELECT y, CASE WHEN s <= 0E0 THEN {double(-LARGEST_LOG_ODDS)} WHEN s >= 1E0 THEN {double(LARGEST_LOG_ODDS)}
    ELSE ln(s) - ln(1E0 - s) END AS z
  FROM taught
), limited AS (
  SELECT y, CASE WHEN z < {double(-LARGEST_LOG_ODDS)} THEN {double(-LARGEST_LOG_ODDS)}
    WHEN z > {double(LARGEST_LOG_ODDS)} THEN {double(LARGEST_LOG_ODDS)} ELSE z END AS z
  FROM rated
), binned AS (
  SELECT y, z, CASE WHEN z < {double(-LARGEST_BIN * BIN_WIDTH)} THEN {-LARGEST_BIN - 1}
    WHEN z >= {double(LARGEST_BIN * BIN_WIDTH)} THEN {LARGEST_BIN}
    ELSE CAST(floor(z / {double(BIN_WIDTH)}) AS integer) END AS bin
  FROM limited
)
SELECT bin, sum(CASE WHEN y = 1E0 THEN 0 ELSE 1 END) AS zeros, sum(CASE WHEN y = 1E0 THEN 0E0 ELSE z END) AS zeros_z,
  sum(CASE WHEN y = 1E0 THEN 1 ELSE 0 END) AS ones, sum(CASE WHEN y = 1E0 THEN z ELSE 0E0 END) AS ones_z
FROM binned GROUP BY bin ORDER BY bin"""
    limit = double(LARGEST_VALUE)
    return f"""{rows}, counted AS (
  SELECT s - ({double(center)}) AS x, y - s AS e FROM taught WHERE abs(y) <= {limit} AND abs(s) <= {limit}
)
SELECT count(*) AS n, coalesce(sum(x), 0E0) AS score, coalesce(sum(x * x), 0E0) AS score_squares,
  coalesce(sum(e), 0E0) AS error, coalesce(sum(e * e), 0E0) AS error_squares, coalesce(sum(x * e), 0E0) AS product
FROM counted"""


def read_sums(declaration: ModelDeclaration, answer: Rows, *, center: float = 0.0) -> Sums:
    """The sums that the query's answer says."""
    if declaration.problem.type == "binary_classification":
        counts, log_odds = np.zeros((2, BINS)), np.zeros((2, BINS))
        for row in answer:
            index = int(_number(row, "bin")) + LARGEST_BIN + 1
            counts[:, index] = _number(row, "zeros"), _number(row, "ones")
            log_odds[:, index] = _number(row, "zeros_z"), _number(row, "ones_z")
        return LogOddsSums(counts, log_odds)
    (row,) = answer
    names = ("score", "score_squares", "error", "error_squares", "product")
    return ValueSums(center, int(_number(row, "n")), *(_number(row, name) for name in names))


def _number(row: dict[str, str | None], name: str) -> float:
    return float(row[name] or 0)
