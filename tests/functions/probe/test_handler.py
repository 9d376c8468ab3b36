"""The function of fresh probes over moto: what its job gets, and what is recorded of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from moto import mock_aws

from everloop.dataset.exceptions import ContractViolationError
from everloop.documents.probe import SERVED, VERSION
from everloop.functions.probe.handler import act
from everloop.lake_services import LakeServices
from everloop.registry import RegistryStore
from everloop.retraining.exceptions import FreshProbeError
from everloop.typed_json import DocumentRefusedError, as_json
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import probe_document
from tests.helpers.registry_scenes import crown
from tests.helpers.rows import lake_table

BUCKET, ARTIFACTS = "lake", "artifacts"
DECLARATION = declare(
    binary_document(
        retraining={
            "investment": {"every_days": 7, "probe_rows": 150},
            "cooldown_days": 14,
            "quota": {"runs": 4, "days": 60},
        }
    )
)
DOCUMENT = probe_document(0, money=True, champion=0.6)
ASKED = as_json({name: DOCUMENT[name] for name in ("model", "window_start", "window_end", "as_of")})
PREFIX = "probes/late_train/probe-1/"


class Queries:
    """Stands for Athena: gives the rows to learn from, those of the window, and remembers what it was asked."""

    def __init__(self) -> None:
        self.learned = lake_table(240)
        times = [datetime(2013, 3, 5) + timedelta(hours=i) for i in range(200)]
        self.window = lake_table(200).assign(time=times, **{SERVED: np.linspace(0.1, 0.9, 200), VERSION: 1})
        self.asked: list[tuple[str, str]] = []

    def read(self, query: str, output_uri: str, columns: Sequence[str]) -> pd.DataFrame:
        self.asked.append((query, output_uri))
        if list(columns) == ["n", "c"]:
            return pd.DataFrame({"n": [240], "c": [20.0]})
        return self.window if SERVED in columns and VERSION in columns else self.learned


@pytest.fixture
def queries() -> Queries:
    return Queries()


@pytest.fixture
def using(queries: Queries) -> Iterator[LakeServices]:
    with mock_aws():
        s3 = aws_client("s3")
        for bucket in (BUCKET, ARTIFACTS):
            s3.create_bucket(Bucket=bucket)
        store = RegistryStore(dynamodb(), TABLE, "late_train", pause=lambda _: None)
        yield LakeServices(DECLARATION, BUCKET, ARTIFACTS, s3, store, queries.read)


def step(using: LakeServices, action: str, *, request_id: str = "one", **asked: Any) -> dict[str, Any]:
    event = {"action": action, "asked": {**ASKED, **asked}, "execution": "probe-1", "at": "2013-03-15T06:05:00Z"}
    return dict(act(event, using, request_id=request_id))


def read(using: LakeServices, name: str) -> bytes:
    return using.s3_client.get_object(Bucket=BUCKET, Key=PREFIX + name)["Body"].read()


def leave(using: LakeServices, document: Any) -> None:
    """What the job leaves."""
    body = json.dumps(as_json(document)).encode()
    using.s3_client.put_object(Bucket=BUCKET, Key=f"{PREFIX}result/probe.json", Body=body)


def test_the_job_gets_what_was_known_when_the_window_began(using: LakeServices, queries: Queries) -> None:
    crown(using.store, "train-0")
    answer = step(using, "prepare")
    assert answer["go_on"]
    places = {f"{name}_uri": f"s3://lake/{PREFIX}{name}/" for name in ("train", "window", "plan", "result")}
    assert answer["places"] == {**places, "recent_uri": f"s3://lake/{PREFIX}plan/recent/"}
    # THEN the training set is the one of the window's begin, and the window's labels are those of the monitor's time
    (size, _), (window, window_uri), (train, train_uri) = queries.asked
    assert "TIMESTAMP '2013-03-07 00:00:00.000'" in train
    assert "TIMESTAMP '2013-03-15 06:00:00.000'" in window
    assert "TIMESTAMP '2013-03-15 06:00:00.000'" not in train + size
    assert {window_uri, train_uri} == {
        "s3://lake/athena-results/unload/probe-1/one-window/",
        "s3://lake/athena-results/unload/probe-1/one/",
    }
    learned = pd.read_parquet(io.BytesIO(read(using, "train/part-0.parquet")))
    scored = pd.read_parquet(io.BytesIO(read(using, "window/part-0.parquet")))
    assert (len(learned), len(scored)) == (150, 150)
    assert scored[[SERVED, VERSION]].notna().all(axis=None)
    plan = json.loads(read(using, "plan/plan.json"))
    assert (plan["window_rows"], plan["labelled_rows"], plan["champion"], plan["lag_days"]) == (152, 240, 1, 1)
    assert plan["learns_from"] == "2013-03-05T00:00:00Z"
    assert (plan["kept"], plan["versions"], plan["recent_days"]) == ([], [], None)


def test_it_is_told_of_earlier_probes_and_of_versions_that_have_served(using: LakeServices) -> None:
    crown(using.store, "train-0")
    crown(using.store, "train-1")
    for window in (-1, -2):
        earlier = probe_document(window, money=True)
        leave(using, earlier)
        step(using, "record", **as_json({name: value for name, value in earlier.items() if name in ASKED}))
    step(using, "prepare")
    plan = json.loads(read(using, "plan/plan.json"))
    assert [kept["window_end"] for kept in plan["kept"]] == ["2013-03-07T00:00:00Z", "2013-02-28T00:00:00Z"]
    assert plan["kept"][0]["files"] == DOCUMENT["files"]
    assert plan["champion"] == 2
    assert [(v["version"], v["uri"]) for v in plan["versions"]] == [(1, "s3://artifacts/artifacts/late_train/000001/")]


def test_where_it_is_declared_a_second_probe_gets_the_newest_rows(using: LakeServices) -> None:
    retraining = DECLARATION.retraining
    assert retraining.investment is not None
    investment = retraining.investment.model_copy(update={"recent_days": 5})
    declaration = DECLARATION.model_copy(
        update={"retraining": retraining.model_copy(update={"investment": investment})}
    )
    step(replace(using, declaration=declaration), "prepare")
    assert json.loads(read(using, "plan/plan.json"))["recent_days"] == 5
    recent = pd.read_parquet(io.BytesIO(read(using, "plan/recent/part-0.parquet")))
    learned = pd.read_parquet(io.BytesIO(read(using, "train/part-0.parquet")))
    assert len(recent) == 120
    assert recent["time"].min() > learned["time"].min()


def test_the_same_step_again_gives_the_same_rows(using: LakeServices) -> None:
    step(using, "prepare")
    before = {name: read(using, name) for name in ("train/part-0.parquet", "window/part-0.parquet", "plan/plan.json")}
    step(using, "prepare", request_id="two")
    assert {name: read(using, name) for name in before} == before


def test_what_the_job_found_is_recorded_once(using: LakeServices) -> None:
    leave(using, DOCUMENT)
    step(using, "record")
    end = datetime(2013, 3, 14, tzinfo=UTC)
    record = using.store.probes.find(end)
    assert record is not None
    assert record.document == DOCUMENT
    assert record.uri == f"s3://lake/{PREFIX}result/"
    # WHEN another job ends after it, THEN the first one's word stands, and no job is needed any more
    leave(using, probe_document(0, money=True, fresh=0.1))
    step(using, "record")
    assert using.store.probes.find(end) == record
    assert step(using, "prepare") == {
        "go_on": False,
        "reason": "the window has its probe",
        "places": step(using, "record")["places"],
    }


def test_a_window_without_labelled_answers_needs_no_job(using: LakeServices, queries: Queries) -> None:
    queries.window = queries.window.iloc[:10]
    answer = step(using, "prepare")
    assert (answer["go_on"], answer["reason"]) == (False, "no labelled row was answered in the window")
    assert "Contents" not in using.s3_client.list_objects_v2(Bucket=BUCKET)


def test_rows_that_break_the_contract_are_learned_from_by_nobody(using: LakeServices, queries: Queries) -> None:
    queries.learned = lake_table(240).assign(distance=-1.0)
    with pytest.raises(ContractViolationError):
        step(using, "prepare")
    assert "Contents" not in using.s3_client.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"window_end": DOCUMENT["window_end"] + timedelta(days=7)},
            "has the window_end 2013-03-21T00:00:00Z, and 2013-03-14T00:00:00Z",
        ),
        ({"metric": "brier"}, "is about brier, and gate.metric is log_loss"),
        ({"days": ["2013-03-05"]}, "losses of another number of days than its 1"),
        ({"rows": [0] * 7}, "or none"),
        ({"rows": [10] * 6}, "counts the rows of another number of days"),
        ({"fresh": {"loss": [0.5] * 7, "money": None}}, "losses of another number of days"),
        ({"fresh": {"loss": [0.5] * 6 + [float("nan")], "money": [1.0] * 7}}, "no finite number"),
    ],
)
def test_a_result_of_something_else_is_not_recorded(using: LakeServices, changes: dict[str, Any], message: str) -> None:
    leave(using, {**DOCUMENT, **changes})
    with pytest.raises(FreshProbeError, match=message):
        step(using, "record")
    assert using.store.probes.latest(5) == []


def test_a_result_that_is_no_document_is_refused_by_name(using: LakeServices) -> None:
    leave(using, {name: value for name, value in DOCUMENT.items() if name != "fresh"})
    with pytest.raises(DocumentRefusedError, match="fresh"):
        step(using, "record")


def test_another_models_probe_is_refused(using: LakeServices) -> None:
    with pytest.raises(FreshProbeError, match="a probe of other came to the probe function of late_train"):
        step(using, "prepare", model="other")
