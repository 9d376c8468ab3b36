"""The rollout function publishes what the monitor learned, and takes it back, against a real registry and an alias."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from everloop.functions.rollout.handler import act as handle
from everloop.instants import format_instant
from everloop.model_file.worst_case import longest_rollout_minutes
from everloop.names import CALIBRATION_LEARNED, CHAMPION_CALIBRATED
from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.written import LONGEST_GROUPED_TEXT
from everloop.registry.exceptions import CalibrationHeldError, UnknownCalibrationError
from everloop.registry.trace import verify_audit
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.exceptions import NothingServesError
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.previous import beside
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.serving.standby import STANDBY_VARIABLE, Standby
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import UnreliableClient, dynamodb
from tests.functions.rollout.test_handler import DECLARED, World, new_world
from tests.helpers.present import present
from tests.helpers.registry_scenes import BEGIN, open_run

PERSON = {"reason": "answers look wrong", "actor": "arn:person"}


def act(event: Any, using: Conductor) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


def text(level: float) -> str:
    return Calibration("log_odds", (Part(1.0, level, 0.9),), 3.0).to_text()


class CalibratedWorld(World):
    """And the monitor's events, and a person's hands."""

    def learn(self, level: float, *, version: int = 1, window_end: str | None = None) -> dict[str, Any]:
        self.minutes += 60
        detail = {
            "model": "flights",
            "version": version,
            "window_end": window_end or format_instant(self.now),
            "learned_until": format_instant(self.now),
            "calibration": text(level),
            "days": 3,
            "rows": 300,
            "loss_raw": 0.5,
            "loss_recalibrated": 0.4,
        }
        self.last: dict[str, Any] = {
            "detail-type": CALIBRATION_LEARNED,
            "detail": detail,
            "time": format_instant(self.now),
        }
        return self.deliver()

    def deliver(self) -> dict[str, Any]:
        return act(self.last, self.conductor)

    @property
    def serving(self) -> tuple[str, str]:
        """Version and calibration that every request gets."""
        (only,) = self.function.serving()
        variables = self.function.variables(only)
        assert only == present(self.store.versions.champion()).lambda_version
        return variables["EVERLOOP_VERSION"], variables["EVERLOOP_CALIBRATION"]


@pytest.fixture
def world() -> Iterator[CalibratedWorld]:
    with new_world(CalibratedWorld) as world:
        world.crown("train-1")
        yield world
        assert verify_audit(world.store).problems == []


class TestWhatWasLearned:
    def test_comes_to_serve(self, world: CalibratedWorld) -> None:
        assert world.serving == ("1", "")
        answer = world.learn(-0.5)
        assert (answer["published"], answer["reason"]) == (True, None)
        assert world.serving == ("1", text(-0.5))
        assert answer["lambda_version"] == present(world.store.versions.champion()).lambda_version
        # AND the world hears of it
        (detail,) = world.events.details(CHAMPION_CALIBRATED)
        assert (detail["version"], detail["manifest"]["calibration"]["text"]) == (1, text(-0.5))
        # AND the next one after it
        world.learn(-0.7)
        assert world.serving == ("1", text(-0.7))

    def test_however_often_it_is_delivered(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        before = len(list(world.store.ledger.audit_records()))
        assert world.deliver()["published"]
        assert len(list(world.store.ledger.audit_records())) == before

    @pytest.mark.parametrize("call", ["publish_version", "update_function_configuration", "update_alias"])
    def test_after_a_crash_at_any_place(self, world: CalibratedWorld, call: str) -> None:
        world.function.crash_before = [call]
        with pytest.raises(ConnectionError):
            world.learn(-0.5)
        world.function.crash_before = []
        assert world.deliver()["published"]
        assert world.serving == ("1", text(-0.5))

    @pytest.mark.slow
    def test_cut_off_it_is_healed_by_the_next_rollout(self, world: CalibratedWorld) -> None:
        world.function.crash_before = ["update_alias"]
        with pytest.raises(ConnectionError):
            world.learn(-0.5)
        world.function.crash_before = []
        world.start("train-2", world.train("train-2"))
        assert world.serving == ("1", text(-0.5))

    @pytest.mark.slow
    def test_old_function_versions_go_but_those_one_goes_back_to(self, world: CalibratedWorld) -> None:
        first = present(world.store.versions.champion()).lambda_version
        for n in range(6):
            world.learn(-0.1 * (n + 1))
        there = {v["Version"] for v in world.function.versions.values()}
        served = [record.lambda_version for record in world.store.calibrations.of(1)]
        assert {first, *served[:2]} <= there
        assert not there & set(served[3:])

    def test_waits_while_a_rollout_is_open(self, world: CalibratedWorld) -> None:
        world.start("train-2", world.train("train-2"))
        world.shift()
        shares = world.function.serving()
        answer = world.learn(-0.5)
        assert not answer["published"]
        assert "rollout train-2 is canary" in answer["reason"]
        assert world.function.serving() == shares

    def test_of_another_version_is_too_late(self, world: CalibratedWorld) -> None:
        answer = world.learn(-0.5, version=2)
        assert not answer["published"]
        assert "the champion is version 1, not version 2" in answer["reason"]

    def test_brings_no_new_code(self, world: CalibratedWorld) -> None:
        world.function.deploy_code("code-2")
        answer = world.learn(-0.5)
        assert "everloop rollout start flights" in answer["reason"]
        assert world.serving == ("1", "")

    def test_by_group_it_is_on_record_with_how_groups_fare(self, world: CalibratedWorld) -> None:
        # GIVEN an event of a monitor that recalibrates by group
        world.learn(-0.5)
        shared = Calibration.from_text(text(-0.6))
        own = replace(shared, by=GroupBy("origin", values=("a", "b")), groups=((Part(1.0, 0.3, 1.0),), None))
        fairness = {"by": "origin", "days": 7, "groups": {}, "gaps": {}}
        groups: dict[str, Any] = {
            "by": "origin",
            "rows": {"a": 300, "b": 3},
            "waits_for": {"b": "3 labelled rows so far"},
        }
        groups |= {"fairness": fairness, "withheld": None}
        world.minutes += 60
        end = format_instant(world.now)
        world.last["detail"] |= {"calibration": own.to_text(), "groups": groups, "window_end": end}
        # WHEN it comes, twice
        assert world.deliver()["published"]
        assert world.deliver()["published"]
        # THEN it serves, and record and audit tell of the groups
        assert world.serving == ("1", own.to_text())
        record = world.store.calibrations.of(1)[0]
        assert (record.groups, record.read().by) == (groups, own.by)
        entry = [e for e in world.store.ledger.audit_records() if e.action == "calibrated"][-1]
        assert entry.details["groups"] == {"by": "origin", "served_apart": ["a"], "withheld": None}
        # AND a record of before there were groups has none
        assert world.store.calibrations.of(1)[1].groups is None

    def test_that_is_no_calibration_is_refused(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.last["detail"]["calibration"] = "{}"
        with pytest.raises(CalibrationFormatError):
            world.deliver()

    @pytest.mark.slow
    def test_late_it_takes_no_canary_away(self, world: CalibratedWorld) -> None:
        # GIVEN a calibration that was cut off before it moved the alias, and a rollout since
        world.function.crash_before = ["update_alias"]
        with pytest.raises(ConnectionError):
            world.learn(-0.5)
        late = world.last
        world.start("train-2", world.train("train-2"))
        world.shift()
        shares = world.function.serving()
        assert len(shares) == 2
        # WHEN it is delivered again
        act(late, world.conductor)
        assert world.function.serving() == shares


class TestTakingBack:
    def test_to_none(self, world: CalibratedWorld) -> None:
        first = world.store.versions.champion()
        world.learn(-0.5)
        answer = world.act("revert_calibration", to=None, **PERSON)
        assert (answer["calibration"], world.serving) == (None, ("1", ""))
        assert world.store.versions.champion() == first
        # THEN nothing more is published, until a person lets it
        assert "arn:person froze calibrations" in world.learn(-0.6)["reason"]
        world.act("resume_calibrations", **PERSON)
        assert world.learn(-0.7)["published"]

    @pytest.mark.slow
    def test_to_an_earlier_one(self, world: CalibratedWorld) -> None:
        for level in (-0.2, -0.4, -0.6, -0.8):
            world.learn(level)
        oldest = world.store.calibrations.of(1)[-1]
        world.act("revert_calibration", to=format_instant(oldest.window_end), **PERSON)
        assert world.serving == ("1", text(-0.2))

    def test_also_while_new_code_waits(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.function.deploy_code("code-2")
        world.act("revert_calibration", to=None, **PERSON)
        assert world.serving == ("1", "")

    def test_to_one_that_never_was(self, world: CalibratedWorld) -> None:
        with pytest.raises(UnknownCalibrationError):
            world.act("revert_calibration", to=format_instant(world.now), **PERSON)

    def test_held_still_what_serves_stays(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.act("freeze_calibrations", **PERSON)
        assert not world.learn(-0.6)["published"]
        assert world.serving == ("1", text(-0.5))
        with pytest.raises(CalibrationHeldError):
            world.act("freeze_calibrations", **PERSON)


class TestRollouts:
    def test_new_code_keeps_it(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.function.deploy_code("code-2")
        open_run(world.store, "code-1", when=world.now, kind="rollout")
        world.start("code-1", None, kind="rollout")
        variables = world.function.variables(world.rollout["lambda_version"])
        assert variables["EVERLOOP_CALIBRATION"] == text(-0.5)

    @pytest.mark.slow
    def test_a_new_version_begins_without_one_and_its_rollback_brings_it_back(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.start("train-2", world.train("train-2"))
        world.promote()
        assert world.serving == ("2", "")
        world.act("rollback", rollout=world.rollout, reasons=[{"code": "c", "sentence": "worse"}])
        assert world.serving == ("1", text(-0.5))

    def test_deployed_again_the_champion_keeps_it(self, world: CalibratedWorld) -> None:
        world.learn(-0.5)
        world.function.redeploy()
        assert "new code was deployed" in world.learn(-0.6)["reason"]
        world.start("train-2", world.train("train-2"))
        assert world.serving == ("1", text(-0.5))


def test_without_a_champion_there_is_nothing_to_take_back() -> None:
    with mock_aws():
        world = CalibratedWorld(
            client := UnreliableClient(dynamodb()),
            store := remote_registry(client, "flights"),
            FakeLambda(),
            FakeCloudWatch(),
            FakeEventBus(),
            Conductor(
                store=store,
                target=LambdaAliasTarget(FakeLambda(), function="predict", alias="live", pause=lambda _: None),
                metrics=CloudWatchMetrics(FakeCloudWatch(), function="p", alias="live", model="flights", slow_ms=8),
                announcer=Announcer(FakeEventBus(), "everloop"),
                declared=DECLARED,
                artifact_bucket="artifacts",
            ),
        )
        with pytest.raises(NothingServesError):
            world.act("revert_calibration", to=None, **PERSON)
        assert not world.learn(-0.5)["published"]


@pytest.mark.slow
def test_the_bake_compares_with_all_that_the_champion_answered_before(world: CalibratedWorld) -> None:
    """Also under the calibration before: callers that it refused as well are no fault of the candidate's."""
    first = present(world.store.versions.champion()).lambda_version
    world.minutes += 60
    at = BEGIN + timedelta(minutes=world.minutes - 30)
    world.cloudwatch.requests(100, at=at, version=first, refused=100, weighted=False)
    # GIVEN a calibration that was published right before the rollout
    world.learn(-0.5)
    world.start("train-2", world.train("train-2"))
    for _ in DECLARED.steps:
        world.shift()
        world.traffic(100)
        world.check()
    world.promote()
    world.traffic(100, refused=100, weighted=False)
    assert world.check("bake")["decision"] != "rollback"


