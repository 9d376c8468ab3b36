"""The query that counts a window on the lake.

One query gives everything in one pass: the captured rows of a window are joined with the label that arrived last and
put into the reference's bins; then each row is spread over the bins it fell into, one for each feature, and those are
counted. The answer has one row for each bin that occurs. It keeps to what Trino (Athena) and DuckDB read alike; its
counts are those of :mod:`everloop.monitoring.counting`.

The text stays short, since parsing is a good part of a small window's time: edges and categories stand in arrays, for
``width_bucket`` and ``array_position`` (https://trino.io/docs/current/functions/math.html,
https://trino.io/docs/current/functions/array.html). Where all features together are more than Athena takes in one
query, :mod:`everloop.monitoring.profile_queries` counts the rest of them by :func:`features_query`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import double, partitions, quoted, timestamp
from everloop.limits import LARGEST_VALUE
from everloop.monitoring.bins import Bins, CategoryBins
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.profile import DECISION_SUMS, OUTCOME_SUMS
from everloop.monitoring.reference import SCORE, Reference
from everloop.prediction_ids import captured_condition
from everloop.problem_types import BINARY, REGRESSION

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

KNOWN_FOR = timedelta(days=35)
"""A label that names a prediction is known as such for at least this long; where outcomes take longer than half of it,
for twice their declared lag."""

CLIP = "2.220446049250313E-16"

ALL_SUMS = (*OUTCOME_SUMS, *DECISION_SUMS)

TOTAL, LABELS = "total", "labels"
"""The parts of the answer that are no feature's."""

UNKNOWN = "unknown"
"""The one column of the other query's answer."""


@dataclass(frozen=True)
class Windows:
    """What one run of the monitor looks at; all UTC, begin included, end not.

    Attributes
    ----------
    as_of : datetime
        Labels that arrived later are not known yet.
    start, end : datetime
        The rows whose inputs and scores are counted.
    labelled_start, labelled_end : datetime
        The rows whose outcomes are complete by ``as_of``.
    """

    as_of: datetime
    start: datetime
    end: datetime
    labelled_start: datetime
    labelled_end: datetime


def windows_at(declaration: ModelDeclaration, scheduled: datetime) -> Windows:
    """The windows of the run scheduled at ``scheduled``.

    The one for inputs ends at the last UTC midnight; the labelled one at the last midnight by which every outcome
    has had its declared lag to arrive.
    """
    length = timedelta(hours=declaration.monitoring.window_hours)
    end = _midnight(scheduled)
    labelled_end = _midnight(scheduled - timedelta(hours=declaration.data.label_lag_hours))
    return Windows(scheduled.astimezone(UTC), end - length, end, labelled_end - length, labelled_end)


def profile_query(
    declaration: ModelDeclaration,
    reference: Reference,
    windows: Windows,
    *,
    version: int,
    features: Iterable[str] | None = None,
) -> str:
    """The query.

    A feature's name has at least two characters and begins with a letter: names of one letter, or quoted and beginning
    with an underscore, are the query's own.

    Its answer is what :func:`everloop.monitoring.profile_answer.read_counts` takes.

    Parameters
    ----------
    version : int
        The champion: scores and outcomes are counted of the rows that it answered.
    features : iterable of str, optional
        The features to count; all of the reference's where nothing is given.
    """
    every = all_bins(reference)
    chosen = reference.features if features is None else features
    bins = {name: every[name] for name in [*chosen, SCORE]}
    places = _places(bins, "0")
    classification = declaration.problem.type != REGRESSION
    classes = declaration.problem.classes or []
    return f"""{joined_rows(declaration, windows, version=version, columns=_columns(bins))}, scored AS (
  SELECT *, CASE WHEN l = 1 AND "_own" = 1 AND {_countable(classification, len(classes))} THEN 1E0 ELSE 0E0 END AS t,
    {_scale(classification)}
  FROM joined
), rated AS (
  SELECT w, w * "_own" AS o, CASE WHEN w = 1 THEN "_share" END AS "_share",
    CASE WHEN l = 1 AND y IS NOT NULL THEN 1 ELSE 0 END AS k, t,
    CASE WHEN l = 1 AND "_own" = 1 AND y IS NOT NULL AND t = 0E0 THEN 1 ELSE 0 END AS x,
    {_terms(declaration.gate.metric, len(classes))},
    {_decisions(declaration)},
    ARRAY[
      {places}
    ] AS b
  FROM (SELECT *, {_deviance(classification)} AS d FROM scored) r
), counted AS (
  SELECT {_part([TOTAL, *map(part_of, bins)])}, bin, sum(w) AS n, sum(o) AS n_own, sum(k) AS labelled,
    sum(t) AS outcomes, sum(x) AS beyond,
    {", ".join(f'coalesce(sum("_{name}"), 0E0) AS {name}' for name in ALL_SUMS)},
    sum(1E0 / "_share") AS answered, min("_share") AS least_share, max("_share") AS most_share
  FROM rated CROSS JOIN UNNEST(b) WITH ORDINALITY AS u (bin, i)
  GROUP BY i, bin
), label_counts AS (
  SELECT count(*) AS arrived,
    coalesce(sum(CASE WHEN a.previous <> a."label" THEN 1 ELSE 0 END), 0) AS corrections,
    coalesce(sum(CASE WHEN c."prediction_id" IS NULL AND k."key" IS NULL
      AND {captured_condition('a."prediction_id"')} THEN 1 ELSE 0 END), 0) AS unmatched
  FROM arrived a
  LEFT JOIN (SELECT "prediction_id" FROM captured WHERE "_copy" = 1) c ON c."prediction_id" = a."prediction_id"
  LEFT JOIN (SELECT DISTINCT "key" FROM captured) k ON k."key" = a."key" AND a."prediction_id" IS NULL
  WHERE a."time" > {timestamp(_labels_from(windows))}
)
SELECT part, bin, n, n_own, labelled, outcomes, beyond, {", ".join(ALL_SUMS)}, answered, least_share, most_share
FROM counted
UNION ALL
SELECT '{LABELS}', 0, arrived, corrections, unmatched, 0E0, 0, {", ".join("0E0" for _ in ALL_SUMS)}, 0E0, 1E0, 1E0
FROM label_counts"""


