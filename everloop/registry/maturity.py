"""How far a model has come, computed from what is on record: nothing that somebody ticked counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.numbers_of import number_of
from everloop.registry.records import Run, Window

if TYPE_CHECKING:
    from everloop.registry.trace import Status

MANUAL = "manual"
"""The kind of a trigger that is a person."""


@dataclass(frozen=True)
class Step:
    """One step of maturity: whether it is reached, and by what evidence, or what is missing."""

    name: str
    reached: bool
    evidence: str


@dataclass(frozen=True)
class Maturity:
    """The steps in their order; ``level`` is how many are reached without a gap."""

    steps: tuple[Step, ...]

    @property
    def level(self) -> int:
        """How many steps are reached, up to the first that is not."""
        return next((place for place, step in enumerate(self.steps) if not step.reached), len(self.steps))

    @property
    def sentence(self) -> str:
        """The level with its evidence, and what the next one takes."""
        level, steps = self.level, self.steps
        at = f"{level} of {len(steps)}"
        said = f"{at}, {steps[level - 1].name}: {steps[level - 1].evidence}" if level else at
        return said if level == len(steps) else f"{said}; next, {steps[level].name}: {steps[level].evidence}"


def maturity(status: Status) -> Maturity:
    """The maturity of a deployed model, by its status."""
    steps = (_evaluated(status), _serving(status), _watched(status.windows), _labelled(status), _closed(status))
    return Maturity(steps)


def _evaluated(status: Status) -> Step:
    judged = sorted(n for state, numbers in status.versions.items() if state != "experimenting" for n in numbers)
    if not judged:
        return Step("evaluated", False, "no version has passed the gate")
    return Step("evaluated", True, f"version {judged[-1]} passed the gate")


def _serving(status: Status) -> Step:
    if status.champion is None:
        return Step("serving", False, "no version has been promoted")
    return Step("serving", True, f"version {status.champion.version} was promoted by a rollout")


def _watched(windows: Sequence[Window]) -> Step:
    answered = [w for w in windows if w.record.rows]
    if not answered:
        return Step("watched", False, "no monitored window with answers is on record")
    return Step("watched", True, f"{number_of(len(answered), 'recent window')} with answers")


def _labelled(status: Status) -> Step:
    champion = status.champion.version if status.champion else None
    labelled = [w.record for w in status.windows if w.record.version == champion and w.record.labelled_rows]
    if not labelled:
        return Step("measured", False, "no label of an answer of the champion has arrived")
    rows = sum(record.labelled_rows for record in labelled)
    return Step("measured", True, f"{number_of(rows, 'labelled row')} of the champion in recent windows")


def _closed(status: Status) -> Step:
    by_rule = next((run for run in status.runs if _started_by_rule(run)), None)
    if by_rule is None:
        return Step("closed loop", False, "no training that a rule started has ended with a verdict recently")
    kind = by_rule.trigger.get("kind")
    return Step("closed loop", True, f"run {by_rule.run_id} was started by {kind}, and the gate said {by_rule.verdict}")


def _started_by_rule(run: Run) -> bool:
    return run.kind == "train" and run.trigger.get("kind") not in (None, MANUAL) and run.verdict is not None
