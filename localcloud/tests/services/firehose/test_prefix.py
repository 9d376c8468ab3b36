"""Prefix expressions of delivery streams."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcloud.services.firehose.exceptions import UnsupportedDestinationError
from localcloud.services.firehose.prefix import check_prefix, expand_prefix, format_java

AT = datetime(2013, 3, 9, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("prefix", "expanded"),
    [
        ("a/date=!{timestamp:yyyy-MM-dd}/", "a/date=2013-03-09/"),
        ("!{timestamp:yyyy}/!{timestamp:MM/dd/HH}/x-", "2013/03/09/04/x-"),
        ("!{timestamp:'year='yyyy/DDD}/", "year=2013/068/"),
        ("plain/", "plain/2013/03/09/04/"),
        ("", "2013/03/09/04/"),
    ],
)
def test_expansion(prefix: str, expanded: str) -> None:
    assert expand_prefix(prefix, AT) == expanded


def test_random_strings_differ() -> None:
    first, second = (expand_prefix("!{firehose:random-string}/!{timestamp:yyyy}/", AT) for _ in range(2))
    assert len(first) == len("12345678901/2013/")
    assert first != second


@pytest.mark.parametrize(
    ("prefix", "expanded"),
    [
        ("errors/!{firehose:error-output-type}/!{timestamp:yyyy}/", "errors/format-conversion-failed/2013/"),
        ("errors/", "errors/format-conversion-failed/2013/03/09/04/"),
    ],
)
def test_errors_have_their_kind_in_their_key(prefix: str, expanded: str) -> None:
    assert expand_prefix(prefix, AT, "format-conversion-failed") == expanded


@pytest.mark.parametrize("prefix", ["!{firehose:error-output-type}/", "!{partitionKeyFromQuery:x}/", "!{timestamp:w}/"])
def test_expressions_that_are_not_understood(prefix: str) -> None:
    with pytest.raises(UnsupportedDestinationError, match="not supported"):
        check_prefix(prefix)


def test_an_error_prefix_with_expressions_names_the_kind_of_error() -> None:
    with pytest.raises(UnsupportedDestinationError, match="error-output-type"):
        check_prefix("errors/!{timestamp:yyyy}/", is_error_prefix=True)


def test_java_patterns() -> None:
    assert format_java("yyyy-MM-dd'T'HH:mm:ss", AT) == "2013-03-09T04:05:06"
