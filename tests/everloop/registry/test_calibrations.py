"""A calibration moves the champion pointer, and only when nothing else does; a person takes it back and holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from everloop.registry import keys
from everloop.registry.exceptions import (
    CalibrationHeldError,
    ChampionChangedError,
    CommandRefusedError,
    OperationMismatchError,
    ReasonMissingError,
    ServedOtherwiseError,
    UnknownCalibrationError,
)
from everloop.registry.store import RegistryStore
from everloop.registry.trace import status, trace, verify_audit
from tests.fakes.registry_table import TABLE, UnreliableClient, alter
from tests.helpers.present import present
from tests.helpers.registry_scenes import (
    at,
    calibrate,
    calibration_record,
    close_run,
    crown,
    open_run,
    register,
    start_rollout,
)

PERSON = {"reason": "answers look wrong", "actor": "a person"}


@pytest.fixture
def serving(store: RegistryStore) -> RegistryStore:
    crown(store, "train-1")
    return store


class TestPublishing:
    @pytest.mark.slow
    def test_moves_the_pointer_and_is_audited(self, serving: RegistryStore) -> None:
        before = present(serving.versions.champion())
        record = calibrate(serving, at(100))
        champion = present(serving.versions.champion())
        # THEN the same version serves, by another function version and with the calibration
        moved: dict[str, Any] = {
            "lambda_version": record.lambda_version,
            "calibrated_by": at(100),
            "calibration_sha256": record.calibration_sha256,
        }
        assert champion == replace(before, **moved)
        assert serving.calibrations.in_force(champion) == record
        assert serving.calibrations.of(1) == [record]
        # AND whoever asks is told
        assert status(serving).calibration == record
        found = trace(serving, 1)
        assert (found.calibration, found.calibrations) == (record, [record])
        last = found.history[-1]
        assert (last.action, last.actor) == ("calibrated", "test")
        assert last.details["calibration_sha256"] == record.calibration_sha256
        assert (last.details["loss_raw"], last.details["loss_recalibrated"]) == (0.5, 0.4)
        assert verify_audit(serving).problems == []

    def test_the_newest_are_read_alone(self, serving: RegistryStore) -> None:
        records = [calibrate(serving, at(100 + hour), level=-0.1 * hour) for hour in (1, 2, 3)]
        assert serving.calibrations.of(1) == records[::-1]
        assert serving.calibrations.of(1, limit=2) == [records[2], records[1]]
        # AND what the audit has since a record, without what stands before it
        chain = list(serving.ledger.audit_records())
        assert list(serving.ledger.audit_records(after=chain[-2].sequence)) == chain[-1:]
        assert list(serving.ledger.audit_records(after=chain[-1].sequence)) == []

    def test_happens_once(self, serving: RegistryStore) -> None:
        record = calibrate(serving, at(100))
        assert calibrate(serving, at(100)) == record
        assert len([r for r in serving.ledger.audit_records() if r.action == "calibrated"]) == 1
        with pytest.raises(OperationMismatchError):
            calibrate(serving, at(100), level=0.7)

    def test_goes_on_with_newer_windows_only(self, serving: RegistryStore) -> None:
        calibrate(serving, at(100))
        second = calibrate(serving, at(200), level=-0.6)
        with pytest.raises(CalibrationHeldError, match="is too late"):
            calibrate(serving, at(150), level=0.1)
        assert serving.calibrations.in_force(serving.versions.champion()) == second
        assert [c.window_end for c in serving.calibrations.of(1)] == [at(200), at(100)]

    @pytest.mark.parametrize("version", [2, 7])
    def test_is_of_the_champion(self, serving: RegistryStore, version: int) -> None:
        with pytest.raises(ChampionChangedError, match=f"not version {version}"):
            calibrate(serving, at(100), version=version)

    def test_without_a_champion(self, store: RegistryStore) -> None:
        with pytest.raises(ChampionChangedError, match="the champion is none"):
            calibrate(store, at(100))

    @pytest.mark.slow
    @pytest.mark.parametrize("baking", [False, True])
    def test_waits_for_a_rollout_to_end(self, serving: RegistryStore, baking: bool) -> None:
        open_run(serving, "train-2", when=at(60))
        version = register(serving, "train-2").version
        start_rollout(serving, "train-2", version)
        if baking:
            serving.rollouts.promote("train-2", at=at(70), actor="test")
        with pytest.raises(CalibrationHeldError, match="rollout train-2 is"):
            calibrate(serving, at(100), version=version if baking else 1)
        if not baking:
            serving.rollouts.roll_back("train-2", reasons=[], at=at(80), actor="test")
            assert calibrate(serving, at(100)).version == 1

    def test_brings_no_new_code(self, serving: RegistryStore) -> None:
        with pytest.raises(CommandRefusedError, match="everloop rollout start flights"):
            calibrate(serving, at(100), code="fc2")

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"calibration": "{}"}, "not a calibration"),
            ({"calibration_sha256": "0" * 64}, "not the hash"),
            ({"max_shift": 9.0}, "max_shift is 9.0"),
        ],
    )
    def test_says_what_its_text_says(self, serving: RegistryStore, changed: dict[str, Any], said: str) -> None:
        record = replace(calibration_record(serving, at(100)), **changed)
        with pytest.raises(CommandRefusedError, match=said):
            serving.calibrations.publish(record, at=at(100), actor="test")
        assert present(serving.versions.champion()).calibrated_by is None


class TestTakingBack:
    def test_to_none_holds_calibrations_still(self, serving: RegistryStore) -> None:
        first = serving.versions.champion()
        calibrate(serving, at(100))
        serving.calibrations.revert(1, to=None, lambda_version="10", code_sha256="fc1", at=at(110), **PERSON)
        assert serving.versions.champion() == first
        # THEN nothing is published until a person says so
        with pytest.raises(CalibrationHeldError, match="a person froze calibrations"):
            calibrate(serving, at(200))
        assert present(status(serving).calibration_freeze).reason == PERSON["reason"]
        serving.calibrations.resume(reason="found out why", at=at(210), actor="a person")
        assert status(serving).calibration_freeze is None
        calibrate(serving, at(300))
        assert verify_audit(serving).problems == []

    def test_to_an_earlier_one(self, serving: RegistryStore) -> None:
        first = calibrate(serving, at(100))
        calibrate(serving, at(200), level=-0.9)
        serving.calibrations.revert(
            1, to=at(100), lambda_version=first.lambda_version, code_sha256="fc1", at=at(210), **PERSON
        )
        assert serving.calibrations.in_force(serving.versions.champion()) == first
        last = trace(serving, 1).history[-1]
        assert (last.action, last.reason) == ("calibration_reverted", PERSON["reason"])
        assert verify_audit(serving).problems == []

    def test_to_one_that_is_not_there(self, serving: RegistryStore) -> None:
        with pytest.raises(UnknownCalibrationError, match="everloop calibration show flights"):
            serving.calibrations.revert(1, to=at(5), lambda_version="9", code_sha256="fc1", at=at(6), **PERSON)

    def test_may_be_done_while_they_are_held_still_already(self, serving: RegistryStore) -> None:
        calibrate(serving, at(100))
        serving.calibrations.freeze(at=at(105), **PERSON)
        serving.calibrations.revert(1, to=None, lambda_version="10", code_sha256="fc1", at=at(110), **PERSON)
        assert present(serving.versions.champion()).calibrated_by is None
        assert present(serving.calibrations.freeze_in_force()).since == at(105)
        assert verify_audit(serving).problems == []

    def test_needs_a_reason(self, serving: RegistryStore) -> None:
        for act in (serving.calibrations.freeze, serving.calibrations.resume):
            with pytest.raises(ReasonMissingError):
                act(reason=" ", at=at(100), actor="a person")

    def test_twice(self, serving: RegistryStore) -> None:
        serving.calibrations.freeze(at=at(100), **PERSON)
        with pytest.raises(CalibrationHeldError, match="already"):
            serving.calibrations.freeze(at=at(101), **PERSON)
        serving.calibrations.resume(at=at(102), **PERSON)
        with pytest.raises(CalibrationHeldError, match="are not frozen"):
            serving.calibrations.resume(at=at(103), **PERSON)


class TestRollouts:
    def test_a_promoted_version_begins_with_none_and_rolled_back_the_earlier_one_returns(
        self, serving: RegistryStore
    ) -> None:
        record = calibrate(serving, at(15))
        before = present(serving.versions.champion())
        open_run(serving, "train-2", when=at(60))
        start_rollout(serving, "train-2", register(serving, "train-2").version)
        serving.rollouts.promote("train-2", at=at(70), actor="test")
        assert present(serving.versions.champion()).calibrated_by is None
        serving.rollouts.roll_back("train-2", reasons=[], at=at(80), actor="test")
        back = serving.versions.champion()
        assert back == replace(before, since=at(80), rollout_id="train-2")
        assert serving.calibrations.in_force(back) == record
        assert verify_audit(serving).problems == []

    def test_new_code_keeps_it(self, serving: RegistryStore) -> None:
        record = calibrate(serving, at(15))
        open_run(serving, "code-2", when=at(60), kind="rollout")
        start_rollout(serving, "code-2", 1, kind="code", code="fc2")
        serving.rollouts.promote("code-2", at=at(70), actor="test")
        assert serving.calibrations.in_force(serving.versions.champion()) == record
        assert verify_audit(serving).problems == []
        serving.rollouts.roll_back("code-2", reasons=[], at=at(80), actor="test")
        assert present(serving.versions.champion()).lambda_version == record.lambda_version
        assert verify_audit(serving).problems == []

    def test_published_again_it_keeps_it(self, serving: RegistryStore) -> None:
        record = calibrate(serving, at(15))
        open_run(serving, "train-2", when=at(60))
        serving.rollouts.republish("train-2", 1, lambda_version="77", code_sha256="fc9", at=at(61), actor="test")
        close_run(serving, "train-2")
        assert serving.calibrations.in_force(serving.versions.champion()) == record
        assert verify_audit(serving).problems == []

    def test_one_that_set_out_before_a_calibration_sets_out_again(
        self, serving: RegistryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # GIVEN a rollout that read what serves, and a calibration that came right after
        open_run(serving, "train-2", when=at(60))
        version = register(serving, "train-2").version
        before = present(serving.versions.champion())
        calibrate(serving, at(15))
        with monkeypatch.context() as patch:
            start = serving.rollouts.start
            stale = {"previous_lambda_version": before.lambda_version}
            patch.setattr(serving.rollouts, "start", lambda rollout, **given: start(replace(rollout, **stale), **given))
            with pytest.raises(ServedOtherwiseError, match="start the rollout again"):
                start_rollout(serving, "train-2", version)
        assert start_rollout(serving, "train-2", version).previous_calibrated_by == at(15)


ALTERATIONS: list[tuple[Callable[[], str], str, dict[str, Any] | None, str]] = [
    (lambda: keys.calibration(1, at(100)), "calibration", {"S": "{}"}, "a text with another hash"),
    (lambda: keys.calibration(1, at(100)), "calibration_sha256", {"S": "0" * 64}, "calibration_sha256 is 0000"),
    (lambda: keys.calibration(1, at(100)), "rows", {"N": "9"}, "rows is 9"),
    (lambda: keys.calibration(1, at(100)), "rows", {"S": "9"}, "'rows' is str"),
    (lambda: keys.CHAMPION, "calibrated_by", None, "the champion pointer: calibrated_by is None"),
    (lambda: keys.CHAMPION, "calibration_sha256", {"S": "0" * 64}, "the champion pointer: calibration_sha256 is 0000"),
    (lambda: keys.CALIBRATION_FREEZE, "reason", {"S": "none"}, "the freeze of calibrations: reason is none"),
]


@pytest.mark.parametrize(("sort_key", "name", "value", "said"), ALTERATIONS)
def test_what_is_altered_is_found(
    client: UnreliableClient,
    direct: RegistryStore,
    sort_key: Callable[[], str],
    name: str,
    value: dict[str, Any] | None,
    said: str,
) -> None:
    crown(direct, "train-1")
    calibrate(direct, at(100))
    direct.calibrations.freeze(at=at(110), **PERSON)
    assert verify_audit(direct).sound
    alter(client, sort_key(), name, value)
    assert any(said in problem for problem in verify_audit(direct).problems)


def test_a_calibration_that_nobody_published_is_found(client: UnreliableClient, direct: RegistryStore) -> None:
    crown(direct, "train-1")
    client.put_item(TableName=TABLE, Item=calibration_record(direct, at(100)).to_item())
    assert any("not in the audit chain" in problem for problem in verify_audit(direct).problems)
