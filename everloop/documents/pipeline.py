"""What the pipeline's state carries from one function to the next, each part under its name.

A function reads what it needs of a part and no more, by a type of its own: these are what the parts' writers answer.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.reasons import ReasonDocument

RunKind = Literal["train", "smoke", "rollout"]


class ServingChampion(TypedDict):
    """The champion as the run opened, and where its files stand."""

    version: int
    artifact_uri: str


class RunState(TypedDict):
    """``run``: the run that was opened. ``champion_uri`` is the word ``none`` where nothing serves."""

    run_id: str
    model: str
    kind: str
    as_of: str
    started_at: str
    champion: ServingChampion | None
    champion_uri: str


class RunClosed(TypedDict):
    """How the run ended."""

    status: str


class VerdictDocument(TypedDict):
    """The gate's verdict; see :class:`everloop.evaluation.gate.Verdict`."""

    verdict: Literal["pass", "fail"]
    reasons: list[ReasonDocument]


class GateState(VerdictDocument):
    """``gate``: the verdict on the candidate, its metrics, and the hash of the report that was judged."""

    metrics: dict[str, float]
    report_sha256: str


class RefitDecisionDocument(TypedDict):
    """Which of two siblings serves, and why; see :class:`everloop.evaluation.refit.RefitDecision`."""

    serves: Literal["refit", "evaluated"]
    reasons: list[ReasonDocument]


class RefitState(RefitDecisionDocument):
    """``refit``: which sibling serves, and the hash of the check's report; None where there is none."""

    report_sha256: str | None


class RegisteredState(TypedDict):
    """``registered``: the version that came of the run."""

    version: int
    artifact_prefix: str
    manifest_sha256: str
    state: str


class RolloutState(TypedDict):
    """``rollout``: the rollout's record (:class:`everloop.registry.records.Rollout`), and what the pipeline waits for.

    Named here are the keys of the record that are read. Keys that an action adds are not required.
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