def joined_rows(
    declaration: ModelDeclaration, windows: Windows, *, version: int, columns: str = "", only: str = ""
) -> str:
    """How a query begins that looks at the windows' rows: ``joined``, each captured row once, with what became of it.

    Of several classes, ``s`` is the answered one's probability, ``"_raw"`` its name, ``y`` whether it came (1) or
    another one (0); ``"_label"`` is the place of the one that came, and ``"_each"`` has all probabilities.

    Its columns: ``s`` the served score and ``"_raw"`` what the model said (rows captured before both were kept have one
    score), ``y`` the label that arrived last, ``w`` and ``l`` whether the row is in the window and in the labelled one,
    ``"_own"`` whether ``version`` answered it, ``"_share"`` of how many rows it is one that was captured.

    Parameters
    ----------
    columns : str
        More columns of the captured rows, each followed by a comma.
    only : str
        A condition of key, time and prediction id that captured rows have to meet; all do where it is empty.
    """
    begin, until = min(windows.start, windows.labelled_start), max(windows.end, windows.labelled_end)
    score = '"prediction"' if declaration.problem.type == REGRESSION else '"probability"'
    raw = f'coalesce("raw_score", {score})'
    label = """CASE WHEN k."time" IS NOT NULL AND (p."time" IS NULL OR k."time" > p."time") THEN k."label"
      ELSE p."label" END"""
    outcome = f"{label} AS y"
    classes = declaration.problem.classes
    if classes:
        names = " ".join(f"WHEN {double(float(place))} THEN {quoted(str(name))}" for place, name in enumerate(classes))
        raw = f'CASE "prediction" {names} END'
        columns = f'"prediction" AS "_answered", "probabilities" AS "_each", {columns}'
        outcome = f"""{label} AS "_label",
    CASE WHEN ({label}) IS NULL THEN NULL WHEN ({label}) = c."_answered" THEN 1E0 ELSE 0E0 END AS y"""
    return f"""WITH captured AS (
  SELECT "prediction_id", "key", "time", "version", {score} AS s, {raw} AS "_raw", {columns}
    coalesce("capture_share", 1E0) AS "_share",
    row_number() OVER (PARTITION BY "prediction_id" ORDER BY "time") AS "_copy"
  FROM "{declaration.model}_predictions"
  WHERE {partitions(begin, windows.as_of)}
    AND "time" >= {timestamp(begin)} AND "time" <= {timestamp(windows.as_of)}{f" AND {only}" if only else ""}
), arrived AS (
  SELECT "prediction_id", "key", "label", "time",
    row_number() OVER (
      PARTITION BY "prediction_id", CASE WHEN "prediction_id" IS NULL THEN "key" END
      ORDER BY "time" DESC, "label_id" DESC) AS place,
    lag("label") OVER (
      PARTITION BY "prediction_id", CASE WHEN "prediction_id" IS NULL THEN "key" END
      ORDER BY "time", "label_id") AS previous
  FROM "{declaration.model}_labels"
  WHERE {partitions(begin, windows.as_of)} AND "time" <= {timestamp(windows.as_of)}
), by_prediction AS (
  SELECT "prediction_id", "label", "time" FROM arrived WHERE place = 1 AND "prediction_id" IS NOT NULL
), by_key AS (
  SELECT "key", "label", "time" FROM arrived WHERE place = 1 AND "prediction_id" IS NULL
), joined AS (
  SELECT c.*,
    {outcome},
    {_inside("c", windows.start, windows.end)} AS w,
    CASE WHEN c."version" = {version} THEN 1 ELSE 0 END AS "_own",
    {_inside("c", windows.labelled_start, windows.labelled_end)} AS l
  FROM captured c
  LEFT JOIN by_prediction p ON p."prediction_id" = c."prediction_id"
  LEFT JOIN by_key k ON k."key" = c."key"
  WHERE c."_copy" = 1 AND c."time" < {timestamp(until)}
)"""


