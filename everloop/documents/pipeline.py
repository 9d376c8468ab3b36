"""What the pipeline's state carries from one function to the next, each part under its name.

A function reads what it needs of a part and no more, by a type of its own: these are what the parts' writers answer.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.documents.money import MoneyDocument
from everloop.reasons import ReasonDocument

RunKind = Literal["train", "smoke", "rollout", "restore"]


class ServingChampion(TypedDict):
    """The champion as the run opened, and where its files stand."""

    version: int
    artifact_uri: str


class WaivedState(TypedDict):
    """A waiver in force; see :class:`everloop.evaluation.waivers.Waived`."""

    code: str
    until: str
    by: str
    why: str


class OlderVersionState(TypedDict):
    """The version that a restore brings back, its files' place, whether a person asked for it, and what is waived."""

    version: int
    artifact_uri: str
    manifest_sha256: str
    asked_for: bool
    waived: NotRequired[list[WaivedState]]


class ParentState(TypedDict):
    """The version that a training is to continue, where its kept estimator stands, and what that has to be."""

    version: int
    estimator_uri: str
    estimator_sha256: str


class RunState(TypedDict):
    """``run``: the run that was opened. ``champion_uri`` is the word ``none`` where nothing serves.

    A restore alone has ``older``, and a training that is to continue a version ``parent``.
    ``training_days`` are the newest days that it learns from, where evidence chose them.
    """

    run_id: str
    model: str
    kind: str
    as_of: str
    started_at: str
    champion: ServingChampion | None
    champion_uri: str
    older: NotRequired[OlderVersionState]
    parent: NotRequired[ParentState]
    training_days: int | None


class RunClosed(TypedDict):
    """How the run ended."""

    status: str


class VerdictDocument(TypedDict):
    """The gate's verdict; see :class:`everloop.evaluation.gate.Verdict`."""

    verdict: Literal["pass", "fail"]
    reasons: list[ReasonDocument]


class GateState(VerdictDocument):
    """``gate``: the verdict on the candidate, its metrics, what decisions cost, and the hash of the judged report."""

    metrics: dict[str, float]
    money: NotRequired[MoneyDocument | None]
    report_sha256: str


class RefitDecisionDocument(TypedDict):
    """Whether refit or evaluated model serves, and why; see :class:`everloop.evaluation.refit.RefitDecision`."""

    serves: Literal["refit", "evaluated"]
    reasons: list[ReasonDocument]


class RefitState(RefitDecisionDocument):
    """``refit``: which model serves, and the hash of the check's report; None where there is none."""

    report_sha256: str | None


class RegisteredState(TypedDict):
    """``registered``: the version that came of the run."""

    version: int
    artifact_prefix: str
    manifest_sha256: str
    state: str


class RolloutState(TypedDict):
    """``rollout``: the rollout's record (:class:`everloop.registry.records.Rollout`), and what the pipeline waits for.

    Named here are the keys of the record that are read. Keys that an action adds are not required. ``wait_until`` is
    when the rollout is looked at next, and ``phase_ends`` when its step or its bake is over, or, while it waits for
    traffic, when it stops waiting.
    """

    rollout_id: str
    run_id: str
    kind: str
    version: int
    lambda_version: str
    status: str
    step_index: int
    reasons: list[ReasonDocument]
    wait_seconds: int
    wait_until: NotRequired[str]
    phase_ends: NotRequired[str]
    bake_seconds: NotRequired[int]
    rolled_back: NotRequired[bool]
    retired: NotRequired[list[int]]
    deleted_lambda_versions: NotRequired[list[str]]


class CheckState(TypedDict):
    """What a check of the guardrail decided, with the rollout as it stands."""

    decision: Literal["advance", "hold", "rollback", "promote", "ok"]
    reasons: list[ReasonDocument]
    wait_seconds: int
    rollout: RolloutState


class NothingRolledBack(TypedDict):
    """A rollback of a rollout that never began."""

    rollout_id: str
    rolled_back: Literal[False]
    reasons: list[ReasonDocument]
