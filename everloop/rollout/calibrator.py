"""Serves the champion with a calibration, or with an earlier one or none: by another function version of the same code.

The registry's pointer leads, as it does for rollouts. Whatever is cut off in between is healed by a repetition, by the
next calibration, or by the start of the next rollout: the alias ends where the registry says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from everloop.documents.calibration import CalibrationAnswer, LearnedCalibration
from everloop.recalibration.written import WrittenCalibration
from everloop.registry.calibration_records import CalibrationRecord
from everloop.registry.exceptions import CalibrationHeldError, ChampionChangedError
from everloop.registry.records import Champion
from everloop.registry.store import RegistryStore
from everloop.rollout.exceptions import NothingServesError
from everloop.rollout.holds import code_waits
from everloop.rollout.previous import beside, stood_by
from everloop.rollout.targets import Published, RolloutTarget, ServedArtifact

PUBLISHER = "monitor"
"""Who publishes a learned calibration, in the audit."""


@dataclass(frozen=True)
class Calibrator:
    """What a calibration is published with. ``stands_by``: the champion before answers where this one can't."""

    store: RegistryStore
    target: RolloutTarget
    stands_by: bool = False

    def calibrate(self, learned: LearnedCalibration, *, at: datetime) -> CalibrationAnswer:
        """Publish what a window taught, once. Where it may not be published now, the answer says why.

        Raises
        ------
        CalibrationFormatError
            When the event holds no calibration.
        """
        calibration = WrittenCalibration.from_text(learned.calibration)
        version, window_end = learned.version, learned.window_end
        before = self.target.current().primary
        if self.store.calibrations.find(version, window_end) is None:
            try:
                champion = self.store.calibrations.check_may_publish(version, window_end)
                published = self._publish(champion, calibration.to_text())
                self.store.calibrations.publish(
                    CalibrationRecord(
                        model=self.store.model,
                        version=version,
                        window_end=window_end,
                        learned_until=learned.learned_until,
                        calibration=calibration.to_text(),
                        calibration_sha256=calibration.sha256,
                        days=learned.days,
                        rows=learned.rows,
                        loss_raw=learned.loss_raw,
                        loss_recalibrated=learned.loss_recalibrated,
                        groups=learned.groups,
                        interval=learned.interval,
                        max_shift=calibration.max_shift,
                        lambda_version=published.lambda_version,
                        code_sha256=published.code_sha256,
                        at=at,
                        actor=PUBLISHER,
                    ),
                    at=at,
                    actor=PUBLISHER,
                )
            except (CalibrationHeldError, ChampionChangedError) as error:
                return self._answer(str(error))
        self._settle()
        self._prune(before)
        return self._answer(None)

    def revert(self, *, to: datetime | None, reason: str, at: datetime, actor: str) -> CalibrationAnswer:
        """Serve the champion with the calibration that the window published which ended at ``to``, or with none.

        Calibrations are frozen from then on.

        Raises
        ------
        NothingServesError
            When there is no champion.
        CalibrationHeldError
            While a rollout is open, or where that could only be served by code that waits for its rollout.
        UnknownCalibrationError
            When no window that ended then published one.
        """
        champion = self._champion()
        before = self.target.current().primary
        record = None if to is None else self.store.calibrations.get(champion.version, to)
        published = self._published_before(champion, record) or self._publish(
            champion, record.calibration if record else ""
        )
        self.store.calibrations.revert(
            champion.version,
            to=to,
            lambda_version=published.lambda_version,
            code_sha256=published.code_sha256,
            reason=reason,
            at=at,
            actor=actor,
        )
        self._settle()
        self._prune(before)
        return self._answer(None)

    def freeze(self, *, reason: str, at: datetime, actor: str) -> CalibrationAnswer:
        """Freeze calibrations: what is in force stays."""
        self.store.calibrations.freeze(reason=reason, at=at, actor=actor)
        return self._answer(None)

    def resume(self, *, reason: str, at: datetime, actor: str) -> CalibrationAnswer:
        """Let them go on."""
        self.store.calibrations.resume(reason=reason, at=at, actor=actor)
        return self._answer(None)

    def _champion(self) -> Champion:
        champion = self.store.versions.champion()
        if champion is None:
            raise NothingServesError(f"model {self.store.model} has no champion, so there is nothing to calibrate")
        return champion

    def _publish(self, champion: Champion, text: str) -> Published:
        """A function version that serves the champion so, with the code it is served by now.

        Raises
        ------
        CalibrationHeldError
            When the function has other code by now: that comes to serve by a rollout, with its guardrail.
        """
        published = self.target.publish_like(self._artifact(champion, text), champion.lambda_version)
        if published is None:
            raise CalibrationHeldError(f"model {champion.model}: {code_waits(champion.model)}")
        return published

    def _published_before(self, champion: Champion, record: CalibrationRecord | None) -> Published | None:
        """The function version that served it so before, where it is still there."""
        if record is not None:
            number, code = record.lambda_version, record.code_sha256
        else:
            rollout = self.store.rollouts.find(champion.rollout_id)
            if rollout is None:
                return None
            number, code = rollout.lambda_version, rollout.code_sha256
        artifact = self._artifact(champion, record.calibration if record else "")
        kept = code == champion.code_sha256 and self.target.holds(number, artifact)
        return Published(number, code) if kept else None

    def _artifact(self, champion: Champion, text: str) -> ServedArtifact:
        version = self.store.versions.get(champion.version)
        before = beside(stood_by(self.store, version.version), text) if self.stands_by else None
        return ServedArtifact.of(version, text, before)

    def _settle(self) -> None:
        """Send every request to where the registry's pointer is, unless a rollout shares them out by now."""
        champion = self._champion()
        self.target.settle(champion.lambda_version, only_if=lambda: self._stands(champion))

    def _stands(self, champion: Champion) -> bool:
        return self.store.versions.champion() == champion and not self._rollout_is_open()

    def _rollout_is_open(self) -> bool:
        return any(rollout.is_open for rollout in self.store.rollouts.all())

    def _prune(self, before: str) -> None:
        """Delete function versions that nobody needs: kept is what serves, served before, or may be gone back to."""
        if self._rollout_is_open():
            return
        champion = self._champion()
        rollout = self.store.rollouts.find(champion.rollout_id)
        newest = self.store.calibrations.of(champion.version, limit=2)
        going_back = {rollout.lambda_version} if rollout else set()
        self.target.prune({champion.lambda_version, before, *going_back, *(record.lambda_version for record in newest)})

    def _answer(self, held_back: str | None) -> CalibrationAnswer:
        champion = self.store.versions.champion()
        in_force = self.store.calibrations.in_force(champion)
        return {
            "published": held_back is None,
            "version": champion.version if champion else None,
            "calibration": in_force.name if in_force else None,
            "lambda_version": champion.lambda_version if champion else None,
            "reason": held_back,
        }
