"""What is served between raw scores and callers: what it does, and how a person takes it back or holds it still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.rollouts import ask_rollout_function, require_reason
from everloop.documents.recalibration import RecalibrationDocument
from everloop.instants import format_instant, instant_text
from everloop.recalibration.calibration import Calibration, calibration_name, identity
from everloop.recalibration.sums import ValueSums, read_sums
from everloop.registry.calibration_records import CalibrationFreeze, CalibrationRecord
from everloop.registry.records import Champion
from everloop.registry.store import RegistryStore
from everloop.typed_json import JsonObject

RAW = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The probabilities whose served scores are shown; of a regression, values around the mean of its last window."""


@dataclass(frozen=True)
class Calibrations:
    """What the registry says of a model's calibrations.

    Attributes
    ----------
    in_force : CalibrationRecord or None
        Of the champion; None where what the model says is served.
    history : list of CalibrationRecord
        All of the champion's, newest first.
    freeze : CalibrationFreeze or None
        Who holds them still.
    latest : RecalibrationDocument or None
        What the monitor's last window recorded of recalibration.
    """

    champion: Champion
    in_force: CalibrationRecord | None
    history: list[CalibrationRecord]
    freeze: CalibrationFreeze | None
    latest: RecalibrationDocument | None

    @property
    def calibration(self) -> Calibration:
        """What serves."""
        if self.in_force is not None:
            return Calibration.from_text(self.in_force.calibration)
        values = self.latest is not None and self.latest["sums"].get("kind") == "value"
        return identity("value" if values else "log_odds")

    def moves(self) -> list[tuple[float, float]]:
        """Raw and served scores, a few of them."""
        raw = np.array(RAW)
        if self.calibration.kind == "value":
            sums = read_sums(self.latest["sums"]) if self.latest else ValueSums.none(0.0)
            assert isinstance(sums, ValueSums)
            rows = sums.rows or 1
            mean = sums.score / rows
            spread = max(sums.score_squares / rows - mean * mean, 0.0) ** 0.5 or 1.0
            raw = sums.center + mean + spread * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        return list(zip(raw.tolist(), self.calibration.apply(raw).tolist(), strict=True))

    def to_json(self) -> JsonObject:
        """All of it as JSON values."""
        return {
            "version": self.champion.version,
            "in_force": self.in_force.to_json() if self.in_force else None,
            "served": [{"raw_score": raw, "served": served} for raw, served in self.moves()],
            "history": [record.to_json() for record in self.history],
            "freeze": self.freeze.to_json() if self.freeze else None,
            "latest": None if self.latest is None else {k: v for k, v in self.latest.items() if k not in _LONG},
        }


_LONG = ("sums", "state")


def calibrations_of(store: RegistryStore) -> Calibrations:
    """What is on record of the champion's calibrations.

    Raises
    ------
    CommandError
        When nothing serves.
    """
    champion = store.versions.champion()
    if champion is None:
        raise CommandError(f"{store.model} has no champion to calibrate", f"train one: `everloop train {store.model}`")
    latest = next((w.record.recalibration for w in store.windows.latest(1)), None)
    return Calibrations(
        champion=champion,
        in_force=store.calibrations.in_force(champion),
        history=store.calibrations.of(champion.version),
        freeze=store.calibrations.freeze_in_force(),
        latest=latest,
    )


def named_calibration(found: Calibrations, name: str) -> str | None:
    """The end of the window that published the calibration of that name; None for the word ``none``.

    Raises
    ------
    CommandError
        When no calibration, or more than one, of the champion has it.
    """
    if name == "none":
        return None
    ends = {instant_text(r.window_end) for r in found.history if r.name.startswith(name)}
    if len(ends) != 1:
        many = "no calibration" if not ends else f"{len(ends)} calibrations"
        raise CommandError(
            f"{many} of version {found.champion.version} has the name {name!r}",
            f"`everloop calibration show {found.champion.model}` lists them; `none` is what the model says",
        )
    return ends.pop()


def act_on_calibrations(account: Account, model: str, action: str, *, reason: str, **given: Any) -> JsonObject:
    """Have the rollout function take a calibration back, hold calibrations still, or let them go on.

    Raises
    ------
    NotDeployedError
        When the model has no rollout function.
    CommandError
        When the reason is empty, or the function refuses or fails; then with its own words.
    """
    require_reason(reason)
    person = account.client("sts").get_caller_identity()["Arn"]
    event = {"action": action, "reason": reason, "actor": person, "at": format_instant(account.now()), **given}
    return ask_rollout_function(account, model, event, undone="did nothing")


def sentence_of(in_force: CalibrationRecord | None, freeze: CalibrationFreeze | None) -> str:
    """What serves between raw scores and callers, in a line."""
    if in_force is None:
        said = "none: what the model says is served"
    else:
        name, until = calibration_name(in_force.calibration_sha256), instant_text(in_force.learned_until)
        said = f"{name}, learned from {in_force.rows:,} labelled rows until {until}"
        if in_force.loss_raw is not None and in_force.loss_recalibrated is not None:
            said += f"; their loss is {in_force.loss_raw:.4g} raw and {in_force.loss_recalibrated:.4g} recalibrated"
    return said if freeze is None else f"{said}; held still by {freeze.actor}: {freeze.reason}"
