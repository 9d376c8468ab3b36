"""The query that gathers a training set: imported history, and what production saw with the labels that came later.

It keeps to what Trino (Athena) and DuckDB read alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import QueryTooLongError
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.lake_sql import LONGEST_ARRAY, LONGEST_QUERY_BYTES, partitions, quoted, timestamp
from everloop.lake_tables import SUPERSEDED

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


def learning_from(declaration: ModelDeclaration, days: int | None) -> ModelDeclaration:
    """The declaration as if it said that only the newest ``days`` are trained on; itself where they are None."""
    if days is None:
        return declaration
    return declaration.model_copy(
        update={"data": declaration.data.model_copy(update={"training_window_days": days, "training_spans": None})}
    )


def captures_masked(declaration: ModelDeclaration) -> bool:
    """Whether captured rows lack features that were asked with: then they are no rows to learn from."""
    capture = declaration.serving.capture
    return capture is not None and bool(capture.mask)


def snapshot_query(declaration: ModelDeclaration, as_of: datetime, listing: LakeListing) -> str:
    """The query of a training set made at ``as_of``.

    It gives the lake columns ``key``, ``time``, ``label`` and the features, and ``SUPERSEDED``, in no order; a row that
    never got a label has null. A key is one row of the world, and so of the training set. Rules:

    - A label names a prediction or a key. The one that arrived last counts; at the same instant, the one
      that names the prediction. A label by key also corrects a row of history.
    - A row that was imported again, with other values, counts as it was imported last.
    - Of several rows of one key, a labelled one counts before one without a label. Of those, the last question that
      production answered before the first label of the key arrived; without such a question, the row of history;
      without that, the first question asked afterwards. What was asked when the outcome was known may hold what
      nobody could have known in time.
    - The row that counts bears the time at which its key first had its features. The others of its key with other
      features are superseded: they are left out, and counted.
    - Where captured rows have masked features, only history counts.
    - Labels that arrived for different predictions of one key and differ contradict each other, and so do rows of one
      import. Nothing tells which is right: they stay apart, for the uniqueness check to find. A later label by key
      settles it.

    Parameters
    ----------
    listing : LakeListing
        What the lake holds by now.
    """
    window = snapshot_window(declaration, as_of)
    model = declaration.model
    features = ", ".join(f'"{f.name}"' for f in declaration.data.features)
    latest = 'row_number() OVER (PARTITION BY {by} ORDER BY "time" DESC, "label_id" DESC) AS place'
    first = 'min("time") OVER (PARTITION BY {by}) AS f'
    nothing_yet = as_of.astimezone(UTC).date()
    predicted = partitions(window.oldest, window.newest, first=listing.first_predictions or nothing_yet)
    told = partitions(window.oldest, as_of, first=listing.first_labels or nothing_yet)
    if captures_masked(declaration):
        predicted = f"1 = 0 AND {predicted}"
    # A feature's name has at least two characters and begins with a letter: names of one letter, or that begin with
    # an underscore, are the query's own. Of a row, o counts its other imports, f is when its first label arrived, a
    # whether one has, k when the first one of its key did, d whether those of its key contradict each other, h
    # whether it is of history, and p its place among them.
    return f"""WITH history AS (
  {_history(declaration, window, listing, features)}
), captured AS (
  SELECT "key", "time", CAST(NULL AS DOUBLE) AS "label", "prediction_id", {features}, 0 AS o
  FROM "{model}_predictions"
  WHERE {predicted} AND {_times(window)}
), arrived AS (
  SELECT "prediction_id", "key", "label", "time", "label_id"
  FROM "{model}_labels"
  WHERE {told} AND "time" <= {timestamp(window.as_of)}
), by_prediction AS (
  SELECT "prediction_id", "label", "time", f FROM (
    SELECT "prediction_id", "label", "time", {first.format(by='"prediction_id"')}, {latest.format(by='"prediction_id"')}
    FROM arrived WHERE "prediction_id" IS NOT NULL
  ) ranked WHERE place = 1
), by_key AS (
  SELECT "key", "label", "time", f FROM (
    SELECT "key", "label", "time", {first.format(by='"key"')}, {latest.format(by='"key"')}
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
    seen."prediction_id" AS "prediction_id", {features}, o,
    CASE WHEN by_key.f IS NULL OR by_prediction.f < by_key.f THEN by_prediction.f ELSE by_key.f END AS f
  FROM seen
  LEFT JOIN by_prediction ON by_prediction."prediction_id" = seen."prediction_id"
  LEFT JOIN by_key ON by_key."key" = seen."key"
), repeated AS (
  SELECT "key", min(f) AS k,
    min(CASE WHEN f IS NOT NULL THEN "label" END) AS "_least",
    max(CASE WHEN f IS NOT NULL THEN "label" END) AS "_greatest",
    min("label") AS "_least_of_all", max("label") AS "_greatest_of_all"
  FROM labelled GROUP BY "key" HAVING count(*) > 1
), judged AS (
  SELECT labelled.*, CASE WHEN f IS NULL THEN 0 ELSE 1 END AS a, k, CASE
      WHEN "_least" <> "_greatest" OR ("_least" IS NULL AND "_least_of_all" <> "_greatest_of_all") THEN 1 ELSE 0
    END AS d
  FROM labelled LEFT JOIN repeated ON repeated."key" = labelled."key"
), apart AS (
  SELECT "key", min("time") AS "time", coalesce(min(CASE WHEN a = 1 THEN "label" END), min("label")) AS "label",
    {features}, max(d) AS d, max(o) AS o,
    max(CASE WHEN "prediction_id" IS NULL THEN 1 ELSE 0 END) AS h,
    max(CASE WHEN "prediction_id" IS NOT NULL AND (k IS NULL OR "time" < k) THEN "time" END) AS "_asked_in_time",
    min(CASE WHEN "prediction_id" IS NOT NULL THEN "time" END) AS "_asked",
    max("prediction_id") AS "prediction_id"
  FROM judged
  GROUP BY "key", {features}, CASE WHEN judged.d = 1 THEN judged."label" END
), ranked AS (
  SELECT "key", "time", "label", {features}, d,
    rank() OVER (PARTITION BY "key" ORDER BY
      CASE WHEN "label" IS NULL THEN 1 ELSE 0 END,
      CASE WHEN "_asked_in_time" IS NOT NULL THEN 0 WHEN h = 1 THEN 1 ELSE 2 END,
      "_asked_in_time" DESC,
      CASE WHEN "_asked_in_time" IS NULL AND h = 0 THEN "_asked" END,
      CASE WHEN "_asked_in_time" IS NOT NULL OR h = 0 THEN "prediction_id" END DESC) AS p,
    count(*) OVER (PARTITION BY "key") - 1 + sum(o) OVER (PARTITION BY "key") AS {SUPERSEDED}
  FROM apart
)
SELECT "key", "time", "label", {features}, {SUPERSEDED}
FROM ranked
WHERE p = 1 OR (d = 1 AND "label" IS NOT NULL)"""


def require_fitting(query: str) -> None:
    """Refuse a statement that Athena would not take.

    Raises
    ------
    QueryTooLongError
        Only the number of imports can make it so: of declarations it is checked, see :mod:`everloop.model_file.sizes`.
    """
    found = len(query.encode())
    if found > LONGEST_QUERY_BYTES:
        raise QueryTooLongError(
            f"the query of the training set has {found:,} bytes, and Athena accepts at most "
            f"{LONGEST_QUERY_BYTES:,}: it names every imported file, about 80 bytes each. Import history in fewer "
            "and larger files, and delete the objects they replace"
        )


def _history(declaration: ModelDeclaration, window: SnapshotWindow, listing: LakeListing, features: str) -> str:
    """The rows of history, each as it was imported last; more than one of a key only where an import had more."""
    table, columns = f'"{declaration.model}_history"', f'"key", "time", "label", {features}'
    nobody = 'CAST(NULL AS VARCHAR) AS "prediction_id"'
    chosen = f'SELECT "key", "time", "label", {nobody}, {features}'
    if len(listing.imports) < 2:
        return f"{chosen}, 0 AS o\n  FROM {table}\n  WHERE {_times(window)}"
    parts = (listing.imports[start : start + LONGEST_ARRAY] for start in range(0, len(listing.imports), LONGEST_ARRAY))
    names = " || ".join(f"ARRAY[{', '.join(map(quoted, part))}]" for part in parts)
    name = f'substr("$path", {len(listing.history_location) + 1})'
    # What is not in the list came after it was made.
    order = f"coalesce(nullif(array_position({names}, {name}), 0), {len(listing.imports) + 1})"
    return f"""{chosen}, CAST(n - 1 AS INTEGER) AS o FROM (
    SELECT {columns}, rank() OVER (PARTITION BY "key" ORDER BY i DESC) AS p, count(*) OVER (PARTITION BY "key") AS n
    FROM (
      SELECT {columns}, max({order}) AS i FROM {table}
      GROUP BY {columns}
    ) contents
  ) imported
  WHERE p = 1 AND {_times(window)}"""


def _times(window: SnapshotWindow) -> str:
    newest = f'"time" <= {timestamp(window.newest)}'
    return newest if window.oldest is None else f'"time" > {timestamp(window.oldest)} AND {newest}'
