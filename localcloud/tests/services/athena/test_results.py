"""Values as Athena writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.results import athena_type, csv, java_double, text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1.2345e300, "1.2345E300"),
        (-2.5e-10, "-2.5E-10"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles_are_javas(value: float, written: str) -> None:
    assert java_double(value) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_lose_nothing(value: float) -> None:
    assert float(java_double(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, "true"),
        (7, "7"),
        ("a", "a"),
        (date(2013, 3, 9), "2013-03-09"),
        (datetime(2013, 3, 9, 4, 5, 6, 789123), "2013-03-09 04:05:06.789"),
        (datetime(2013, 3, 9, tzinfo=UTC), "2013-03-09 00:00:00.000 UTC"),
        (Decimal("1.50"), "1.50"),
        ([1, None], "[1, null]"),
    ],
)
def test_values(value: Any, written: str | None) -> None:
    assert text(value) == written


def test_csv_quotes_everything_but_nulls() -> None:
    assert csv(["a", 'b"'], [["1", None], ['x"y', ""]]) == b'"a","b"""\n"1",\n"x""y",""\n'


def test_types() -> None:
    assert athena_type("DECIMAL(10,2)") == ("decimal", 10, 2)
    assert athena_type("VARCHAR")[0] == "varchar"
    with pytest.raises(QueryFailedError, match="INTERVAL"):
        athena_type("INTERVAL")
