from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import (
    ContractViolationError,
    DeclarationChangedError,
    PartsIncompleteError,
    QueryFailedError,
    QueryInterruptedError,
    QueryTooLongError,
    SnapshotAlteredError,
)
from everloop.dataset.lake import in_lake_order, parquet_bytes
from everloop.dataset.lake_sql import timestamp
from everloop.dataset.part_digest import part_sha256
from everloop.dataset.snapshot import build_snapshot
from everloop.functions.snapshot.handler import act
from everloop.lake_services import LakeServices
from everloop.registry.exceptions import ArtifactMismatchError, StandingSetChosenError
from everloop.registry.looks import LookCounts
from everloop.registry.records import StandingSet
from everloop.registry.store import RegistryStore
from everloop.serving.contract import NumberField, ServingContract
from tests.fakes.athena import FakeAthena
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import crown
from tests.helpers.rows import lake_table

BUCKET, ARTIFACTS = "lake", "artifacts"
AS_OF = datetime(2013, 1, 5, tzinfo=UTC)
OLD = [datetime(2012, 6, 1) + timedelta(hours=i) for i in range(240)]


@pytest.fixture
def athena() -> Iterator[FakeAthena]:
    with mock_aws():
        s3 = aws_client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=ARTIFACTS)
        athena = FakeAthena(s3)
        athena.fill("history", lake_table(240))
        yield athena
        athena.connection.close()


@pytest.fixture
def services(athena: FakeAthena) -> LakeServices:
    store = RegistryStore(dynamodb(), TABLE, "late_train")
    queries = AthenaQueries(athena, lambda _: None, "everloop", "everloop", f"s3://{BUCKET}/athena-results/")
    return LakeServices(declare(binary_document()), BUCKET, ARTIFACTS, athena.s3, store, queries)


def make(
    using: LakeServices, *, at: str = "2013-02-01T00:00:07Z", request_id: str = "one", **changes: Any
) -> dict[str, Any]:
    run = {"run_id": "train-1", "as_of": "2013-02-01T00:00:00Z", "model": "late_train", "kind": "train", **changes}
    return dict(act({"run": run, "at": at, "execution": "train-1"}, using, request_id=request_id))


def keys_below(using: LakeServices, prefix: str) -> list[str]:
    found = using.s3_client.list_objects_v2(Bucket=BUCKET, Prefix=prefix.removeprefix(f"s3://{BUCKET}/"))
    return [item["Key"] for item in found.get("Contents", [])]


def content(using: LakeServices, key: str) -> bytes:
    body = using.s3_client.get_object(Bucket=BUCKET, Key=key.removeprefix(f"s3://{BUCKET}/"))["Body"]
    return bytes(body.read())


