"""The function of fresh probes over moto: what its job gets, and what is recorded of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from moto import mock_aws

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import ContractViolationError, PartsIncompleteError
from everloop.dataset.lake import in_lake_order
from everloop.documents.probe import VERSION
from everloop.functions.probe.handler import act
from everloop.lake_services import LakeServices
from everloop.manifest import ESTIMATOR, sha256_hex
from everloop.model_file.schema import WarmStart
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import FreshProbeError
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import window_query
from everloop.retraining.probe.tables import training_rows, window_rows
from everloop.typed_json import DocumentRefusedError, as_json
from tests.fakes.athena import FakeAthena
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


@pytest.fixture
def athena() -> Iterator[FakeAthena]:
    """A history of 240 rows, and 200 later answers, all labelled when the window was over."""
    with mock_aws():
        s3 = aws_client("s3")
        for bucket in (BUCKET, ARTIFACTS):
            s3.create_bucket(Bucket=bucket)
        athena = FakeAthena(s3)
        athena.fill("history", lake_table(240))
        answers(athena, 200)
        yield athena
        athena.connection.close()


def answers(athena: FakeAthena, count: int) -> None:
    """What production answered, an hour apart from two days before the window on."""
    for table in ("predictions", "labels"):
        athena.empty(table)
    rows = lake_table(count)
    times = pd.Series([datetime(2013, 3, 5) + timedelta(hours=i) for i in range(count)], dtype="datetime64[ms]")
    ids = [f"p{i}" for i in range(count)]
    own: dict[str, Any] = {"prediction_id": ids, "key": [f"w{i}" for i in range(count)], "time": times, "version": 1}
    scores = np.linspace(0.1, 0.9, count)
    captured = rows.drop(columns="label").assign(**own, probability=scores, raw_score=scores)
    athena.fill("predictions", captured.assign(date=times.dt.strftime("%Y-%m-%d")))
    known = {"label_id": ids, "prediction_id": ids, "time": datetime(2013, 3, 14, 12), "date": "2013-03-14"}
    athena.fill("labels", pd.DataFrame({**known, "label": rows["label"]}))


@pytest.fixture
def using(athena: FakeAthena) -> LakeServices:
    store = RegistryStore(dynamodb(), TABLE, "late_train", pause=lambda _: None)
    queries = AthenaQueries(athena, lambda _: None, "everloop", "everloop", f"s3://{BUCKET}/athena-results/")
    return LakeServices(DECLARATION, BUCKET, ARTIFACTS, athena.s3, store, queries)


def step(using: LakeServices, action: str, *, request_id: str = "one", **asked: Any) -> dict[str, Any]:
    event = {"action": action, "asked": {**ASKED, **asked}, "execution": "probe-1", "at": "2013-03-15T06:05:00Z"}
    return dict(act(event, using, request_id=request_id))


def read(using: LakeServices, name: str) -> bytes:
    content: bytes = using.s3_client.get_object(Bucket=BUCKET, Key=PREFIX + name)["Body"].read()
    return content


def table(using: LakeServices, folder: str, *, attempt: str = "one") -> pd.DataFrame:
    """The rows in a folder of the job's, in the lake's order."""
    listed = using.s3_client.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}{attempt}/{folder}/")["Contents"]
    keys = [item["Key"] for item in listed]
    assert len(keys) > 1
    parts = [pd.read_parquet(io.BytesIO(read(using, key.removeprefix(PREFIX)))) for key in keys]
    return in_lake_order(pd.concat(parts))


def planned(using: LakeServices, *, attempt: str = "one") -> Any:
    return json.loads(read(using, f"{attempt}/plan/plan.json"))


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows, whatever files they came in."""
    assert list(found.columns) == list(expected.columns)
    for frame in (found, expected):
        frame[VERSION] = frame[VERSION].astype(float) if VERSION in frame else 0.0
    assert cells(found) == cells(expected)


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    """Row by row, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


def leave(using: LakeServices, document: Any) -> None:
    """What the job leaves."""
    body = json.dumps(as_json(document)).encode()
    using.s3_client.put_object(Bucket=BUCKET, Key=f"{PREFIX}result/probe.json", Body=body)


@pytest.mark.slow
def test_the_job_gets_what_was_known_when_the_window_began(using: LakeServices, athena: FakeAthena) -> None:
    crown(using.store, "train-0")
    answer = step(using, "prepare")
    assert answer["go_on"]
    below = f"s3://lake/{PREFIX}"
    assert answer["places"] == {
        **{f"{name}_uri": f"{below}one/{name}/" for name in ("train", "window", "plan")},
        "result_uri": f"{below}result/",
    }
    # THEN the training set is the one of the window's begin, and the window's labels are those of the monitor's time
    answered, frozen = athena.queries[:2]
    assert "TIMESTAMP '2013-03-07 00:00:00.000'" in frozen
    assert "TIMESTAMP '2013-03-15 06:00:00.000'" in answered
    assert "TIMESTAMP '2013-03-15 06:00:00.000'" not in frozen
    assert athena.unloads == [
        f"s3://lake/unloaded/late_train/probe-1-one/{part}/" for part in ("rows", "train", "window")
    ]
    # AND the rows are those that a backtest draws of the same rows
    window = ProbeWindow(DOCUMENT["window_start"], DOCUMENT["window_end"])
    learned = training_rows(lake_table(240), DECLARATION, window, most=150)
    same(table(using, "train"), learned.rows[None])
    answered_rows = athena.connection.execute(window_query(DECLARATION, window, DOCUMENT["as_of"])).df()
    scored = window_rows(answered_rows, DECLARATION, window, most=150)
    same(table(using, "window"), scored.rows)
    assert (len(learned.rows[None]), len(scored.rows), len(answered_rows)) == (150, 150, 200)
    plan = planned(using)
    assert (plan["window_rows"], plan["labelled_rows"], plan["champion"], plan["lag_days"]) == (152, 240, 1, 1)
    assert plan["learns_from"] == "2013-03-05T00:00:00Z"
    assert (plan["kept"], plan["versions"], plan["spans"], plan["fresh_days"]) == ([], [], [], None)


@pytest.mark.slow
def test_it_is_told_of_earlier_probes_and_of_versions_that_have_served(using: LakeServices) -> None:
    crown(using.store, "train-0")
    crown(using.store, "train-1")
    for window in (-1, -2):
        earlier = probe_document(window, money=True)
        leave(using, earlier)
        step(using, "record", **as_json({name: value for name, value in earlier.items() if name in ASKED}))
    step(using, "prepare")
    plan = planned(using)
    assert [kept["window_end"] for kept in plan["kept"]] == ["2013-03-07T00:00:00Z", "2013-02-28T00:00:00Z"]
    assert plan["kept"][0]["files"] == DOCUMENT["files"]
    assert plan["champion"] == 2
    assert [(v["version"], v["uri"]) for v in plan["versions"]] == [(1, "s3://artifacts/artifacts/late_train/000001/")]


def spanning(using: LakeServices, *spans: int, recent_days: int | None = None, minimum_rows: int = 100) -> LakeServices:
    """The same, of a declaration whose trainings choose one of these spans."""
    retraining = using.declaration.retraining
    assert retraining.investment is not None
    investment = retraining.investment.model_copy(update={"recent_days": recent_days})
    data = using.declaration.data.model_copy(
        update={"training_spans": list(spans) or None, "minimum_rows": minimum_rows}
    )
    changed = {"retraining": retraining.model_copy(update={"investment": investment}), "data": data}
    return replace(using, declaration=using.declaration.model_copy(update=changed))


@pytest.mark.slow
@pytest.mark.parametrize(("spans", "recent_days"), [((), 5), ((5,), None)])
def test_where_spans_are_declared_other_probes_get_the_newest_rows(
    using: LakeServices, spans: tuple[int, ...], recent_days: int | None
) -> None:
    step(spanning(using, *spans, recent_days=recent_days), "prepare")
    plan = planned(using)
    assert plan["spans"] == [{"days": 5, "labelled_rows": 120, "folder": "spans/5"}]
    assert (plan["fresh_days"], plan["labelled_rows"]) == (None, 240)
    newest, learned = table(using, "plan/spans/5"), table(using, "train")
    assert len(newest) == 120
    assert newest["time"].min() > learned["time"].min()


@pytest.mark.slow
def test_the_probe_learns_from_what_a_training_would_have_chosen(using: LakeServices) -> None:
    using = spanning(using, 5, minimum_rows=50)
    for window in (-4, -3, -2):
        better = probe_document(window, spans={5: [0.4, 0.41, 0.39, 0.4, 0.42, 0.38, 0.4]}, money=True)
        leave(using, better)
        step(using, "record", **as_json({name: value for name, value in better.items() if name in ASKED}))
    step(using, "prepare")
    plan = planned(using)
    assert (plan["fresh_days"], plan["labelled_rows"]) == (5, 120)
    assert plan["spans"] == [{"days": None, "labelled_rows": 240, "folder": "spans/all"}]
    assert len(table(using, "train")) == 120
    assert len(table(using, "plan/spans/all")) == 150


@pytest.mark.slow
def test_the_same_step_again_gives_the_same_rows_in_a_place_of_its_own(using: LakeServices) -> None:
    step(using, "prepare")
    before = {key: read(using, key.removeprefix(PREFIX)) for key in stored(using)}
    assert step(using, "prepare", request_id="two")["places"]["train_uri"] == f"s3://lake/{PREFIX}two/train/"
    for folder in ("train", "window"):
        assert cells(table(using, folder)) == cells(table(using, folder, attempt="two"))
    assert planned(using) == planned(using, attempt="two")
    # AND what a job may be reading of the first attempt is untouched
    assert {key: read(using, key.removeprefix(PREFIX)) for key in before} == before


def stored(using: LakeServices, prefix: str = "probes/") -> list[str]:
    listed = using.s3_client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", [])]


@pytest.mark.slow
def test_rows_that_are_not_all_there_are_learned_from_by_nobody(using: LakeServices, athena: FakeAthena) -> None:
    class Losing:
        """Loses a file of the table to learn from."""

        def __getattr__(self, name: str) -> Any:
            return getattr(athena, name)

        def start_query_execution(self, **given: Any) -> Any:
            started = athena.start_query_execution(**given)
            if "/train/'" in given["QueryString"]:
                found = athena.executions[started["QueryExecutionId"]]["Statistics"]["DataManifestLocation"]
                key = found.removeprefix(f"s3://{BUCKET}/")
                lines = athena.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().splitlines(keepends=True)
                athena.s3.put_object(Bucket=BUCKET, Key=key, Body=b"".join(lines[1:]))
            return started

    losing = replace(using, queries=replace(using.queries, client=Losing()))
    with pytest.raises(PartsIncompleteError, match="100 rows, and 150 were counted"):
        step(losing, "prepare")
    assert f"{PREFIX}one/plan/plan.json" not in stored(using)
    assert step(using, "prepare", request_id="two")["go_on"]


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
    assert step(using, "prepare") == {"go_on": False, "reason": "the window already has a probe"}


def test_a_window_without_labelled_answers_needs_no_job(using: LakeServices, athena: FakeAthena) -> None:
    answers(athena, 10)
    assert step(using, "prepare") == {"go_on": False, "reason": "no labelled row was answered in the window"}
    assert stored(using, "") == []


@pytest.mark.slow
def test_rows_that_break_the_contract_are_learned_from_by_nobody(using: LakeServices, athena: FakeAthena) -> None:
    athena.empty("history")
    athena.fill("history", lake_table(240).assign(distance=-1.0))
    with pytest.raises(ContractViolationError):
        step(using, "prepare")
    assert stored(using) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"window_end": DOCUMENT["window_end"] + timedelta(days=7)},
            "has the window_end 2013-03-21T00:00:00Z, but 2013-03-14T00:00:00Z",
        ),
        ({"metric": "brier"}, "uses brier, but gate.metric is log_loss"),
        ({"days": ["2013-03-05"]}, "losses for another number of days than its 1"),
        ({"rows": [0] * 7}, "or none"),
        ({"rows": [10] * 6}, "counts the rows of another number of days"),
        ({"fresh": {"loss": [0.5] * 7, "money": None}}, "losses for another number of days"),
        ({"fresh": {"loss": [0.5] * 6 + [float("nan")], "money": [1.0] * 7}}, "a finite number"),
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
    with pytest.raises(FreshProbeError, match="a probe of other was sent to the probe function of late_train"):
        step(using, "prepare", model="other")


@pytest.mark.slow
def test_where_it_is_declared_what_serves_is_continued(using: LakeServices) -> None:
    training = using.declaration.training.model_copy(update={"warm_start": WarmStart()})
    using = replace(using, declaration=using.declaration.model_copy(update={"training": training}))
    crown(using.store, "train-0", contents={ESTIMATOR: b"kept"})
    step(using, "prepare")
    assert planned(using)["warm_start"] == {
        "version": 1,
        "estimator_uri": "s3://artifacts/artifacts/late_train/000001/estimator.zip",
        "estimator_sha256": sha256_hex(b"kept"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("contents", [{}, {ESTIMATOR: b"kept"}])
def test_where_nothing_is_kept_or_declared_nothing_is_continued(
    using: LakeServices, contents: dict[str, bytes]
) -> None:
    crown(using.store, "train-0", contents=contents)
    step(using, "prepare")
    assert planned(using)["warm_start"] is None
