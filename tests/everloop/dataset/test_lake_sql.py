"""Whatever a category, a key or an object is called, a query reads it as a value."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.dataset.lake_sql import quoted

ODD = [
    "'",
    "''",
    "\\'",
    "\\",
    '"',
    "'; DROP TABLE history; --",
    "' OR '1' = '1",
    "a' || 'b",
    "/* */ -- #",
    "?",
    "$1 $path :name %s %(name)s {name} {{}} {0}",
    "U&'\\0027'",
    "E'\\n'",
    "𝒳 👩‍🔬 é é",
    "\u2019\u02bc\uff07",
    " a ",
    "NULL",
    "\u202e'",
]
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30) | st.sampled_from(ODD)


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_a_text_in_a_query_is_that_text(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    assert engine.execute(
        f"SELECT {quoted(text)}, array_position(ARRAY['x', {quoted(text)}], ?)", [text]
    ).fetchone() == (
        text,
        1 if text == "x" else 2,
    )


@pytest.mark.parametrize("text", ODD)
def test_an_odd_text_in_a_query_is_that_text(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    assert engine.execute(f"SELECT {quoted(text)}").fetchone() == (text,)
