"""The query that counts how the intervals did that the labelled window's rows were answered with.

It keeps to what Trino (Athena) and DuckDB read alike; its sums are those of :mod:`everloop.recalibration.spread.sums`.
Rows that were answered without bounds, by a release or a version that had none, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import double
from everloop.limits import LARGEST_VALUE
from everloop.monitoring.profile_query import Windows, joined_rows
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.sums import EDGES, Answered, SpreadSums

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Rows = Sequence[dict[str, str | None]]


def interval_query(declaration: ModelDeclaration, windows: Windows, interval: Interval, *, version: int) -> str:
    """The query; its answer is what :func:`read_spread` takes.

    Parameters
    ----------
    interval : Interval
        Of the version's birth.
    version : int
        The champion: only rows that it answered count.
    """
    limit = double(LARGEST_VALUE)
    bounds = '"prediction_low", "prediction_high", '
    below, above = double(interval.below), double(interval.above)
    edges = ", ".join(map(double, EDGES.tolist()))
    return f"""{joined_rows(declaration, windows, version=version, columns=bounds)}, answered AS (
  SELECT y, y - s AS e, "prediction_low" AS low, "prediction_high" AS high, "_raw" - {below} AS raw_low,
    "_raw" + {above} AS raw_high
  FROM joined
  WHERE l = 1 AND "_own" = 1 AND abs(y) <= {limit} AND abs(s) <= {limit} AND abs("_raw") <= {limit}
    AND "prediction_low" IS NOT NULL AND "prediction_high" IS NOT NULL
), placed AS (
  SELECT high - low AS width, CASE WHEN e < 0E0 THEN 0 ELSE 1 END AS side,
    CASE WHEN e < 0E0 THEN -e / {below} ELSE e / {above} END AS distance,
    {_outside("low", "high")} AS outside, {_outside("raw_low", "raw_high")} AS raw_outside
  FROM answered
), binned AS (
  SELECT *, width_bucket(distance, ARRAY[{edges}]) AS bin FROM placed
)
SELECT side, bin, count(*) AS n, sum(distance) AS distance, sum(width) AS width,
  sum(CASE WHEN outside = 0E0 THEN 1 ELSE 0 END) AS inside, sum(outside) AS outside,
  sum(CASE WHEN raw_outside = 0E0 THEN 1 ELSE 0 END) AS raw_inside, sum(raw_outside) AS raw_outside
FROM binned GROUP BY side, bin ORDER BY side, bin"""


def read_spread(answer: Rows, interval: Interval) -> SpreadSums:
    """The sums that the query's answer says."""
    sums = SpreadSums.none()
    for row in answer:
        side, place = int(_number(row, "side")), int(_number(row, "bin"))
        sums.counts[side, place], sums.distances[side, place] = _number(row, "n"), _number(row, "distance")

    def total(name: str) -> float:
        return sum(_number(row, name) for row in answer)

    return SpreadSums(
        sums.counts,
        sums.distances,
        Answered(int(total("inside")), total("width"), total("outside")),
        Answered(int(total("raw_inside")), sums.rows * (interval.below + interval.above), total("raw_outside")),
    )


def _outside(low: str, high: str) -> str:
    return f"CASE WHEN y < {low} THEN {low} - y WHEN y > {high} THEN y - {high} ELSE 0E0 END"


def _number(row: dict[str, str | None], name: str) -> float:
    return float(row[name] or 0)
