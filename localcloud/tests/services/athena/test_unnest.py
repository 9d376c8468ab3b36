"""A CROSS JOIN UNNEST is run as an unnest in the list, with the same answer; where that is not plainly so it stays."""

from __future__ import annotations

import duckdb
import pytest

from localcloud.services.athena.statement import parse

ROWS = """(SELECT * FROM (VALUES
  (1, 2.5E0, CAST(NULL AS DOUBLE), ARRAY['a', 'b'], 'x'), (2, CAST(NULL AS DOUBLE), 1E0, ARRAY[], 'y'),
  (3, 0E0, 4E0, NULL, 'x')) t (k, a, b, names, g)) kept"""

REWRITTEN = {
    "cells of features": f"SELECT k, i, v FROM {ROWS} CROSS JOIN UNNEST(ARRAY[a, b]) WITH ORDINALITY AS cells (v, i)",
    "rows without elements are left out": f"SELECT k, name FROM {ROWS} CROSS JOIN UNNEST(names) AS u (name)",
    "places of rows that have some": f"SELECT k, i FROM {ROWS} CROSS JOIN UNNEST(names) WITH ORDINALITY AS u (name, i)",
    "grouped and named by the table": f"SELECT cells.i, kept.g, count(*) AS n, sum(cells.v) AS s FROM {ROWS}"
    " CROSS JOIN UNNEST(ARRAY[kept.a, b]) WITH ORDINALITY AS cells (v, i) WHERE cells.v IS NOT NULL"
    " GROUP BY cells.i, kept.g HAVING count(*) > 0 ORDER BY 1, g",
    "over a common table": f"WITH c AS (SELECT * FROM {ROWS}) SELECT CASE i WHEN 1 THEN 'one' ELSE g END AS part, v"
    " FROM c CROSS JOIN UNNEST(ARRAY[a, b]) WITH ORDINALITY AS u (v, i) WHERE k < 3",
    "in a window": f"SELECT V, sum(v) OVER (PARTITION BY I ORDER BY k) AS upto FROM {ROWS}"
    " CROSS JOIN UNNEST(ARRAY[a, b]) WITH ORDINALITY AS u (v, i)",
}
LEFT_ALONE = {
    "all columns": f"SELECT * FROM {ROWS} CROSS JOIN UNNEST(ARRAY[a, b]) AS u (v)",
    "a subquery beside it": f"SELECT k, v FROM {ROWS} CROSS JOIN UNNEST(ARRAY[a, b]) AS u (v)"
    " WHERE v = (SELECT max(x) FROM (VALUES (4E0)) m (x))",
    "two arrays": f"SELECT k, v, w FROM {ROWS} CROSS JOIN UNNEST(ARRAY[a, b], names) AS u (v, w)",
    "two tables": f"SELECT k, v FROM {ROWS} CROSS JOIN (VALUES (1), (2)) o (n) CROSS JOIN UNNEST(ARRAY[n]) AS u (v)",
    "a field of an element": f"SELECT k, v.x FROM {ROWS} CROSS JOIN UNNEST(ARRAY[a]) AS u (v)",
}


def _both(query: str) -> tuple[list[tuple[object, ...]], list[str], list[tuple[object, ...]], list[str], str]:
    with duckdb.connect() as connection:
        ran = parse(query, None, connection).sql(connection)
        ours = connection.execute(ran)
        names = [column[0].lower() for column in ours.description]
        answer = sorted(ours.fetchall(), key=repr)
        theirs = connection.execute(query)
        return answer, names, sorted(theirs.fetchall(), key=repr), [c[0].lower() for c in theirs.description], ran


@pytest.mark.parametrize("query", REWRITTEN.values(), ids=list(REWRITTEN))
def test_it_means_the_same(query: str) -> None:
    answer, names, expected, their_names, ran = _both(query)
    assert (answer, names) == (expected, their_names)
    assert answer
    assert "JOIN" not in ran


@pytest.mark.parametrize("query", LEFT_ALONE.values(), ids=list(LEFT_ALONE))
def test_what_is_not_plainly_the_same_stays(query: str) -> None:
    with duckdb.connect() as connection:
        assert "JOIN" in parse(query, None, connection).sql(connection)


def test_a_column_of_the_same_name_is_as_ambiguous_as_it_was() -> None:
    query = f"SELECT cells.a FROM {ROWS} CROSS JOIN UNNEST(ARRAY[kept.a + 1E0]) AS cells (a)"
    answer, _names, expected, _, _ = _both(query)
    assert answer == expected == sorted([(3.5,), (None,), (1.0,)], key=repr)
