"""The monitor over a lake in DuckDB and a registry in moto: what it records, and what it asks for."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from moto import mock_aws

from everloop.documents.records import Trigger
from everloop.functions.monitor.handler import Services, act
from everloop.instants import format_instant
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.own_scores import DAYS
from everloop.monitoring.reference import Reference
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.interval import Interval
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Probe
from everloop.registry.store import RegistryStore
from everloop.retraining.requests import RetrainingRequest
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.serving.contract import ServingContract
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.object_store import FakeS3
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.fresh_probes import probe_document
from tests.helpers.registry_scenes import BEGIN, PASSED, at, close_run, from_nothing, open_run, start_rollout
from tests.helpers.watched_lake import WatchedLake, draw, reference_of

DECLARATION = declare(
    binary_document(
        retraining={
            "quality": {"days": 5, "minimum_increase": 0.02, "confidence": 0.95},
            "drift": {"windows": 3},
            "cooldown_days": 6,
            "quota": {"runs": 3, "days": 100},
        },
        monitoring={"minimum_rows": 50},
        data={"split": {"test_days": 5}},
    )
)


@dataclass
class World:
    """A model that serves since the first day."""

    store: RegistryStore
    lake: WatchedLake = field(default_factory=lambda: WatchedLake(DECLARATION))
    bus: FakeEventBus = field(default_factory=FakeEventBus)
    s3: FakeS3 = field(default_factory=FakeS3)
    function: FakeLambda = field(default_factory=FakeLambda)
    queries: int = 0
    contract: ServingContract = field(default_factory=small_contract)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(11)
        target = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        self.using = Services(
            DECLARATION,
            self.store,
            self.query,
            target,
            self.s3,
            self.bus,
            artifact_bucket="artifacts",
            event_bus="everloop",
        )

    def query(self, sql: str) -> list[dict[str, str | None]]:
        self.queries += 1
        return self.lake.rows(sql)

    def crown(self, run_id: str, *, when: float = 0, reference: Reference | None = None) -> int:
        """Train, register and promote a version of that reference; by default one that is drawn."""
        drawn = self.rng.bit_generator
        state = ("watched", run_id, when, str(drawn.state), reference and reference.to_json(), self.contract)

        def build() -> tuple[int, Any]:
            return self._crown(run_id, when, reference), drawn.state

        version, drawn.state = from_nothing(self.store, state, build, self.s3, self.function)
        return version

    def _crown(self, run_id: str, when: float, reference: Reference | None) -> int:
        reference = reference or reference_of([draw(self.rng, 150) for _ in range(42)], DECLARATION)
        files = {"profile.json": reference.to_json().encode(), "contract.json": self.contract.to_json()}
        open_run(self.store, run_id, when=at(when))
        version = self.store.versions.register(
            run_id=run_id,
            snapshot_hash="s1",
            code_sha256="c0de",
            files={n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in files.items()},
            metrics={},
            gate=PASSED,
            at=at(when),
            actor="test",
        )
        for name, data in files.items():
            self.s3.objects[f"{version.artifact_prefix}{name}"] = data
        self.store.versions.mark_evaluated(version.version, at=at(when), actor="test")
        start_rollout(self.store, run_id, version.version)
        self.store.rollouts.promote(run_id, at=at(when), actor="test")
        self.store.rollouts.end(run_id, status="completed", at=at(when), actor="test")
        close_run(self.store, run_id, when=at(when))
        self.publish()
        return version.version

    def publish(self) -> None:
        """Have the champion served by the code that is deployed now, as a rollout leaves it."""
        champion = self.store.versions.champion()
        assert champion is not None
        published = {**copy.deepcopy(self.function.latest), "Version": champion.lambda_version}
        self.function.versions[champion.lambda_version] = published

    def of_values(self, declaration: ModelDeclaration, lake: WatchedLake, interval: Interval | None = None) -> None:
        """Let it be a regression instead, whose champion answers with ``interval``."""
        self.lake, self.using = lake, replace(self.using, declaration=declaration)
        self.contract = small_contract(problem_type="regression", interval=interval)
        days = [draw(self.rng, 50, classification=False) for _ in range(10)]
        self.crown("train-1", reference=reference_of(days, declaration))

    def live(self, day: int, *, version: int = 1, rows: int = 150, **drawn: Any) -> None:
        self.lake.live(draw(self.rng, rows, **drawn), BEGIN + timedelta(days=day), version=version)

    def watch(self, day: int) -> dict[str, Any]:
        """Watch the window of that day, once its outcomes are complete."""
        return {**act({"scheduled_time": format_instant(self.scheduled(day))}, self.using)}

    def scheduled(self, day: int) -> datetime:
        return BEGIN + timedelta(days=day + 1, hours=13)

    def document(self, day: int) -> dict[str, Any]:
        window = self.store.windows.find(BEGIN + timedelta(days=day + 1))
        assert window is not None
        return window.document


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World(RegistryStore(dynamodb(), TABLE, "late_train", pause=lambda _: None))


def test_without_a_champion_there_is_nothing_to_watch(world: World) -> None:
    answer = world.watch(0)
    assert answer["reason"] == "no champion serves, so there is nothing to monitor"
    assert world.queries == 0
    assert world.store.windows.latest(5) == []


@pytest.mark.slow
def test_quiet_days_are_recorded_and_ask_for_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.crown("train-1")
    for day in range(8):
        world.live(day)
        assert world.watch(day)["decision"] == "none"
    document = world.document(7)
    assert (document["rows"], document["labelled_rows"], document["version"]) == (150, 150, 1)
    assert document["drift_evaluated"]
    assert not document["drift_alarm"]
    assert set(document["drift"]) == {"distance", "wind", "line", "operator", "prediction"}
    assert document["drift"]["wind"]["days"] == 7
    assert document["quality"]["evaluated"]
    assert document["labelled_end"] == document["end"]
    assert len(json.dumps(document)) < 20_000
    assert world.bus.details("Retraining Requested") == []
    # AND what little they taught is all that was sent
    last = world.bus.details("Calibration Learned")[-1]
    raw = np.array([0.2, 0.4, 0.6])
    assert Calibration.from_text(last["calibration"]).apply(raw) == pytest.approx(raw, abs=0.05)
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (metrics["model"], metrics["WindowRows"], metrics["DriftAlarm"]) == ("late_train", 150, 0)
    assert metrics["_aws"]["Timestamp"] == int(world.scheduled(7).timestamp() * 1000)


@pytest.mark.slow
def test_fallen_quality_asks_for_retraining_once_however_often_the_schedule_fires(world: World) -> None:
    world.crown("train-1")
    for day in range(6):
        world.live(day, bias=1.0)
        answer = world.watch(day)
    assert answer["decision"] == "retrain"
    document, queries = world.document(5), world.queries
    assert (document["trigger"], document["held_back_by"]) == ("quality", None)
    assert document["reasons"][0]["code"] == "quality_level"
    again = world.watch(5)
    assert again == answer
    assert world.queries == queries
    assert world.document(5) == document
    details = world.bus.details("Retraining Requested")
    assert details[0] == details[1]
    assert details[0]["trigger"]["window_end"] == document["end"]


@pytest.mark.slow
def test_cause_is_held_back_and_not_lost(world: World) -> None:
    world.crown("train-1")
    decisions = []
    for day in range(7):
        world.live(day, bias=1.0)
        if day == 5:
            open_run(world.store, "train-2", when=world.scheduled(4))
            close_run(world.store, "train-2", when=world.scheduled(4), status="failed")
            open_run(world.store, "smoke-1", when=world.scheduled(4), kind="smoke")
        if day == 6:
            close_run(world.store, "smoke-1", when=world.scheduled(5), status="smoke_passed")
        world.watch(day)
        decisions.append((world.document(day)["decision"], world.document(day)["held_back_by"]))
    assert decisions[3:] == [
        ("none", None),
        ("held_back", "cooldown"),
        ("held_back", "active_run"),
        ("retrain", None),
    ]


@pytest.mark.slow
def test_new_champion_is_judged_on_its_own_days(world: World) -> None:
    world.crown("train-1")
    for day in range(6):
        world.live(day, bias=1.0)
        world.watch(day)
    version = world.crown("train-2", when=6 * 24 * 60)
    world.live(6, version=version)
    world.watch(6)
    document = world.document(6)
    assert document["version"] == 2
    assert document["quality"]["reason"] == "this champion has 1 of the 5 labelled windows needed"
    assert document["drift"]["wind"]["days"] == 1


@pytest.mark.slow
def test_lasting_drift_asks_for_retraining(world: World) -> None:
    world.crown("train-1")
    for day in range(12):
        world.live(day, shift=6.0 if day >= 4 else 0.0)
        world.watch(day)
        if world.document(day)["decision"] == "retrain":
            break
    document = world.document(day)
    assert (document["decision"], document["trigger"]) == ("retrain", "drift")
    assert document["drift"]["wind"]["alarm"]
    assert [world.document(day - back)["drift_alarm"] for back in (0, 1, 2, 3)] == [True, True, True, False]


@pytest.mark.slow
def test_gap_in_the_windows_starts_the_span_anew(world: World) -> None:
    world.crown("train-1")
    for day in (0, 1, 2, 4):
        world.live(day)
        world.watch(day)
    assert world.document(2)["drift"]["wind"]["days"] == 3
    assert world.document(4)["drift"]["wind"]["days"] == 1


@pytest.mark.slow
def test_a_refits_scores_are_judged_by_its_own_first_whole_days(world: World) -> None:
    # GIVEN a refit that came while the version before it still answered
    reference = reference_of([draw(world.rng, 150) for _ in range(42)], DECLARATION)
    version = world.crown("train-1", reference=replace(reference, score_unjudged="they are its sibling's"))
    world.live(0, rows=60, version=version)
    world.live(0, rows=60, version=7)
    world.watch(0)
    for day in range(1, DAYS + 1):
        world.live(day, version=version)
        world.watch(day)
    # THEN its first day is no part of what it collects, and it says how much it has until there is enough
    document = world.document(DAYS)
    assert document["score_reference"]["days"] == DAYS - 1
    assert document["not_watched"] == {"prediction": document["score_reference"]["sentence"]}
    # AND then its scores are judged, by windows that stay the same
    for day in (DAYS + 1, DAYS + 2):
        world.live(day, version=version)
        world.watch(day)
        document = world.document(day)
        assert (document["drift"]["prediction"]["days"], document["not_watched"]) == (day - DAYS, {})
        assert document["score_reference"]["end"] == world.document(DAYS)["end"]


def test_altered_reference_is_refused(world: World) -> None:
    world.crown("train-1")
    world.s3.objects["artifacts/late_train/000001/profile.json"] += b" "
    world.live(0)
    with pytest.raises(ReferenceUnusableError, match="restore the object's registered version"):
        world.watch(0)
    assert world.store.windows.latest(5) == []


@pytest.mark.slow
def test_reference_is_read_once(world: World) -> None:
    world.crown("train-1")
    for day in range(3):
        world.live(day)
        world.watch(day)
    assert len(world.s3.reads) == 1


@pytest.mark.slow
def test_a_model_of_few_rows_a_day_is_trained_when_it_is_due(world: World) -> None:
    # GIVEN 4 rows a day, 50 needed, and windows judged together over 14 days at most
    policy = {"schedule_days": 15, "cooldown_days": 6, "quota": {"runs": 3, "days": 100}}
    declaration = declare(binary_document(retraining={"quality": None, **policy}, monitoring={"minimum_rows": 62}))
    world.using = replace(world.using, declaration=declaration)
    world.crown("train-1")
    decisions = []
    for day in range(17):
        world.live(day, rows=4)
        world.watch(day)
        decisions.append((world.document(day)["decision"], world.document(day)["held_back_by"]))
    # THEN it waits for the sixteenth day, and for no more rows than there have been since the first
    assert decisions[13:] == [("none", None), ("held_back", "too_little_data"), ("retrain", None), ("retrain", None)]
    assert world.document(14)["reasons"][1]["sentence"].startswith("60 labelled rows arrived since the last training")


@pytest.mark.slow
def test_what_was_asked_for_while_a_run_was_active_is_answered_when_it_has_ended(world: World) -> None:
    world.crown("train-1")
    # GIVEN a run that is active, and a person who asks for a training meanwhile
    run, asked = "train-2", world.scheduled(2) + timedelta(hours=1)
    world.store.runs.open(run, kind="train", trigger={"kind": "drift"}, at=world.scheduled(1) + timedelta(hours=1),
                          actor="a", quota_runs=9, quota_days=9)  # fmt: skip
    trigger: Trigger = {"kind": "manual", "reason": "new stations", "window_end": None}
    world.store.kept_requests.keep("asked-1", trigger=trigger, held_by=f"the run {run}", at=asked, actor="a person")
    for day in (3, 4):
        world.live(day)
        world.watch(day)
        held = world.document(day)
        assert (held["decision"], held["trigger"], held["held_back_by"]) == ("held_back", "manual", "active_run")
    # WHEN the run has ended, THEN the next window starts a training for it, within the cooldown and on few rows
    world.store.runs.close(run, status="rejected", cause=None, at=world.scheduled(4) + timedelta(hours=1), actor="a")
    world.live(5)
    answer = world.watch(5)
    assert world.watch(5)["execution"] == answer["execution"]
    assert "(new stations)" in world.document(5)["reasons"][0]["sentence"]
    (sent,) = {d["trigger"]["window_end"]: d for d in world.bus.details("Retraining Requested")}.values()
    assert (sent["trigger"]["kind"], sent["trigger"]["window_end"]) == ("manual", answer["window_end"])
    # AND once that has started, nothing waits any more, and nothing else is started
    began, ended = (world.scheduled(5) + timedelta(hours=hours) for hours in (1, 2))
    run = answer["execution"]
    found = RetrainingRequest.from_detail(sent).trigger
    asked_for: Trigger = {"kind": found["kind"], "reason": found["reason"], "requested_at": found["requested_at"]}
    world.store.runs.open(run, kind="train", trigger=asked_for, at=began, actor="a", quota_runs=9, quota_days=9)
    world.store.runs.close(run, status="rejected", cause=None, at=ended, actor="a")
    world.live(6)
    assert world.watch(6)["decision"] == "none"


@pytest.mark.slow
@pytest.mark.parametrize("rows", [150, 151])
def test_so_many_new_rows_are_a_cause_of_their_own(world: World, rows: int) -> None:
    policy = {"volume": {"rows": rows}, "cooldown_days": 7, "quota": {"runs": 3, "days": 100}}
    declaration = declare(binary_document(retraining={"quality": None, **policy}, monitoring={"minimum_rows": 10}))
    world.using = replace(world.using, declaration=declaration)
    world.crown("train-1")
    for day in range(10):
        world.live(day, rows=15)
        world.watch(day)
    assert world.document(8)["decision"] == "none"
    assert (world.document(9)["trigger"] == "volume") == (rows == 150)


@pytest.mark.slow
def test_what_the_labels_teach_is_sent_and_while_it_is_held_recorded(world: World) -> None:
    world.crown("train-1")
    # GIVEN days whose outcomes lie above the scores
    for day in range(4):
        world.live(day, bias=1.0)
        assert world.watch(day)["recalibration"] == "publish"
    sent = world.bus.details("Calibration Learned")
    assert [d["window_end"] for d in sent] == [format_instant(BEGIN + timedelta(days=n)) for n in (1, 2, 3, 4)]
    assert Calibration.from_text(sent[-1]["calibration"]).apply(np.array([0.5]))[0] > 0.55
    document = world.document(3)["recalibration"]
    assert document["losses"]["calibrated"] < document["losses"]["raw"]
    # WHEN a person holds calibrations still, THEN the record says so and nothing is sent
    world.store.calibrations.freeze(reason="wait", at=at(10), actor="a person")
    world.live(4, bias=1.0)
    assert world.watch(4)["recalibration"] == "held_back"
    assert "a person froze calibrations" in world.document(4)["recalibration"]["reasons"][0]["sentence"]
    assert len(world.bus.details("Calibration Learned")) == 4


@pytest.mark.slow
def test_groups_are_learned_apart_where_they_are_declared_and_sent_with_how_they_fare(world: World) -> None:
    declaration = declare(binary_document(recalibration={"by": "line", "groups": ["north"], "minimum_group_rows": 100}))
    world.using = replace(world.using, declaration=declaration)
    world.crown("train-1")
    # GIVEN days on which one line is late far more often than its scores say
    for day in range(5):
        rows = draw(world.rng, 240)
        late = world.rng.random(240) < 1 / (1 + np.exp(-(np.log(rows.scores / (1 - rows.scores)) + 2.0)))
        rows.labels[:] = np.where(np.array(rows.features["line"]) == "north", late, rows.labels)
        world.lake.live(rows, BEGIN + timedelta(days=day))
        world.queries = 0
        assert world.watch(day)["recalibration"] == "publish"
        # THEN a window takes the query of its profile, of the groups' sums, and of how they fare
        assert world.queries == 3
    sent = world.bus.details("Calibration Learned")[-1]
    made = Calibration.from_text(sent["calibration"])
    half = np.array([0.5])
    assert made.apply(half, np.array([0]))[0] > made.apply(half)[0] + 0.1
    assert (sent["groups"]["by"], sent["groups"]["withheld"]) == ("line", None)
    fares = sent["groups"]["fairness"]["groups"]["north"]
    assert fares["before"]["calibration"]["value"] < -0.1 < fares["after"]["calibration"]["value"]
    assert world.document(4)["recalibration"]["groups"]["groups"]["north"]["losses"]["rows"] > 300


@pytest.mark.slow
def test_while_deployed_code_waits_for_its_rollout_the_record_says_what_to_type_and_the_hold_ends_with_it(
    world: World,
) -> None:
    world.crown("train-1")
    days = iter(range(9))

    def watched() -> tuple[str, str]:
        world.live(day := next(days), bias=1.0)
        return world.watch(day)["recalibration"], world.document(day)["recalibration"]["reasons"][0]["sentence"]

    assert watched()[0] == "publish"
    # WHEN code is deployed, or a setting; THEN nothing is sent, and the window says why
    world.function.deploy_code("code-2")
    decision, sentence = watched()
    assert decision == "held_back"
    assert sentence.startswith("new code was deployed but does not serve yet")
    assert "`everloop rollout start late_train`" in sentence
    assert len(world.bus.details("Calibration Learned")) == 1
    # AND the first window after its rollout, or after the deployment was taken back, publishes
    world.publish()
    assert watched()[0] == "publish"
    world.function.latest["MemorySize"] = 2048
    assert watched()[0] == "held_back"
    world.function.latest["MemorySize"] = 1024
    assert watched()[0] == "publish"
    # AND a function that is gone serves no calibration
    world.function.redeploy()
    assert watched()[0] == "held_back"


@pytest.mark.slow
def test_a_window_is_read_once_and_again_where_it_stands_otherwise(world: World) -> None:
    world.crown("train-1")
    for day in range(3):
        world.live(day)
        world.watch(day)
    before = dict(world.using.windows)
    world.live(3)
    world.watch(3)
    # THEN those of the days before are the very ones; only that of the day itself is new
    kept = world.using.windows
    assert sorted(before) == [BEGIN + timedelta(days=n) for n in (1, 2)]
    assert all(kept[end] is window for end, window in before.items())
    assert len(kept) == 3
    # WHEN one on record is another; THEN it is that one that counts
    end = BEGIN + timedelta(days=2)
    altered = world.store.windows.find(end)
    assert altered is not None
    document: Any = altered.document
    document["rows"] += 1
    world.store.ledger.client.put_item(TableName=TABLE, Item=altered.to_item())
    world.live(4)
    world.watch(4)
    assert world.using.windows[end].record.rows == before[end].record.rows + 1


def test_labels_that_come_weeks_late_are_not_unknown(world: World) -> None:
    world.crown("train-1")
    ids = world.lake.capture(draw(world.rng, 10), BEGIN)
    world.lake.label([*ids, "nobodys"], np.ones(11), world.scheduled(20) - timedelta(hours=1))
    world.watch(20)
    assert (world.document(20)["labels_arrived"], world.document(20)["labels_unmatched"]) == (11, 1)
    # AND the weeks are read only where labels are left over
    assert world.queries == 3
    world.live(21)
    world.watch(21)
    assert world.document(21)["labels_unmatched"] == 0
    assert world.queries == 5


@pytest.mark.slow
def test_a_label_beyond_all_sums_costs_its_row_and_not_the_window(world: World) -> None:
    declaration = declare({**regression_document(), "model": "late_train"})
    rows = draw(world.rng, 20, classification=False)
    rows.labels[3] = 1e200
    lake = WatchedLake(declaration)
    lake.live(rows, BEGIN)
    world.of_values(declaration, lake)
    world.watch(0)
    document = world.document(0)
    assert (document["labelled_rows"], document["left_out_rows"]) == (20, 1)
    assert "1 row has a label or an answer beyond 1e+60" in document["left_out_reason"]
    assert document["profile"]["outcomes"]["rows"] == 19


@pytest.mark.slow
def test_how_intervals_did_is_counted_by_a_query_more_and_sent_with_the_calibration(world: World) -> None:
    declaration = declare({**regression_document(), "model": "late_train"})
    world.of_values(declaration, WatchedLake(declaration), Interval(0.8, 1.0, 1.0))
    for day in range(3):
        rows = draw(world.rng, 100, classification=False)
        rows.labels[:] = rows.scores + world.rng.normal(0, 3, 100)
        noon = BEGIN + timedelta(days=day, hours=12)
        ids = world.lake.capture(rows, noon, bounds=(rows.scores - 1.0, rows.scores + 1.0))
        world.lake.label(ids, rows.labels, noon + timedelta(hours=22))
        world.queries = 0
        world.watch(day)
        assert world.queries == 3
    spread = world.document(2)["recalibration"]["spread"]
    assert spread["interval"] == {"coverage": 0.8, "below": 1.0, "above": 1.0}
    assert (spread["served"]["rows"], spread["served"]["windows"]) == (300, 3)
    assert spread["served"]["coverage"] < 0.4
    sent = world.bus.details("Calibration Learned")[-1]
    assert sent["interval"]["factors"] == spread["factors"]
    assert Calibration.from_text(sent["calibration"]).spread == tuple(spread["factors"])
    assert min(spread["factors"]) > 1.2


def test_a_contract_that_is_not_the_registered_one_is_refused(world: World) -> None:
    declaration = declare({**regression_document(), "model": "late_train"})
    world.of_values(declaration, WatchedLake(declaration), Interval(0.8, 1.0, 1.0))
    (key,) = (key for key in world.s3.objects if key.endswith("contract.json"))
    world.s3.objects[key] = world.s3.objects[key].replace(b"0.8", b"0.9")
    with pytest.raises(ReferenceUnusableError, match=r"contract\.json has the hash"):
        world.watch(0)


class TestAfterTheDeclarationChanged:
    """GIVEN a champion that was watched for six days before its declaration changed, and serves on."""

    def changed(self, world: World, features: list[dict[str, Any]], *statements: str) -> None:
        for day in range(6):
            world.live(day)
            world.watch(day)
        document = DECLARATION.model_dump(mode="json")
        document["data"]["features"] = features
        for statement in statements:
            world.lake.connection.execute(f'ALTER TABLE "late_train_predictions" {statement}')
        world.using = replace(world.using, declaration=declare(document))

    @pytest.mark.slow
    def test_what_both_have_is_watched_on_and_the_rest_is_told(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.crown("train-1")
        kept = [
            {"name": "distance", "type": "number"},
            {"name": "operator", "type": "number"},
            {"name": "line", "type": "category"},
            {"name": "seats", "type": "number", "missing": "allow"},
        ]
        self.changed(world, kept, 'DROP "wind"', 'ADD "seats" DOUBLE', 'DROP "operator"', 'ADD "operator" DOUBLE')
        # WHEN the next window is watched
        rows = draw(world.rng, 150)
        moment = BEGIN + timedelta(days=6, hours=12)
        records = []
        for i in range(150):
            score = float(rows.scores[i])
            answered = [f"n{i}", "r", 1, moment.replace(tzinfo=None), f"n{i}", 1.0, score, 1.0, score, None]
            between, each, fallback, share = [None, None], None, None, None
            features = [float(rows.features["distance"][i]), rows.features["line"][i]]
            records.append([*answered, *between, each, fallback, share, *features, moment.date().isoformat(), 5.0, 1.0])
        world.lake._insert("predictions", records)
        answer = world.watch(6)
        # THEN it is judged together with the windows before the change
        document = world.document(6)
        assert (document["rows"], document["drift_evaluated"]) == (150, True)
        assert {name: found["days"] for name, found in document["drift"].items()} == {
            "distance": 7,
            "line": 7,
            "prediction": 7,
        }
        # AND every other feature is told, with the reason
        assert answer["not_watched"] == {
            "wind": "no longer declared",
            "operator": "declared as a number now, and the champion knows it as a category",
            "seats": "declared after the champion was trained",
        }
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["FeaturesNotWatched"] == 3

    @pytest.mark.slow
    def test_a_feature_declared_again_is_watched_again(self, world: World) -> None:
        world.crown("train-1")
        features = [f.model_dump(mode="json") for f in DECLARATION.data.features]
        self.changed(world, [f for f in features if f["name"] != "wind"])
        world.live(6)
        world.watch(6)
        assert world.document(6)["not_watched"] == {"wind": "no longer declared"}
        world.using = replace(world.using, declaration=DECLARATION)
        world.live(7)
        world.watch(7)
        document = world.document(7)
        # The windows before can not be added to this one: one of them does not know the wind.
        assert (document["not_watched"], document["drift"]["wind"]["days"]) == ({}, 1)

    @pytest.mark.slow
    def test_with_no_feature_in_common_the_scores_are_watched(self, world: World) -> None:
        world.crown("train-1")
        self.changed(world, [{"name": "seats", "type": "number", "missing": "allow"}], 'ADD "seats" DOUBLE')
        world.lake.connection.execute('ALTER TABLE "late_train_predictions" DROP "seats"')
        world.live(6)
        world.watch(6)
        document = world.document(6)
        assert set(document["drift"]) == {"prediction"}
        assert document["rows"] == 150


PROBED = declare(
    binary_document(
        retraining={
            "investment": {"every_days": 7, "cost_share": 0.1},
            "cooldown_days": 7,
            "quota": {"runs": 3, "days": 100},
        },
        monitoring={"minimum_rows": 50},
    )
)
"""Without other triggers, but with probes."""


class TestAnInvestment:
    """GIVEN a model whose retraining is an investment."""

    @pytest.fixture(autouse=True)
    def _declared(self, world: World) -> None:
        world.using = replace(world.using, declaration=PROBED)
        world.crown("train-1")

    def probe(self, world: World, window: int, **found: Any) -> None:
        document = probe_document(window, **found)
        end = document["window_end"]
        world.store.probes.put(Probe("late_train", end, "s3://lake/probes/", end, document))

    def weighed(self, world: World, day: int) -> dict[str, Any]:
        world.live(day)
        world.watch(day)
        return world.document(day)

    @pytest.mark.slow
    def test_a_probe_is_asked_for_when_a_window_is_labelled_and_until_there_is_one(self, world: World) -> None:
        answers = {}
        for day in range(0, 16):
            world.live(day)
            answers[day] = world.watch(day).get("probe")
            if day == 13:
                self.probe(world, 0)
        # Windows end on the 7th and the 14th. Of the first one no probe comes, and three tries are enough.
        assert [day for day, name in answers.items() if name] == [5, 6, 7, 12, 13]
        assert answers[12] != answers[13]
        asked = world.bus.details("Probe Due")
        assert [(d["window_start"], d["window_end"]) for d in asked[3:]] == [
            ("2013-03-07T00:00:00Z", "2013-03-14T00:00:00Z")
        ] * 2
        assert [d["as_of"] for d in asked] == [format_instant(world.scheduled(day)) for day in (5, 6, 7, 12, 13)]

    @pytest.mark.slow
    def test_asked_again_for_the_same_window_it_is_the_same_execution(self, world: World) -> None:
        world.live(12)
        first = world.watch(12)
        assert first == world.watch(12)
        assert first["probe"]

    def test_regret_that_pays_for_a_training_asks_for_it_and_says_so(self, world: World) -> None:
        for window in range(4):
            past = {age: 0.5 + age * 0.05 for age in range(1, window + 1)}
            self.probe(world, window, past=past, champion=0.5 + 0.05 * window)
        found = self.weighed(world, 35)
        assert (found["decision"], found["trigger"], found["urgency"]) == ("retrain", "investment", "normal")
        assert found["reasons"][0]["code"] == "investment_pays"
        assert found["investment"]["regret"]["total"] == pytest.approx(0.3)
        (request,) = world.bus.details("Retraining Requested")
        assert request["trigger"]["kind"] == "investment"
        assert "Since its training version 1 lost 0.3 log_loss of a window" in request["trigger"]["reason"]

    @pytest.mark.slow
    def test_a_version_that_served_before_is_asked_for_where_it_would_have_lost_less(self, world: World) -> None:
        """GIVEN version 2 serving, AND version 1, which knew the newest window better."""
        world.crown("train-2")
        for window in range(4):
            self.probe(world, window, past={1: 0.5} if window else {}, champion=0.5, version=2, versions={1: 0.4})
        found = self.weighed(world, 35)
        assert (found["decision"], found["trigger"], found["restore"]) == ("restore", "older_version", 1)
        (request,) = world.bus.details("Restore Requested")
        assert request["trigger"]["version"] == 1
        assert "Version 1 would have lost 0.1 log_loss of a window less than version 2" in request["trigger"]["reason"]
        assert world.bus.details("Retraining Requested") == []
        assert found["investment"]["newest_version"] == 2
        # Asked again it is the same execution.
        assert world.watch(35)["execution"] == world.watch(35)["execution"]

    @pytest.mark.slow
    @pytest.mark.parametrize(("days", "decision", "held_back_by"), [(6, "held_back", "cooldown"), (7, "restore", None)])
    def test_versions_do_not_take_turns(self, world: World, days: int, decision: str, held_back_by: str | None) -> None:
        """GIVEN a run that was to bring version 1 back some days ago, and was refused."""
        world.crown("train-2")
        for window in range(4):
            self.probe(world, window, past={1: 0.5} if window else {}, champion=0.5, version=2, versions={1: 0.4})
        asked: Any = {"kind": "manual", "reason": "a person asked", "version": 1}
        before = world.scheduled(35 - days)
        world.store.runs.open(
            "restore-1", kind="restore", trigger=asked, at=before, actor="test", quota_runs=1, quota_days=1
        )
        close_run(world.store, "restore-1", when=before, status="rejected")
        found = self.weighed(world, 35)
        assert (found["decision"], found["trigger"], found["held_back_by"]) == (decision, "older_version", held_back_by)
        assert bool(world.bus.details("Restore Requested")) == (decision == "restore")

    @pytest.mark.slow
    def test_a_window_that_is_watched_again_knows_no_later_probes(self, world: World) -> None:
        self.probe(world, 0, champion=0.5)
        self.probe(world, 1, champion=0.5)
        found = self.weighed(world, 15)["investment"]
        assert [p["window_end"] for p in found["probes"]] == ["2013-03-14T00:00:00Z"]
        assert found["probes"][0]["sha256"] == record_sha256(world.store.probes.latest(2)[1])

    def test_without_regret_the_champion_is_kept(self, world: World) -> None:
        for window in range(4):
            self.probe(world, window, past=dict.fromkeys(range(1, window + 1), 0.5), champion=0.5)
        found = self.weighed(world, 35)
        assert (found["decision"], found["trigger"]) == ("none", None)
        assert found["investment"]["reasons"][0]["code"] == "investment_waits"
        assert world.bus.details("Retraining Requested") == []
