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
from everloop.recalibration.sums import BIN_WIDTH, BINS, LARGEST_BIN, UNSCALED, LogOddsSums, Scale, Sums, ValueSums

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]

_MOMENTS = ("n", "score", "score_squares", "error", "error_squares", "product")


def raw_scores_query(declaration: ModelDeclaration, windows: Windows, *, version: int, scale: Scale = UNSCALED) -> str:
    """The query; its answer is what :func:`read_sums` takes.

    Parameters
    ----------
    version : int
        The champion: only rows that it answered teach something of it.
    scale : Scale
        Of a regression.
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
    limit, most, width = double(LARGEST_VALUE), LARGEST_BIN * scale.width, double(scale.width)
    return f"""{rows}, counted AS (
  SELECT s - ({double(scale.center)}) AS x, y - s AS e FROM taught WHERE abs(y) <= {limit} AND abs(s) <= {limit}
), binned AS (
  SELECT x, e, CASE WHEN x < {double(-most)} THEN {-LARGEST_BIN - 1} WHEN x >= {double(most)} THEN {LARGEST_BIN}
    ELSE CAST(floor(x / {width}) AS integer) END AS bin
  FROM counted
)
SELECT bin, count(*) AS n, sum(x) AS score, sum(x * x) AS score_squares, sum(e) AS error, sum(e * e) AS error_squares,
  sum(x * e) AS product
FROM binned GROUP BY bin ORDER BY bin"""


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


def _number(row: dict[str, str | None], name: str) -> float:
    return float(row[name] or 0)
