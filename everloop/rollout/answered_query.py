"""The query for what callers asked both versions of a rollout: a sample of requests' rows, with the labels they have.

A quarter of an hour has a quota, which is larger at the phase's beginning, so the sample grows with the phase's length
and not with its traffic. Within it the first rows by name are taken. Names are random, and those of a request's rows
begin alike, so this is a sample of requests that depends on nothing they hold. What was taken of a stretch stays the
same at every later look, once the stretch has been delivered: evidence that is counted in order needs that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import partitions, timestamp
from everloop.names import ModelNames
from everloop.problem_types import REGRESSION

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

SLOT = timedelta(minutes=15)
"""The stretch that has a quota; the lake is not asked more often either."""

SETTLED = timedelta(minutes=20)
"""After so long what was captured, or came as a label, is in the lake: it waits for company for up to 15 minutes."""

FIRST_QUOTA = 2000
"""Rows of a phase's first quarter of an hour; of the n-th, one n-th of it."""

LEAST_QUOTA = 100

MOST_ROWS = 20_000
"""Of one answer."""


def compared_query(
    declaration: ModelDeclaration,
    *,
    versions: tuple[int, int],
    since: datetime,
    phase: datetime,
    until: datetime,
    labelled: bool,
) -> str:
    """The query; :func:`everloop.rollout.answered.read_rows` reads its answer.

    Parameters
    ----------
    versions : tuple of int
        The candidate and the champion.
    since, phase, until : datetime
        Rows answered from ``since`` on and before ``until``. Times are told in milliseconds since ``phase``, in which
        the phase began.
    labelled : bool
        Whether the label that came first of each row is told, and when it came. Of rows before the phase only those
        are told whose label came in it.
    """
    names, score = ModelNames(declaration.model), "prediction"
    if declaration.problem.type != REGRESSION:
        score = "probability"
    features = "".join(f', "{feature.name}"' for feature in declaration.data.features)
    columns = f'"prediction_id", "request_id", "version", "key", "prediction", "{score}" AS "_score"{features}'
    origin, slot = timestamp(phase), int(SLOT.total_seconds() * 1000)
    rows = f"""WITH captured AS (
  SELECT {columns}, "time" AS "_time", date_diff('millisecond', {origin}, "time") AS "_at",
    row_number() OVER (PARTITION BY "prediction_id" ORDER BY "time") AS "_copy"
  FROM "{names.table("predictions")}"
  WHERE {partitions(since, until)} AND "version" IN ({versions[0]}, {versions[1]})
    AND "time" >= {timestamp(since)} AND "time" < {timestamp(until)}
), placed AS (
  SELECT *, abs(CAST(floor("_at" / {slot}E0) AS bigint)) AS "_slot" FROM captured WHERE "_copy" = 1
), numbered AS (
  SELECT *, row_number() OVER (
    PARTITION BY "_slot", CASE WHEN "_at" < 0 THEN 0 ELSE 1 END ORDER BY "prediction_id") AS "_number"
  FROM placed
), sampled AS (
  SELECT * FROM numbered WHERE "_number" <= {LEAST_QUOTA} OR "_number" * ("_slot" + 1) <= {FIRST_QUOTA}
)"""
    told = f'"prediction_id", "request_id", "version", "key", "prediction", "_score"{features}, "_at"'
    if not labelled:
        return f"""{rows}
SELECT {told}
FROM sampled
ORDER BY "_at", "prediction_id"
LIMIT {MOST_ROWS}"""
    qualified = told.replace('"', 's."', 1).replace(', "', ', s."')
    return f"""{rows}, arrived AS (
  SELECT "prediction_id", "key", "label", "time" AS "_came"
  FROM "{names.table("labels")}"
  WHERE {partitions(since, until)} AND "time" >= {timestamp(since)} AND "time" < {timestamp(until)}
), matched AS (
  SELECT s."prediction_id", a."label", a."_came"
  FROM sampled s JOIN arrived a ON a."prediction_id" = s."prediction_id"
  UNION ALL
  SELECT s."prediction_id", a."label", a."_came"
  FROM sampled s JOIN arrived a ON a."key" = s."key"
  WHERE a."prediction_id" IS NULL AND a."_came" >= s."_time"
), ordered AS (
  SELECT *, row_number() OVER (PARTITION BY "prediction_id" ORDER BY "_came", "label") AS "_place" FROM matched
)
SELECT {qualified}, o."label" AS "_label", date_diff('millisecond', {origin}, o."_came") AS "_label_at"
FROM sampled s LEFT JOIN ordered o ON o."prediction_id" = s."prediction_id" AND o."_place" = 1
WHERE s."_at" >= 0 OR o."_came" >= {origin}
ORDER BY s."_at", s."prediction_id"
LIMIT {MOST_ROWS}"""
