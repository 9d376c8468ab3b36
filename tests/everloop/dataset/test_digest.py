from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.dataset.digest import table_sha256


def table(texts: list[str | None], numbers: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": pd.Series(texts, dtype=object),
            "number": pd.Series(numbers, dtype="float64"),
            "time": pd.Series(np.arange(len(texts)), dtype="int64").astype("datetime64[ms]"),
        }
    )


def sha256(*columns: list[Any]) -> str:
    return table_sha256(table(*columns), header={})


def test_every_cell_counts() -> None:
    names = {
        sha256(["a", "b"], [1, 2]),
        sha256(["b", "a"], [1, 2]),
        sha256(["a", None], [1, 2]),
        sha256(["ab", ""], [1, 2]),
        sha256(["", "ab"], [1, 2]),
        sha256(["a", "b"], [1, np.nan]),
        table_sha256(table(["a", "b"], [1, 2]), header={"boundary": "x"}),
        table_sha256(table(["a", "b"], [1, 2]).rename(columns={"text": "name"}), header={}),
    }
    assert len(names) == 8


def test_zeros_and_nans_are_one_each() -> None:
    other_nan = np.frombuffer(np.uint64(0xFFF8000000000001).tobytes(), dtype="<f8")[0]
    assert sha256(["a", "b"], [0.0, np.nan]) == sha256(["a", "b"], [-0.0, other_nan])


def test_a_column_of_no_known_type_is_refused() -> None:
    with pytest.raises(TypeError, match="'n' is int64"):
        table_sha256(pd.DataFrame({"n": [1]}), header={})


ROWS = st.lists(st.tuples(st.none() | st.text(st.characters(exclude_categories=["Cs"])), st.floats()), max_size=6)


@pytest.mark.slow
@given(ROWS, ROWS)
def test_equal_rows_and_only_equal_rows_have_one_hash(first: list[Any], second: list[Any]) -> None:
    def canonical(rows: list[Any]) -> list[Any]:
        return [(text, "nan" if number != number else number) for text, number in rows]

    alike = canonical(first) == canonical(second)
    one, two = (sha256([t for t, _ in rows], [n for _, n in rows]) for rows in (first, second))
    assert (one == two) == alike
