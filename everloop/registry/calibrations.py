"""Calibrations: what is served between a raw score and its caller, published, taken back and frozen.

Each moves the champion pointer to another function version of the same model version and the same code. While a rollout
is open nothing moves: what its guardrail compares would be another thing, and it could not go back to where it began.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from everloop.instants import instant_text
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.calibration_records import CalibrationFreeze, CalibrationRecord, served_apart
from everloop.registry.changes import Change, champion_is, free
from everloop.registry.exceptions import (
    CalibrationHeldError,
    ChampionChangedError,
    CommandRefusedError,
    ReasonMissingError,
    UnknownCalibrationError,
)
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import Champion, Rollout
from everloop.registry.versions import Versions


class Calibrations:
    """The calibrations of a model's versions."""

    def __init__(self, ledger: Ledger, versions: Versions) -> None:
        self._ledger = ledger
        self._versions = versions
        self.model = ledger.model

    def find(self, version: int, window_end: datetime) -> CalibrationRecord | None:
        """The calibration of a version that this window published; None when there is none."""
        return self._ledger.read(CalibrationRecord, keys.calibration(version, window_end))

    def of(self, version: int, *, limit: int | None = None) -> list[CalibrationRecord]:
        """All calibrations published for a version, newest first, or as many of them as ``limit``."""
        prefix = keys.calibrations(version)
        return list(self._ledger.all(CalibrationRecord, prefix, newest_first=True, limit=limit))

    def in_force(self, champion: Champion | None) -> CalibrationRecord | None:
        """The calibration the champion is served with; None where it serves what the model says.

        Raises
        ------
        UnknownCalibrationError
            When the pointer names one that is not on record.
        """
        if champion is None or champion.calibrated_by is None:
            return None
        return self.get(champion.version, champion.calibrated_by)

    def freeze_in_force(self) -> CalibrationFreeze | None:
        """Who froze calibrations, and why; None when nobody does."""
        return self._ledger.holder(CalibrationFreeze, keys.CALIBRATION_FREEZE)

    def check_may_publish(self, version: int, window_end: datetime) -> Champion:
        """The champion, which may be calibrated by this window.

        Raises
        ------
        ChampionChangedError
            When ``version`` is not the champion.
        CalibrationHeldError
            While a rollout is open, while a person froze calibrations, or when a newer one was published.
        """
        champion = self._expect(version)
        self._check_no_rollout()
        frozen = self.freeze_in_force()
        if frozen is not None:
            raise CalibrationHeldError(
                f"model {self.model}: {frozen.actor} froze calibrations at {instant_text(frozen.since)}"
                f" ({frozen.reason}); `everloop calibration resume {self.model}` resumes them"
            )
        newest = next(iter(self.of(version, limit=1)), None)
        if newest is not None and newest.window_end >= window_end:
            raise CalibrationHeldError(
                f"model {self.model}: the window that ended at {instant_text(newest.window_end)} already published"
                f" a calibration of version {version}, so the one of {instant_text(window_end)} is too late"
            )
        return champion

    def publish(self, record: CalibrationRecord, *, at: datetime, actor: str) -> CalibrationRecord:
        """Serve the champion with a calibration, once for each window.

        Raises
        ------
        ChampionChangedError, CalibrationHeldError
            As :meth:`check_may_publish`.
        CommandRefusedError
            When the record does not say what its calibration is, or its function version has other code.
        """
        _check_text(record)
        record = replace(record, at=at, actor=actor)

        def plan() -> Plan:
            champion = self.check_may_publish(record.version, record.window_end)
            _check_code(champion, record.code_sha256)
            served = replace(
                champion,
                lambda_version=record.lambda_version,
                calibrated_by=record.window_end,
                calibration_sha256=record.calibration_sha256,
            )
            facts: dict[str, object] = {
                "window_end": record.window_end,
                "learned_until": record.learned_until,
                "days": record.days,
                "rows": record.rows,
                "loss_raw": record.loss_raw,
                "loss_recalibrated": record.loss_recalibrated,
            }
            if record.groups is not None:
                facts |= {"groups": served_apart(record)}
            if record.interval is not None:
                facts |= {"interval": record.interval}
            entry = Entry(at, "calibrated", actor, record.version, None, None, _moved(champion, served) | facts)
            writes = (
                changes.create(
                    record,
                    f"the window that ended at {instant_text(record.window_end)} has published no calibration yet",
                ),
                changes.replace(served, champion_is(champion)),
                self._unfrozen(),
            )
            return Plan(writes, (entry,))

        operation = f"calibrate:{record.version}:{instant_text(record.window_end)}"
        self._ledger.commit(operation, f"calibrate version {record.version} by {record.name}", plan)
        return self.get(record.version, record.window_end)

    def revert(
        self,
        version: int,
        *,
        to: datetime | None,
        lambda_version: str,
        code_sha256: str,
        reason: str,
        at: datetime,
        actor: str,
    ) -> None:
        """Serve the champion with an earlier calibration or none, and freeze calibrations from then on.

        Parameters
        ----------
        to : datetime or None
            The end of the window that published it; None for none.
        lambda_version, code_sha256 : str
            The function version that serves it so, and the hash of its code.

        Raises
        ------
        ChampionChangedError
            When ``version`` is not the champion.
        CalibrationHeldError
            While a rollout is open.
        UnknownCalibrationError
            When no window that ended then published one.
        CommandRefusedError
            When the function version has other code.
        ReasonMissingError
        """
        _check_reason(reason)

        def plan() -> Plan:
            champion = self._expect(version)
            self._check_no_rollout()
            _check_code(champion, code_sha256)
            record = None if to is None else self.get(version, to)
            served = replace(
                champion,
                lambda_version=lambda_version,
                calibrated_by=record.window_end if record else None,
                calibration_sha256=record.calibration_sha256 if record else None,
            )
            entry = Entry(at, "calibration_reverted", actor, version, None, reason, _moved(champion, served))
            writes = [changes.replace(served, champion_is(champion))]
            if self.freeze_in_force() is None:
                freeze = CalibrationFreeze(self.model, at, actor, reason)
                writes.append(changes.occupy(freeze, "calibrations are not frozen"))
            return Plan(tuple(writes), (entry,))

        told = None if to is None else instant_text(to)
        self._ledger.commit(
            f"revert_calibration:{version}:{told}:{instant_text(at)}", f"take the calibration of {version} back", plan
        )

    def freeze(self, *, reason: str, at: datetime, actor: str) -> CalibrationFreeze:
        """Freeze calibrations: what is in force stays, and none is published until a person resumes them."""
        _check_reason(reason)

        def plan() -> Plan:
            if self.freeze_in_force() is not None:
                raise CalibrationHeldError(f"model {self.model}: calibrations are already frozen")
            freeze = CalibrationFreeze(self.model, at, actor, reason)
            entry = Entry(at, "calibration_frozen", actor, None, None, reason)
            return Plan((changes.occupy(freeze, "calibrations are not frozen"),), (entry,))

        self._ledger.commit(f"freeze_calibration:{instant_text(at)}", "hold calibrations still", plan)
        return CalibrationFreeze(self.model, at, actor, reason)

    def resume(self, *, reason: str, at: datetime, actor: str) -> None:
        """Resume calibrations."""
        _check_reason(reason)

        def plan() -> Plan:
            frozen = self.freeze_in_force()
            if frozen is None:
                raise CalibrationHeldError(f"model {self.model}: calibrations are not frozen")
            since = instant_text(frozen.since)
            entry = Entry(at, "calibration_resumed", actor, None, None, reason, {"frozen_since": since})
            same = changes.holds(f"{frozen.actor} froze calibrations", since=since, actor=frozen.actor)
            return Plan((changes.vacate(frozen.key, same),), (entry,))

        self._ledger.commit(f"resume_calibration:{instant_text(at)}", "let calibrations go on", plan)

    def get(self, version: int, window_end: datetime) -> CalibrationRecord:
        """As :meth:`find`.

        Raises
        ------
        UnknownCalibrationError
            When there is none.
        """
        found = self.find(version, window_end)
        if found is None:
            raise UnknownCalibrationError(
                f"model {self.model}: no window that ended at {instant_text(window_end)} published a calibration of"
                f" version {version}; `everloop calibration show {self.model}` lists them"
            )
        return found

    def _expect(self, version: int) -> Champion:
        champion = self._versions.champion()
        if champion is None or champion.version != version:
            actual = "none" if champion is None else f"version {champion.version}"
            raise ChampionChangedError(
                f"model {self.model}: the champion is {actual}, not version {version}; a calibration belongs to the"
                " version it was learned for"
            )
        return champion

    def _check_no_rollout(self) -> None:
        for rollout in self._ledger.all(Rollout, keys.ROLLOUTS):
            if rollout.is_open:
                raise CalibrationHeldError(
                    f"model {self.model}: rollout {rollout.rollout_id} is {rollout.status}, and nothing else may"
                    " change what serves until it has ended"
                )

    def _unfrozen(self) -> Change:
        place = keys.partition(self.model), keys.CALIBRATION_FREEZE
        return changes.require(place, free("calibrations are not frozen"))