def rows(using: LakeServices, uri: str) -> pd.DataFrame:
    parts = [pd.read_parquet(io.BytesIO(content(using, key))) for key in keys_below(using, uri)]
    return in_lake_order(pd.concat(parts))


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    """Row by row, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


class Stand:
    """Stands before another client of Athena."""

    def __init__(self, behind: FakeAthena) -> None:
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


def document(using: LakeServices, answer: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(content(using, answer["snapshot_uri"] + "snapshot.json")))


@pytest.mark.slow
def test_a_run_gets_its_snapshot(services: LakeServices, athena: FakeAthena) -> None:
    answer = make(services)

    # THEN the query knows the run's instant, and writes where no other attempt does
    assert "TIMESTAMP '2013-02-01 00:00:00.000'" in athena.queries[0]
    unloaded = "s3://lake/unloaded/late_train/train-1-one"
    assert athena.unloads == [f"{unloaded}/{part}/" for part in ("rows", "train", "test", "test_features")]

    # AND the parts stand under the hash, in folders of this attempt
    base = f"s3://lake/datasets/late_train/{answer['snapshot_hash']}/"
    assert answer == {
        "snapshot_hash": answer["snapshot_hash"],
        "snapshot_uri": base,
        "train_uri": f"{base}train/train-1-one/",
        "test_uri": f"{base}test/train-1-one/",
        "test_features_uri": f"{base}test_features/train-1-one/",
        "part_sha256": {
            name: part_sha256(
                {
                    key.rpartition("/")[2]: hashlib.sha256(content(services, key)).hexdigest()
                    for key in keys_below(services, answer[f"{name}_uri"])
                }
            )
            for name in ("train", "test", "test_features")
        },
        "rows": {"train": 72, "test": 168},
        "time_range": ["2013-01-01T00:00:00Z", "2013-01-10T23:00:00Z"],
    }
    expected = build_snapshot(lake_table(240), services.declaration, query="", as_of=datetime(2013, 2, 1, tzinfo=UTC))
    parts = {"train": expected.train, "test": expected.test, "test_features": expected.test_features}
    for name, part in parts.items():
        assert len(keys_below(services, answer[f"{name}_uri"])) > 1
        found = rows(services, answer[f"{name}_uri"])
        assert list(found.columns) == list(part.columns)
        assert cells(found) == cells(part)

    # AND the run's look at the test part is counted, as often as it is made again
    make(services, request_id="two")
    assert services.store.looks.counts(answer["snapshot_hash"]) == LookCounts(same=1, overlapping=1)

    # AND the record tells the same
    record = services.store.snapshots.find(answer["snapshot_hash"])
    assert record is not None
    assert (record.uri, record.created_at) == (base, datetime(2013, 2, 1, 0, 0, 7, tzinfo=UTC))
    told = document(services, answer)
    assert record.to_json()["document"] == told
    assert told["source"]["query"] in athena.queries[0]


@pytest.mark.slow
def test_the_first_training_chooses_the_standing_set_and_later_ones_keep_off_it(services: LakeServices) -> None:
    document_ = binary_document(gate={"standing": {"days": 1, "max_increase": 0.02}})
    using = replace(services, declaration=declare(document_))
    nothing = {"uri": "none", "sha256": "none", "held_out": "none"}
    # GIVEN a trial, THEN it chooses none
    assert make(using, kind="smoke", request_id="zero")["standing"] == nothing
    # WHEN a training follows
    answer = make(using)
    held = "2013-01-02T23:00:00Z/2013-01-03T23:00:00Z"
    place = f"{answer['snapshot_uri']}standing/train-1-one/"
    assert answer["standing"] == {"uri": place, "sha256": answer["part_sha256"]["standing"], "held_out": held}
    assert answer["rows"] == {"train": 48, "test": 168}
    put_aside = rows(using, place)
    assert len(put_aside) == 24
    assert not set(put_aside["key"]) & set(rows(using, answer["train_uri"])["key"])
    # THEN it is on record, and is what a repeated request, a later training and a restore answer
    chosen = using.store.standing.chosen()
    assert chosen is not None
    assert (chosen.snapshot_hash, chosen.uri, chosen.rows) == (answer["snapshot_hash"], place, 24)
    assert make(using, request_id="two") == answer
    later = make(using, kind="restore", as_of="2013-01-11T00:00:00Z", request_id="three")
    assert later["standing"] == answer["standing"]
    # AND another number of days moves nothing
    moved = replace(using, declaration=declare(binary_document(gate={"standing": {"days": 2, "max_increase": 0.02}})))
    assert make(moved, request_id="four")["standing"] == answer["standing"]


def test_a_standing_set_that_was_chosen_meanwhile_is_not_replaced(services: LakeServices) -> None:
    using = replace(
        services, declaration=declare(binary_document(gate={"standing": {"days": 1, "max_increase": 0.02}}))
    )
    chosen = StandingSet(
        "late_train", "f" * 64, "s3://lake/other/", "0" * 64, 1, datetime(2013, 1, 1, tzinfo=UTC), AS_OF, AS_OF
    )
    using.store.standing.choose(chosen)
    assert using.store.standing.choose(chosen) == chosen
    with pytest.raises(StandingSetChosenError, match="was chosen meanwhile, of snapshot ffff"):
        using.store.standing.choose(replace(chosen, sha256="1" * 64))


@pytest.mark.slow
def test_the_manifest_names_every_file_with_its_rows_and_hash(services: LakeServices) -> None:
    answer = make(services)
    parts = document(services, answer)["parts"]
    text = content(services, parts["manifest"])
    assert hashlib.sha256(text).hexdigest() == parts["manifest_sha256"]
    for name, objects in json.loads(text).items():
        assert [item["key"] for item in objects] == keys_below(services, parts[name])
        for item in objects:
            body = content(services, item["key"])
            assert (len(body), hashlib.sha256(body).hexdigest()) == (item["bytes"], item["sha256"])
            assert pq.ParquetFile(io.BytesIO(body)).metadata.num_rows == item["rows"]


@pytest.mark.slow
def test_a_training_set_is_explored_once(services: LakeServices, athena: FakeAthena) -> None:
    answer = make(services)
    explored = json.loads(content(services, f"{answer['snapshot_uri']}exploration.json"))
    assert [feature["name"] for feature in explored["features"]] == ["distance", "wind", "line", "operator"]
    assert sum(day["rows"] for day in explored["days"]) == 240
    before = len(athena.queries)
    make(services, request_id="two")
    again = len(athena.queries) - before
    assert again < before
    assert not [query for query in athena.queries[before:] if "AS d, count(*)" in query]


@pytest.mark.slow
def test_a_training_does_not_wait_for_a_page(services: LakeServices, athena: FakeAthena) -> None:
    athena.failing["AS d, count(*)"] = {"Retryable": False}
    answer = make(services)
    assert answer["rows"] == {"train": 72, "test": 168}
    assert not keys_below(services, f"{answer['snapshot_uri']}exploration.json")
    # AND the next run on the same rows explores them
    athena.failing.clear()
    make(services, request_id="two")
    assert keys_below(services, f"{answer['snapshot_uri']}exploration.json")


@pytest.mark.slow
def test_a_manifest_that_was_changed_is_not_believed(services: LakeServices) -> None:
    """GIVEN a training set whose test part was exchanged, with the manifest for it."""
    parts = document(services, make(services))["parts"]
    key = parts["manifest"].removeprefix(f"s3://{BUCKET}/")
    manifest = json.loads(content(services, key))
    manifest["test"][0]["sha256"] = "0" * 64
    changed = json.dumps(manifest).encode()
    services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=changed)
    with pytest.raises(SnapshotAlteredError, match=r"its snapshot\.json says"):
        make(services, request_id="two")
    # WHEN snapshot.json is written over too, THEN the registry knows better
    key = parts["manifest"].removeprefix(f"s3://{BUCKET}/").partition("manifest/")[0] + "snapshot.json"
    kept = json.loads(content(services, key))
    kept["parts"]["manifest_sha256"] = hashlib.sha256(changed).hexdigest()
    services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(kept).encode())
    with pytest.raises(SnapshotAlteredError, match=f"the registry recorded {parts['manifest_sha256']}"):
        make(services, request_id="three")


@pytest.mark.slow
def test_more_imports_than_a_query_can_name_are_refused(services: LakeServices, athena: FakeAthena) -> None:
    for index in range(320):
        key = f"history/model=late_train/{index:0860}.parquet"
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    with pytest.raises(QueryTooLongError, match="and Athena accepts at most 262,144: it names every imported file"):
        make(services)
    assert athena.queries == []


@pytest.mark.slow
def test_the_query_knows_what_stands_in_the_lake(services: LakeServices, athena: FakeAthena) -> None:
    for key in ("predictions/model=late_train/date=2012-12-24/a", "labels/model=late_train/date=2012-12-25/a"):
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    for name in ("one", "two"):
        services.s3_client.put_object(Bucket=BUCKET, Key=f"history/model=late_train/{name}.parquet", Body=b"x")
    make(services)
    query = athena.queries[0]
    assert "\"date\" BETWEEN '2012-12-24' AND" in query
    assert "\"date\" BETWEEN '2012-12-25' AND" in query
    assert "'one.parquet'" in query
    assert "'two.parquet'" in query


@pytest.mark.slow
def test_it_holds_the_newest_days_alone_where_the_run_says_so(services: LakeServices, athena: FakeAthena) -> None:
    athena.fill("history", lake_table(240).assign(key=[f"old{i}" for i in range(240)], time=OLD))
    make(services)
    newest = make(services, request_id="two", training_days=30)
    as_of, lag = datetime(2013, 2, 1, tzinfo=UTC), services.declaration.data.label_lag_hours
    oldest = timestamp(as_of - timedelta(hours=lag, days=30))
    whole, chosen = (query for query in athena.queries if "AS prediction_id" in query or "/rows/' WITH" in query)
    assert oldest not in whole
    assert f'"time" > {oldest} AND' in chosen
    assert newest["time_range"][0] >= "2013-01-01T12"


@pytest.mark.slow
def test_what_was_superseded_is_counted_and_does_not_change_the_hash(
    services: LakeServices, athena: FakeAthena
) -> None:
    first = make(services)
    assert document(services, first)["rows"]["superseded"] == 0
    # WHEN the first row's key was asked about when its label was known already
    asked = lake_table(240, distance=[4.5] * 240).iloc[:1].drop(columns="label")
    services.s3_client.put_object(Bucket=BUCKET, Key="predictions/model=late_train/date=2013-01-04/a", Body=b"x")
    late = asked["time"] + pd.Timedelta(days=3)
    athena.fill("predictions", asked.assign(time=late, prediction_id="p", date="2013-01-04"))
    again = make(services, request_id="two")
    assert again == first
    # AND WHEN it is the first to come to these rows
    athena.connection.execute("DELETE FROM late_train_history WHERE key = 't1'")
    other = make(services, request_id="three")
    assert document(services, other)["rows"] == {"train": 71, "test": 168, "unlabelled": 0, "superseded": 1}


@pytest.mark.slow
def test_the_same_request_again_changes_nothing(services: LakeServices) -> None:
    first = make(services)
    kept = keys_below(services, "datasets/")
    before = {key: content(services, key) for key in kept}
    again = make(services, at="2013-02-01T09:00:00Z", request_id="two")
    assert again == first
    assert {key: content(services, key) for key in keys_below(services, "datasets/")} == before
    record = services.store.snapshots.find(first["snapshot_hash"])
    assert record is not None
    assert record.created_at == datetime(2013, 2, 1, 0, 0, 7, tzinfo=UTC)


@pytest.mark.slow
def test_an_attempt_that_was_cut_off_is_read_by_nobody(services: LakeServices) -> None:
    """GIVEN an attempt that ended before its snapshot.json; WHEN it is tried again; THEN no row is there twice."""
    cut_off = make(services)
    services.s3_client.delete_object(
        Bucket=BUCKET, Key=cut_off["snapshot_uri"].removeprefix(f"s3://{BUCKET}/") + "snapshot.json"
    )
    answer = make(services, request_id="two")
    assert answer["snapshot_hash"] == cut_off["snapshot_hash"]
    assert answer["train_uri"] == f"{answer['snapshot_uri']}train/train-1-two/"
    assert len(rows(services, answer["train_uri"])) == 72


@pytest.mark.slow
def test_of_two_attempts_at_once_the_first_to_end_stays(services: LakeServices, athena: FakeAthena) -> None:
    """GIVEN an attempt that comes to its end while another one is unloading."""
    answers: list[dict[str, Any]] = []

    class WhileUnloading(Stand):
        def start_query_execution(self, **asked: Any) -> dict[str, str]:
            if "/test/' WITH" in asked["QueryString"] and not answers:
                answers.append(make(services, request_id="quick"))
            return athena.start_query_execution(**asked)

    slow = replace(services.queries, client=WhileUnloading(athena))
    answers.append(make(replace(services, queries=slow), request_id="slow"))
    assert answers[0] == answers[1]
    assert answers[0]["train_uri"].endswith("/train/train-1-quick/")


@pytest.mark.slow
def test_files_with_other_rows_than_were_counted_are_no_snapshot(services: LakeServices, athena: FakeAthena) -> None:
    class Losing(Stand):
        def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:
            found = athena.get_query_execution(QueryExecutionId=QueryExecutionId)
            key = found["QueryExecution"]["Statistics"].get("DataManifestLocation", "").removeprefix(f"s3://{BUCKET}/")
            lines = content(services, key).decode().splitlines() if key else []
            if lines and "/train/" in lines[0]:
                athena.s3.put_object(Bucket=BUCKET, Key=key, Body="\n".join(lines[1:]).encode())
            return found

    losing = replace(services.queries, client=Losing(athena))
    with pytest.raises(PartsIncompleteError, match="hold 48 rows, and 72 were counted; a new attempt"):
        make(replace(services, queries=losing))
    assert not [key for key in keys_below(services, "datasets/") if key.endswith(".json")]
    assert make(services, request_id="two")["rows"]["train"] == 72


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "kind"),
    [({"Retryable": True}, QueryInterruptedError), ({"Retryable": False}, QueryFailedError)],
    ids=["may pass", "fails again"],
)
def test_a_failed_query_says_whether_it_may_pass(
    services: LakeServices, athena: FakeAthena, error: dict[str, Any], kind: type[Exception]
) -> None:
    athena.failing["/train/' WITH"] = error
    with pytest.raises(kind, match="made to fail"):
        make(services)
    # THEN nobody waits for those beside it
    assert len(athena.stopped) == 2
    assert keys_below(services, "datasets/") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "table", [lake_table(240).assign(distance=-1.0), lake_table(240).iloc[:0]], ids=["broken", "empty"]
)
def test_a_broken_contract_leaves_no_snapshot(services: LakeServices, athena: FakeAthena, table: pd.DataFrame) -> None:
    athena.empty("history")
    athena.fill("history", table)
    with pytest.raises(ContractViolationError, match="the training set of late_train"):
        make(services)
    assert keys_below(services, "datasets/") == []


class TestWhatADeclarationCantChange:
    """GIVEN a champion and rows in the lake from before a change; THEN no query is run, and the way is told."""

    def crown(self, using: LakeServices, contract: ServingContract) -> None:
        content = contract.to_json()
        version = crown(using.store, "train-0", contents={"contract.json": content})
        using.s3_client.put_object(Bucket=ARTIFACTS, Key=f"{version.artifact_prefix}contract.json", Body=content)

    def refused(self, using: LakeServices, athena: FakeAthena) -> str:
        with pytest.raises(DeclarationChangedError) as error:
            make(using)
        assert athena.queries == []
        return str(error.value)

    @pytest.mark.slow
    def test_a_feature_that_the_champion_uses(self, services: LakeServices, athena: FakeAthena) -> None:
        fields = (NumberField("distance"), NumberField("wind"), NumberField("tail_wind", missing="allow"))
        self.crown(services, small_contract(numbers=fields, categories=()))
        told = self.refused(services, athena)
        assert "the champion, version 1, uses 'tail_wind', which is no longer declared" in told

    def test_the_type_of_a_column_of_the_lake(self, services: LakeServices, athena: FakeAthena) -> None:
        frame = lake_table(5).drop(columns="wind").assign(wind=["calm"] * 5)
        key = "history/model=late_train/old.parquet"
        services.s3_client.put_object(Bucket=BUCKET, Key=key, Body=parquet_bytes(frame[["key", "label", "wind"]]))
        assert f"'wind' is declared as a number, and the lake has it as a category (s3://lake/{key})" in self.refused(
            services, athena
        )

    @pytest.mark.slow
    def test_the_rest_goes_on(self, services: LakeServices) -> None:
        self.crown(services, small_contract(categories=()))
        assert make(services)["rows"] == {"train": 72, "test": 168}

    def test_a_contract_that_is_not_the_registered_one_is_not_believed(self, services: LakeServices) -> None:
        self.crown(services, small_contract(categories=()))
        key = "artifacts/late_train/000001/contract.json"
        services.s3_client.put_object(Bucket=ARTIFACTS, Key=key, Body=small_contract().to_json())
        with pytest.raises(ArtifactMismatchError, match=key):
            make(services)