def features_query(
    declaration: ModelDeclaration, reference: Reference, windows: Windows, features: Iterable[str]
) -> str:
    """The query that counts ``features`` of the window, and nothing else: of the same rows as the profile query."""
    every = all_bins(reference)
    bins = {name: every[name] for name in features}
    begin = min(windows.start, windows.labelled_start)
    return f"""WITH captured AS (
  SELECT "time", {_columns(bins)}
    row_number() OVER (PARTITION BY "prediction_id" ORDER BY "time") AS "_copy"
  FROM "{declaration.model}_predictions"
  WHERE {partitions(begin, windows.as_of)}
    AND "time" >= {timestamp(begin)} AND "time" <= {timestamp(windows.as_of)}
), rated AS (
  SELECT ARRAY[
      {_places(bins)}
    ] AS b
  FROM captured c
  WHERE "_copy" = 1 AND {_inside("c", windows.start, windows.end)} = 1
)
SELECT {_part(map(part_of, bins))}, bin, count(*) AS n
FROM rated CROSS JOIN UNNEST(b) WITH ORDINALITY AS u (bin, i)
GROUP BY i, bin"""


def unknown_labels_query(declaration: ModelDeclaration, windows: Windows) -> str:
    """The query that counts the labels which name nothing there is, of those that arrived in the last window's length.

    The profile query looks no further back than its windows. Only where that leaves labels over is it worth reading
    weeks of names for them, and those of history. A label by key may be of a row that was left out of a sample, which
    nothing tells: where a share of the rows was captured, only labels that name a prediction count. Its answer is what
    :func:`everloop.monitoring.profile_answer.read_unknown` takes.
    """
    lag = timedelta(hours=declaration.data.label_lag_hours)
    begin = windows.as_of - max(KNOWN_FOR, 2 * lag)
    asked = f'''"{declaration.model}_predictions"
    WHERE {partitions(begin, windows.as_of)}'''
    return f"""WITH arrived AS (
  SELECT "prediction_id", "key"
  FROM "{declaration.model}_labels"
  WHERE {partitions(_labels_from(windows), windows.as_of)}
    AND "time" > {timestamp(_labels_from(windows))} AND "time" <= {timestamp(windows.as_of)}
), asked AS (
  SELECT DISTINCT "prediction_id" FROM {asked}
    AND "prediction_id" IN (SELECT "prediction_id" FROM arrived)
), named_keys AS (
  SELECT "key" FROM {asked}
    AND "key" IN (SELECT "key" FROM arrived)
  UNION
  SELECT "key" FROM "{declaration.model}_history"
  WHERE "key" IN (SELECT "key" FROM arrived)
)
SELECT count(*) AS {UNKNOWN}
FROM arrived a
LEFT JOIN asked p ON p."prediction_id" = a."prediction_id"
LEFT JOIN named_keys k ON k."key" = a."key"
WHERE p."prediction_id" IS NULL AND k."key" IS NULL AND {captured_condition('a."prediction_id"')}
  AND (a."prediction_id" IS NOT NULL OR (SELECT count(*) FROM {asked} AND "capture_share" < 1E0) = 0)"""


def all_bins(reference: Reference) -> dict[str, Bins]:
    """The bins of every feature and of the score.

    Raises
    ------
    ReferenceUnusableError
        When the reference has no scores.
    """
    if reference.score is None:
        raise ReferenceUnusableError("the reference has no scores: only an evaluated version can be monitored")
    return {**{name: f.bins for name, f in reference.features.items()}, SCORE: reference.score.bins}


def part_of(name: str) -> str:
    """How the answer calls the part of a feature, or of the score."""
    return name if name == SCORE else f"feature {name}"


def _columns(bins: Mapping[str, Bins]) -> str:
    """The features among ``bins``, each followed by a comma."""
    return "".join(f'"{name}", ' for name in bins if name != SCORE)


def _places(bins: Mapping[str, Bins], *first: str) -> str:
    return ",\n      ".join([*first, *(_place(name, b) for name, b in bins.items())])


def _part(parts: Iterable[str]) -> str:
    """The name of the part with the number i."""
    cases = " ".join(f"WHEN {i} THEN '{part}'" for i, part in enumerate(parts, start=1))
    return f"CASE i {cases} END AS part"


