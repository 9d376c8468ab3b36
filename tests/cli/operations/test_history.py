"""An import is the newest of its rows, also when they had been imported before."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pandas as pd
import pytest
from moto import mock_aws

from cli.operations.history import import_rows
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())


class Puts:
    """S3 of one bucket, which remembers in what order objects were written."""

    def __init__(self, client: Any) -> None:
        self.client, self.written = client, []

    def head_object(self, **arguments: Any) -> Any:
        return self.client.head_object(**arguments)

    def put_object(self, **arguments: Any) -> Any:
        self.written.append(arguments["Key"])
        return self.client.put_object(**arguments)


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        yield Puts(client)


def test_the_first_rows_again_after_a_correction_are_written_last(s3: Puts) -> None:
    account = SimpleNamespace(
        platform=SimpleNamespace(lake_bucket="lake"),
        client=lambda _service: s3,
        now=lambda: START + timedelta(days=30),
    )

    def imported(table: pd.DataFrame) -> tuple[str, bool]:
        result = import_rows(account, DECLARATION, table, place="trains.csv")
        return result.uri.removeprefix("s3://lake/"), result.already_there

    first, corrected = history_table(8), history_table(8, late=[1.0] * 8)
    # WHEN rows, their correction, and the first rows once more are imported
    (a, _), (b, _), (again, already_there) = imported(first), imported(corrected), imported(first)
    # THEN there are two objects, and the one that counts is the first again
    assert (again, already_there) == (a, True)
    assert a != b
    assert s3.written == [a, b, a]
