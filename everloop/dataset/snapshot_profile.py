"""What a training set's values are like: the queries that tell, and what is made of their answers.

Of categories, how often the most frequent values occur; of numbers, range, mean and quartiles. Quartiles are exact up
to ``RANKED_ROWS`` rows. Of more, they are those of about so many rows, which their keys' hashes choose: ranking takes
memory of the engine by the number of different values, and nobody acts on a quartile's last digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from everloop.dataset.frozen import Place
from everloop.dataset.snapshot_counts import Counts, Row, quartiles_of
from everloop.shown import shortened

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

MOST_FREQUENT = 10
LONGEST_SHOWN = 32
"""Characters of a value that its profile shows: the document is kept in the registry, whose records have a limit."""

RANKED_ROWS = 1_000_000

FEATURES_IN_A_QUERY = 100

Item = TypeVar("Item")


def value_queries(declaration: ModelDeclaration, place: Place) -> list[str]:
    """How often the most frequent values of each category feature occur."""
    return [_values(place, features) for features in _groups(declaration.data.categories)]


def rank_queries(declaration: ModelDeclaration, place: Place, rows: int) -> list[str]:
    """The values around the quartiles of each number feature, with how many rows lie before them.

    Parameters
    ----------
    rows : int
        Labelled ones.
    """
    return [_ranks(place, features, rows) for features in _groups(declaration.data.numbers)]


def read_profile(
    declaration: ModelDeclaration,
    counts: Counts,
    values: Sequence[Sequence[Row]],
    ranks: Sequence[Sequence[Row]],
) -> dict[str, dict[str, object]]:
    """By feature, in declared order: missing cells, and what its values are like.

    Parameters
    ----------
    values, ranks : sequence
        The answers to :func:`value_queries` and :func:`rank_queries`.
    """
    frequent = _by_feature(declaration.data.categories, values)
    ranked = _by_feature(declaration.data.numbers, ranks)
    return {
        f.name: _number(f, counts, ranked.get(f.name, []))
        if f.type == "number"
        else _category(f, counts, frequent.get(f.name, []))
        for f in declaration.data.features
    }


def _category(feature: Feature, counts: Counts, rows: Sequence[Row]) -> dict[str, object]:
    # Equal counts are ordered by name, so that the profile of the same rows is the same.
    frequent = sorted(((str(row["v"]), int(row["n"] or 0)) for row in rows), key=lambda item: (-item[1], item[0]))
    return {
        "missing": counts.missing[feature.name],
        "distinct": counts.distinct[feature.name],
        "most_frequent": [[shortened(value, LONGEST_SHOWN), count] for value, count in frequent],
    }


def _number(feature: Feature, counts: Counts, rows: Sequence[Row]) -> dict[str, object]:
    missing, facts = counts.missing[feature.name], counts.numbers[feature.name]
    if facts.least is None:
        return {"missing": missing}
    told: dict[str, object] = {
        "missing": missing,
        "min": facts.least,
        "max": facts.greatest,
    }
    if facts.mean is not None and math.isfinite(facts.mean):  # the sum of the largest doubles is none
        told["mean"] = facts.mean
    ranked = sorted((float(row["v"] or 0), int(row["n_before"] or 0), int(row["n_upto"] or 0)) for row in rows)
    if ranked:  # of a sample, all may lack the value
        told["quartiles"] = quartiles_of(ranked, int(rows[0]["total"] or 0))
    return told


def _values(place: Place, features: Sequence[Feature]) -> str:
    return f"""SELECT i, v, n FROM (
  SELECT i, v, n, row_number() OVER (PARTITION BY i ORDER BY n DESC, v) AS p FROM (
    SELECT i, v, count(*) AS n FROM {place.rows(features)} {_cells(features)}
    WHERE v IS NOT NULL GROUP BY i, v
  ) counted
) ranked WHERE p <= {MOST_FREQUENT}"""


def _ranks(place: Place, features: Sequence[Feature], rows: int) -> str:
    """Ranks begin at 0. A quarter of ``x`` lies in a value where 4 * n_before <= x < 4 * n_upto, the rank after it
    where 4 * n_before - 4 <= x < 4 * n_upto - 4.
    """
    reached = " OR ".join(
        f"(4 * n_before - {less} <= {q} * (total - 1) AND {q} * (total - 1) < 4 * n_upto - {less})"
        for q in (1, 2, 3)
        for less in (0, 4)
    )
    return f"""SELECT i, v, CAST(n_before AS BIGINT) AS n_before, CAST(n_upto AS BIGINT) AS n_upto,
  CAST(total AS BIGINT) AS total
FROM (
  SELECT i, v, n_upto - n AS n_before, n_upto, total FROM (
    SELECT i, v, n, sum(n) OVER (PARTITION BY i ORDER BY v) AS n_upto, sum(n) OVER (PARTITION BY i) AS total FROM (
      SELECT i, v, count(*) AS n FROM {place.rows(features)} {_cells(features)}
      WHERE v IS NOT NULL{_chosen(rows)} GROUP BY i, v
    ) counted
  ) summed
) ranked WHERE {reached}"""


def _cells(features: Sequence[Feature]) -> str:
    columns = ", ".join(f'"{f.name}"' for f in features)
    return f"CROSS JOIN UNNEST(ARRAY[{columns}]) WITH ORDINALITY AS cells (v, i)"


def _chosen(rows: int) -> str:
    """The condition that chooses about ``RANKED_ROWS`` of so many rows; the same ones of the same rows."""
    if rows <= RANKED_ROWS:
        return ""
    limit = f"{RANKED_ROWS * 16**8 // rows:08X}"
    return f" AND substr(to_hex(sha256(to_utf8(\"key\"))), 1, 8) < '{limit}'"


def _by_feature(features: Iterable[Feature], answers: Sequence[Sequence[Row]]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for group, answer in zip(_groups(features), answers, strict=True):
        for row in answer:
            found.setdefault(group[int(row["i"] or 0) - 1].name, []).append(row)
    return found


def _groups(features: Iterable[Item]) -> Iterator[list[Item]]:
    every = list(features)
    for start in range(0, len(every), FEATURES_IN_A_QUERY):
        yield every[start : start + FEATURES_IN_A_QUERY]
