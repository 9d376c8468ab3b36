"""What is served between raw scores and callers: what it does, and how a person takes it back or holds it still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.rollouts import ask_rollout_function, require_reason
from everloop.documents.recalibration import RecalibrationDocument, ServedGroupDocument, SpreadFigures
from everloop.instants import format_instant, instant_text
from everloop.recalibration.calibration import Calibration, identity
from everloop.recalibration.grouped_by import OTHERS
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
        Who froze them.
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

    def of_groups(self) -> list[ShownGroup]:
        """What is served to each group beside all others, and how it fares; none where none are declared."""
        told = self.latest.get("groups") if self.latest else None
        if told is None or told["groups"] is None:
            return []
        made, fair = self.calibration, told["fairness"]
        raw = np.array([one for one, _ in self.moves()])
        shown = []
        for name, group in told["groups"].items():
            place = made.by.names.index(name) if made.by and name in made.by.names else OTHERS
            served = made.apply(raw, np.full(len(raw), place))
            fares = fair["groups"].get(name) if fair and fair["by"] == told["by"]["feature"] else None
            losses = group["losses"]
            shown.append(
                ShownGroup(
                    name,
                    bool(made.by) and place != OTHERS and made.groups[place] is not None,
                    served.tolist(),
                    losses["shared"] / losses["rows"] if losses["rows"] else None,
                    losses["own"] / losses["rows"] if losses["rows"] else None,
                    fares["before"] if fares else None,
                    fares["after"] if fares else None,
                    group["waits_for"] or told["withheld"],
                )
            )
        return shown

    def intervals(self) -> ShownIntervals | None:
        """How wide intervals are, and how they did; None where answers have none."""
        told = self.latest.get("spread") if self.latest else None
        if told is None:
            return None
        born, spread = told["interval"], self.calibration.spread
        return ShownIntervals(
            born["coverage"],
            (born["below"], born["above"]),
            (born["below"] * spread[0], born["above"] * spread[1]),
            told["served"],
            told["raw"],
        )

    def to_json(self) -> JsonObject:
        """All of it as JSON values."""
        return {
            "version": self.champion.version,
            "in_force": self.in_force.to_json() if self.in_force else None,
            "served": [{"raw_score": raw, "served": served} for raw, served in self.moves()],
            "history": [record.to_json() for record in self.history],
            "freeze": self.freeze.to_json() if self.freeze else None,
            "latest": None if self.latest is None else _without_long(self.latest),
        }


@dataclass(frozen=True)
class ShownGroup:
    """What a person reads of a group.

    Attributes
    ----------
    apart : bool
        Whether a calibration of its own serves it.
    served : list of float
        What the raw scores of :meth:`Calibrations.moves` are served as.
    loss_shared, loss_own : float or None
        Mean losses of its labelled rows by the shared calibration, and by its own.
    before, after : ServedGroupDocument or None
        How it fares by what was in force and by what the last window taught, where it is one of the compared groups.
    why_not : str or None
        Why it is served as all others are.
    """

    name: str
    apart: bool
    served: list[float]
    loss_shared: float | None
    loss_own: float | None
    before: ServedGroupDocument | None
    after: ServedGroupDocument | None
    why_not: str | None


@dataclass(frozen=True)
class ShownIntervals:
    """What a person reads of intervals.

    Attributes
    ----------
    coverage : float
        As declared when the version was trained.
    born, in_force : (float, float)
        How far they reach below and above the value: at the version's birth, and now.
    served, raw : SpreadFigures or None
        How they did over the version's labelled windows, as they were answered and as they were at birth.
    """

    coverage: float
    born: tuple[float, float]
    in_force: tuple[float, float]
    served: SpreadFigures | None
    raw: SpreadFigures | None


_LONG = ("sums", "state", "told")


def _without_long(found: Mapping[str, Any]) -> JsonObject:
    """The document without what nobody reads, at any depth."""
    return {k: _without_long(v) if isinstance(v, Mapping) else v for k, v in found.items() if k not in _LONG}


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
            f"`everloop calibration show {found.champion.model}` lists them; `none` means raw scores",
        )
    return ends.pop()


def act_on_calibrations(account: Account, model: str, action: str, *, reason: str, **given: Any) -> JsonObject:
    """Have the rollout function take a calibration back, freeze calibrations, or resume them.

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
