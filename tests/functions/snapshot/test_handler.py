from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from moto import mock_aws

from everloop.dataset.exceptions import (
    ContractViolationError,
    DeclarationChangedError,
    QueryTooLongError,
    TrainingSetTooLargeError,
)
from everloop.dataset.lake import parquet_bytes
from everloop.functions.snapshot.handler import act
from everloop.lake_services import LakeServices
from everloop.registry import RegistryStore
from everloop.registry.exceptions import ArtifactMismatchError
from everloop.serving.contract import NumberField, ServingContract
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import crown
from tests.helpers.rows import lake_table

BUCKET, ARTIFACTS = "lake", "artifacts"


class Queries:
    """Stands for Athena: gives a table, and remembers what it was asked."""

    def __init__(self) -> None:
        self.table = lake_table(240)
        self.asked: list[tuple[str, str, list[str]]] = []
        self.rows = 240
        self.sized: list[str] = []

    def read(self, query: str, output_uri: str, columns: Sequence[str]) -> pd.DataFrame:
        if list(columns) == ["n", "c"]:
            self.sized.append(output_uri)
            return pd.DataFrame({"n": [self.rows], "c": [20.0]})
        self.asked.append((query, output_uri, list(columns)))
        return self.table


@pytest.fixture
def queries() -> Queries:
    return Queries()


@pytest.fixture
def services(queries: Queries) -> Iterator[LakeServices]:
    with mock_aws():
        s3 = aws_client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=ARTIFACTS)
        store = RegistryStore(dynamodb(), TABLE, "late_train")
        yield LakeServices(declare(binary_document()), BUCKET, ARTIFACTS, s3, store, queries.read)


def make(using: LakeServices, *, at: str = "2013-02-01T00:00:07Z", request_id: str = "one") -> dict[str, Any]:
    run = {"run_id": "train-1", "as_of": "2013-02-01T00:00:00Z", "model": "late_train", "kind": "train"}
    return act({"run": run, "at": at, "execution": "train-1"}, using, request_id=request_id)


def read(using: LakeServices, uri: str, name: str = "part-0.parquet") -> bytes:
    key = uri.removeprefix(f"s3://{BUCKET}/") + name
    return using.s3_client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_a_run_gets_its_snapshot(services: LakeServices, queries: Queries) -> None:
    answer = make(services)

    # THEN the query knows the run's instant, and writes where no other attempt does
    ((query, output_uri, columns),) = queries.asked
    assert "TIMESTAMP '2013-02-01 00:00:00.000'" in query
    assert output_uri == "s3://lake/athena-results/unload/train-1/one/"
    assert columns == ["key", "time", "label", "distance", "wind", "line", "operator", "s"]

    # AND the parts stand under the hash
    base = f"s3://lake/datasets/late_train/{answer['snapshot_hash']}/"
    assert answer == {
        "snapshot_hash": answer["snapshot_hash"],
        "snapshot_uri": base,
        "train_uri": f"{base}train/",
        "test_uri": f"{base}test/",
        "test_features_uri": f"{base}test_features/",
        "rows": {"train": 72, "test": 168},
        "time_range": ["2013-01-01T00:00:00Z", "2013-01-10T23:00:00Z"],
    }
    train = pd.read_parquet(io.BytesIO(read(services, answer["train_uri"])))
    test = pd.read_parquet(io.BytesIO(read(services, answer["test_uri"])))
    features = pd.read_parquet(io.BytesIO(read(services, answer["test_features_uri"])))
    assert (len(train), len(test)) == (72, 168)
    assert list(train.columns) == columns[:-1]
    pd.testing.assert_frame_equal(features, test.drop(columns="label"))

    # AND the record tells the same
    record = services.store.snapshots.find(answer["snapshot_hash"])
    assert record is not None
    assert (record.uri, record.created_at) == (base, datetime(2013, 2, 1, 0, 0, 7, tzinfo=UTC))
    assert record.to_json()["document"] == json.loads(read(services, base, "snapshot.json"))
    assert record.document["source"]["query"] == query


def test_more_rows_than_there_is_memory_for_are_refused_before_they_are_read(
    services: LakeServices, queries: Queries
) -> None:
    queries.rows = 6_000_000
    with pytest.raises(TrainingSetTooLargeError, match=r"6,000,000 rows of 8 columns .* 4,166,666 such rows"):
        make(services)
    assert (queries.sized, queries.asked) == (["s3://lake/athena-results/unload/train-1/one-size/"], [])


@pytest.mark.slow
def test_more_imports_than_a_query_can_name_are_refused(services: LakeServices, queries: Queries) -> None:
    for index in range(3400):
        key = f"history/model=late_train/{index:064}.parquet"
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    with pytest.raises(QueryTooLongError, match="and Athena takes 262,144: it names every imported file"):
        make(services)
    assert queries.asked == []