def test_the_champion_before_stands_by(world: CalibratedWorld) -> None:
    # GIVEN a model that declares it, WHEN a version follows the first champion, which has a calibration
    world.conductor = replace(world.conductor, stands_by=True)
    world.learn(-0.9)
    version = world.train("train-2")
    world.start("train-2", version)
    # THEN the candidate knows that one, also for what it refuses while its rollout may last
    first = world.store.versions.get(1)
    told = world.function.variables(world.rollout["lambda_version"])[STANDBY_VARIABLE]
    ends_by = world.now + timedelta(minutes=longest_rollout_minutes(DECLARED))
    assert Standby.from_text(told) == Standby(1, first.artifact_prefix, first.manifest_sha256, ends_by, text(-0.9))
    # WHEN it serves, and is calibrated
    world.promote()
    world.finish("train-2")
    world.learn(-0.5, version=version)
    # THEN what stands by stays, with the calibration it had, and takes what is refused no more
    (serving,) = world.function.serving()
    variables = world.function.variables(serving)
    assert variables["EVERLOOP_CALIBRATION"] == text(-0.5)
    left = Standby(1, first.artifact_prefix, first.manifest_sha256, calibration=text(-0.9))
    assert Standby.from_text(variables[STANDBY_VARIABLE]) == left
    # AND without it where the variables have no room for both
    assert beside(left, "c" * (LONGEST_GROUPED_TEXT - len(text(-0.9)))) == replace(left, calibration="")
