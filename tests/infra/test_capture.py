"""What the queries on the lake take for granted about how it is filled."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase

from everloop.dataset.frozen import Place
from everloop.dataset.lake import history_object_key
from everloop.dataset.lake_sql import BUFFER
from everloop.names import lake_prefix
from tests.helpers.declarations import binary_document, declare
from tests.helpers.synthesis import MODEL_STACK, Assembly

MODEL = "late_train"
DATES = "projection.date.range"


def test_records_wait_together_for_no_longer_than_the_queries_look_back(assembly: Assembly) -> None:
    streams = assembly.of_type(MODEL_STACK, "AWS::KinesisFirehose::DeliveryStream")
    destinations = [stream["ExtendedS3DestinationConfiguration"] for stream in streams.values()]
    assert len(destinations) == 2
    for destination in destinations:
        assert timedelta(seconds=destination["BufferingHints"]["IntervalInSeconds"]) <= BUFFER


def test_every_day_that_can_have_been_captured_has_a_partition(assembly: Assembly) -> None:
    parameters = [t["TableInput"]["Parameters"] for t in assembly.of_type(MODEL_STACK, "AWS::Glue::Table").values()]
    assert [p[DATES] for p in parameters if DATES in p] == ["1970-01-01,NOW+1DAYS"] * 2


def test_the_lake_is_listed_where_it_is_written(assembly: Assembly) -> None:
    streams = assembly.of_type(MODEL_STACK, "AWS::KinesisFirehose::DeliveryStream")
    written = {s["ExtendedS3DestinationConfiguration"]["Prefix"].split("!")[0] for s in streams.values()}
    assert written == {f"{kind}/model={MODEL}/date=" for kind in ("predictions", "labels")}
    assert {f"{lake_prefix(kind, MODEL)}date=" for kind in ("predictions", "labels")} == written
    assert history_object_key(declare(binary_document()), "5ha").startswith(lake_prefix("history", MODEL))


def test_the_snapshot_function_may_list_what_it_lists(assembly: Assembly) -> None:
    policies = assembly.of_type(MODEL_STACK, "AWS::IAM::Policy")
    statements = [s for n, p in policies.items() if "Snapshot" in n for s in p["PolicyDocument"]["Statement"]]
    allowed = [s["Condition"]["StringLike"]["s3:prefix"] for s in statements if s["Action"] == "s3:ListBucket"]
    patterns = [pattern for given in allowed for pattern in given]
    for prefix in (
        lake_prefix("history", MODEL),
        Place("lake", MODEL, "train-1-one").prefix(),
        *(f"{lake_prefix(k, MODEL)}date=" for k in ("predictions", "labels")),
    ):
        assert any(fnmatchcase(prefix, pattern) for pattern in patterns), prefix