def test_the_query_knows_what_stands_in_the_lake(services: LakeServices, queries: Queries) -> None:
    for key in ("predictions/model=late_train/date=2012-12-24/a", "labels/model=late_train/date=2012-12-25/a"):
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    for name in ("one", "two"):
        services.s3_client.put_object(Bucket=BUCKET, Key=f"history/model=late_train/{name}.parquet", Body=b"x")
    make(services)
    query = queries.asked[0][0]
    assert "\"date\" BETWEEN '2012-12-24' AND" in query
    assert "\"date\" BETWEEN '2012-12-25' AND" in query
    assert "'one.parquet'" in query
    assert "'two.parquet'" in query


def test_what_was_superseded_is_counted_and_does_not_change_the_hash(services: LakeServices, queries: Queries) -> None:
    first = make(services)
    queries.table = lake_table(240).assign(s=[3, 2, *[0] * 238])
    again = make(services, request_id="two")
    assert again == first
    # WHEN it is the first to come to these rows
    queries.table = queries.table.iloc[1:]
    other = make(services, request_id="three")
    assert json.loads(read(services, other["snapshot_uri"], "snapshot.json"))["rows"]["superseded"] == 2


def test_the_same_request_again_changes_nothing(services: LakeServices) -> None:
    first = make(services)
    objects = services.s3_client.list_objects_v2(Bucket=BUCKET)["Contents"]
    again = make(services, at="2013-02-01T09:00:00Z", request_id="two")
    assert again == first
    assert services.s3_client.list_objects_v2(Bucket=BUCKET)["Contents"] == objects
    record = services.store.snapshots.find(first["snapshot_hash"])
    assert record is not None
    assert record.created_at == datetime(2013, 2, 1, 0, 0, 7, tzinfo=UTC)


def test_a_snapshot_that_was_cut_off_is_completed(services: LakeServices) -> None:
    answer = make(services)
    prefix = answer["snapshot_uri"].removeprefix(f"s3://{BUCKET}/")
    for name in ("snapshot.json", "test/part-0.parquet"):
        services.s3_client.delete_object(Bucket=BUCKET, Key=prefix + name)
    assert make(services) == answer
    assert read(services, answer["test_uri"])


@pytest.mark.parametrize(
    "table", [lake_table(240).assign(distance=-1.0), lake_table(240).iloc[:0]], ids=["broken", "empty"]
)
def test_a_broken_contract_leaves_nothing_behind(services: LakeServices, queries: Queries, table: pd.DataFrame) -> None:
    queries.table = table
    with pytest.raises(ContractViolationError, match="the training set of late_train"):
        make(services)
    assert "Contents" not in services.s3_client.list_objects_v2(Bucket=BUCKET)


class TestWhatADeclarationCantChange:
    """GIVEN a champion and rows in the lake from before a change; THEN no query is run, and the way is told."""

    def crown(self, using: LakeServices, contract: ServingContract) -> None:
        content = contract.to_json()
        version = crown(using.store, "train-0", contents={"contract.json": content})
        using.s3_client.put_object(Bucket=ARTIFACTS, Key=f"{version.artifact_prefix}contract.json", Body=content)

    def refused(self, using: LakeServices, queries: Queries) -> str:
        with pytest.raises(DeclarationChangedError) as error:
            make(using)
        assert queries.asked == queries.sized == []
        return str(error.value)

    def test_a_feature_that_the_champion_uses(self, services: LakeServices, queries: Queries) -> None:
        fields = (NumberField("distance"), NumberField("wind"), NumberField("tail_wind", missing="allow"))
        self.crown(services, small_contract(numbers=fields, categories=()))
        told = self.refused(services, queries)
        assert "the champion, version 1, uses 'tail_wind', which is no longer declared" in told

    def test_the_type_of_a_column_of_the_lake(self, services: LakeServices, queries: Queries) -> None:
        frame = lake_table(5).drop(columns="wind").assign(wind=["calm"] * 5)
        key = "history/model=late_train/old.parquet"
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=parquet_bytes(frame[["key", "label", "wind"]]))
        assert f"'wind' is declared as a number, and the lake has it as a category (s3://lake/{key})" in self.refused(
            services, queries
        )

    def test_the_rest_goes_on(self, services: LakeServices) -> None:
        self.crown(services, small_contract(categories=()))
        assert make(services)["rows"] == {"train": 72, "test": 168}

    def test_a_contract_that_is_not_the_registered_one_is_not_believed(self, services: LakeServices) -> None:
        self.crown(services, small_contract(categories=()))
        key = "artifacts/late_train/000001/contract.json"
        services.s3_client.put_object(Bucket=ARTIFACTS, Key=key, Body=small_contract().to_json())
        with pytest.raises(ArtifactMismatchError, match=key):
            make(services)