def _check_text(record: CalibrationRecord) -> None:
    try:
        calibration = record.read()
    except CalibrationFormatError as error:
        raise CommandRefusedError(f"calibration is not a calibration: {error}") from error
    if calibration.sha256 != record.calibration_sha256:
        raise CommandRefusedError(f"calibration_sha256 is not the hash of calibration, which is {calibration.sha256}")
    if calibration.max_shift != record.max_shift:
        raise CommandRefusedError(f"max_shift is {record.max_shift}, but the calibration has {calibration.max_shift}")


def _check_code(champion: Champion, code_sha256: str) -> None:
    if champion.code_sha256 != code_sha256:
        raise CommandRefusedError(
            f"the function version has the code {code_sha256}, and the champion is served by"
            f" {champion.code_sha256}: a calibration can't bring new code; roll the code out first: `everloop"
            f" rollout start {champion.model}`"
        )


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissingError("changing a calibration by hand needs a reason: add --reason")


def _moved(before: Champion, after: Champion) -> dict[str, object]:
    return {
        "lambda_version": after.lambda_version,
        "previous_lambda_version": before.lambda_version,
        "calibrated_by": after.calibrated_by,
        "calibration_sha256": after.calibration_sha256,
        "previous_calibration_sha256": before.calibration_sha256,
    }