def _place(name: str, bins: Bins) -> str:
    """The bin's number; that of what is missing is the last, so that the answer's numbers are places."""
    # The reference's bins are of what the model said, whatever is served.
    column = '"_raw"' if name == SCORE else f'"{name}"'
    missing, last = bins.size, bins.size - 1
    if isinstance(bins, CategoryBins):
        absent = f"{column} IS NULL OR {column} = ''"
        known = f"array_position(ARRAY[{', '.join(map(quoted, bins.categories))}], {column})"
        # Of what is not in the array, engines make zero or null.
        place = f"coalesce(nullif({known}, 0) - 1, {last})" if bins.categories else f"{last}"
    else:
        absent = f"{column} IS NULL"
        place = f"width_bucket({column}, ARRAY[{', '.join(map(double, bins.edges))}])" if bins.edges else f"{last}"
    return f"CASE WHEN {absent} THEN {missing} ELSE {place} END"


def _labels_from(windows: Windows) -> datetime:
    """Labels that arrived after it are told of; those before were told of by the window before."""
    return windows.as_of - (windows.end - windows.start)


def _countable(classification: bool, classes: int) -> str:
    """Whether a row's outcome can be summed; see :func:`everloop.monitoring.counting.count_outcomes`."""
    if classes:
        places = ", ".join(double(float(place)) for place in range(classes))
        return f'"_each" IS NOT NULL AND "_label" IN ({places})'
    if classification:
        return "y IS NOT NULL"
    limit = double(LARGEST_VALUE)
    return f"abs(y) <= {limit} AND abs(s) <= {limit}"


def _scale(classification: bool) -> str:
    if not classification:
        return "s AS p, s AS z, 1E0 AS v"
    # Not least and greatest: of a null, engines make different things.
    p = f"CASE WHEN s < {CLIP} THEN {CLIP} WHEN s > 1E0 - {CLIP} THEN 1E0 - {CLIP} ELSE s END"
    return f"{p} AS p, ln({p}) - ln(1E0 - {p}) AS z, {p} * (1E0 - {p}) AS v"


def _deviance(classification: bool) -> str:
    if not classification:
        return "(y - s) * (y - s) / 2E0"
    return "CASE WHEN y = 1E0 THEN -ln(p) ELSE -ln(1E0 - p) END"


def _class_loss(metric: str, classes: int) -> str:
    """The loss of a row over all classes; see :mod:`everloop.evaluation.multiclass_metrics`."""
    own = '"_each"[CAST("_label" AS integer) + 1]'
    if metric == "log_loss":
        return f"-ln(CASE WHEN {own} < {CLIP} THEN {CLIP} WHEN {own} > 1E0 - {CLIP} THEN 1E0 - {CLIP} ELSE {own} END)"
    squares = " + ".join(f'"_each"[{place}] * "_each"[{place}]' for place in range(1, classes + 1))
    return f"{squares} - 2E0 * {own} + 1E0"


def _terms(metric: str, classes: int) -> str:
    """What a row adds to each sum; null where its outcome does not count."""
    loss = {"log_loss": "d", "mae": "abs(y - s)"}.get(metric, "(y - s) * (y - s)")
    if classes:
        loss = _class_loss(metric, classes)
    terms = {
        "loss": loss,
        "loss_squares": f"({loss}) * ({loss})",
        "label": "y",
        "score": "s",
        "deviance": "d",
        "residual_z": "(y - s) * z",
        "v": "v",
        "v_z": "v * z",
        "v_zz": "v * z * z",
    }
    return ",\n    ".join(f'CASE WHEN t = 1E0 THEN {terms[name]} END AS "_{name}"' for name in OUTCOME_SUMS)


def _decisions(declaration: ModelDeclaration) -> str:
    """What a row adds to each sum of decisions, by the served score."""
    terms = dict.fromkeys(DECISION_SUMS, "0E0")
    if declaration.problem.type == BINARY:
        acts = f"s >= {double(declaration.serving.threshold)}"
        terms["hits"] = f"CASE WHEN {acts} AND y = 1E0 THEN 1E0 ELSE 0E0 END"
        terms["false_alarms"] = f"CASE WHEN {acts} AND y = 0E0 THEN 1E0 ELSE 0E0 END"
    elif declaration.problem.type == REGRESSION:
        terms["absolute_error"] = "abs(y - s)"
    return ",\n    ".join(f'CASE WHEN t = 1E0 THEN {terms[name]} END AS "_{name}"' for name in DECISION_SUMS)


def _inside(table: str, begin: datetime, end: datetime) -> str:
    time = f'{table}."time"'
    return f"CASE WHEN {time} >= {timestamp(begin)} AND {time} < {timestamp(end)} THEN 1 ELSE 0 END"


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
