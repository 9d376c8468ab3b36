"""The query that gathers a training set: imported history, and what production saw with the labels that came later.

It keeps to what Trino (Athena) and DuckDB read alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class SnapshotWindow:
    """Which rows a training set made at ``as_of`` may hold.

    Attributes
    ----------
    as_of : datetime
        Labels that arrived later are not known yet.
    newest : datetime
        ``as_of`` less the label lag: the outcome of a younger row may still be open, and the labels that some
        have already are not a fair sample.
    oldest : datetime or None
        ``newest`` less the declared training window; earlier rows are left out.
    """

    as_of: datetime
    newest: datetime
    oldest: datetime | None


def snapshot_window(declaration: ModelDeclaration, as_of: datetime) -> SnapshotWindow:
    """The window of a training set made at ``as_of``."""
    newest = as_of - timedelta(hours=declaration.data.label_lag_hours)
    days = declaration.data.training_window_days
    return SnapshotWindow(as_of, newest, None if days is None else newest - timedelta(days=days))


def snapshot_query(declaration: ModelDeclaration, as_of: datetime) -> str:
    """The query of a training set made at ``as_of``.

    It gives the lake columns ``key``, ``time``, ``label`` and the features, in no order; a row that never got a
    label has null. Rules:

    - A label names a prediction or a key. The one that arrived last counts; at the same instant, the one
      that names the prediction. A label by key also corrects a row of history.
    - Rows of one key with the same features and label are one row, at its earliest time; such a row without
      a label gives way to one with. Rows of one key that differ stay apart, for the uniqueness check to
      find.
    """
    window = snapshot_window(declaration, as_of)
    model = declaration.model
    features = ", ".join(f'"{f.name}"' for f in declaration.data.features)
    latest = 'row_number() OVER (PARTITION BY {by} ORDER BY "time" DESC, "label_id" DESC) AS place'
    return f"""WITH history AS (
  SELECT "key", "time", "label", CAST(NULL AS VARCHAR) AS "prediction_id", {features}
  FROM "{model}_history"
  WHERE {_times(window)}
), captured AS (
  SELECT "key", "time", CAST(NULL AS DOUBLE) AS "label", "prediction_id", {features}
  FROM "{model}_predictions"
  WHERE {_partitions(window)} AND {_times(window)}
), arrived AS (
  SELECT "prediction_id", "key", "label", "time", "label_id"
  FROM "{model}_labels"
  WHERE {_partitions(window)} AND "time" <= {_timestamp(window.as_of)}
), by_prediction AS (
  SELECT "prediction_id", "label", "time" FROM (
    SELECT "prediction_id", "label", "time", {latest.format(by='"prediction_id"')}
    FROM arrived WHERE "prediction_id" IS NOT NULL
  ) ranked WHERE place = 1
), by_key AS (
  SELECT "key", "label", "time" FROM (
    SELECT "key", "label", "time", {latest.format(by='"key"')}
    FROM arrived WHERE "prediction_id" IS NULL AND "key" IS NOT NULL
  ) ranked WHERE place = 1
), seen AS (
  SELECT * FROM history UNION ALL SELECT * FROM captured
), labelled AS (
  SELECT seen."key" AS "key", seen."time" AS "time",
    CASE
      WHEN by_key."time" IS NOT NULL AND (by_prediction."time" IS NULL OR by_key."time" > by_prediction."time")
        THEN by_key."label"
      WHEN by_prediction."time" IS NOT NULL THEN by_prediction."label"
      ELSE seen."label"
    END AS "label",
    {features}
  FROM seen
  LEFT JOIN by_prediction ON by_prediction."prediction_id" = seen."prediction_id"
  LEFT JOIN by_key ON by_key."key" = seen."key"
), apart AS (
  SELECT "key", min("time") AS "time", "label", {features}
  FROM labelled
  GROUP BY "key", "label", {features}
), known AS (
  SELECT "key", "time", "label", {features},
    max("label") OVER (PARTITION BY "key", {features}) AS "_known_label"
  FROM apart
)
SELECT "key", "time", "label", {features}
FROM known
WHERE "label" IS NOT NULL OR "_known_label" IS NULL"""


def _times(window: SnapshotWindow) -> str:
    newest = f'"time" <= {_timestamp(window.newest)}'
    return newest if window.oldest is None else f'"time" > {_timestamp(window.oldest)} AND {newest}'


def _partitions(window: SnapshotWindow) -> str:
    """Partitions are named by arrival, which is never before the row's own time."""
    newest = f"\"date\" <= '{_date(window.as_of)}'"
    return newest if window.oldest is None else f"\"date\" >= '{_date(window.oldest)}' AND {newest}"


def _timestamp(instant: datetime) -> str:
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return f"TIMESTAMP '{text}'"


def _date(instant: datetime) -> str:
    return instant.astimezone(UTC).date().isoformat()
