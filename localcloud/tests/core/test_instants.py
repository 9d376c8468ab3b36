from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.utils import parse_to_aware_datetime

from localcloud.core import instants, patching

serialize: Any = importlib.import_module("moto.core.serialize")


@pytest.fixture(autouse=True)
def read_fast() -> Iterator[None]:
    instants.read_fast()
    yield
    patching.restore()


@pytest.mark.parametrize(
    "value",
    [
        "2013-03-01T09:00:00Z",
        "2013-03-01T09:00:00.123Z",
        "2013-03-01T09:00:00.123456+00:00",
        "2013-03-01T09:00:00-05:30",
        "2013-03-01T09:00:00",
        "2013-03-01 09:00:00",
        "2013-03-01",
        "Fri, 01 Mar 2013 09:00:00 GMT",
        "1362128400",
        1362128400,
        1362128400.5,
        datetime(2013, 3, 1, 9),
        datetime(2013, 3, 1, 9, tzinfo=UTC),
    ],
)
def test_an_instant_is_what_botocore_reads(value: Any) -> None:
    found = serialize.parse_to_aware_datetime(value)
    assert found == parse_to_aware_datetime(value)
    assert found.utcoffset() is not None


def test_what_is_no_instant_is_still_none() -> None:
    for text in ("", "T", "2013-03-01T25:00:00Z"):
        with pytest.raises(ValueError, match="Invalid timestamp"):
            serialize.parse_to_aware_datetime(text)
