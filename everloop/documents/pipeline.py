"""What the pipeline's state carries from one function to the next, each part under its name.

A function reads what it needs of a part and no more, by a type of its own: these are what the parts' writers answer.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.documents.records import GuardrailCheck
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


class PreviousVersion(TypedDict):
    """The champion that a rollout set out against."""

    version: int
    lambda_version: str | None


class RolloutState(TypedDict):
    """``rollout``: the rollout's record, and what the pipeline waits for. Keys that an action adds are not required."""

    model: str
    rollout_id: str
    run_id: str
    kind: str
    version: int
    lambda_version: str
    code_sha256: str
    fallback_lambda_version: str
    started_at: str
    status: str
    previous_version: int | None
    previous_lambda_version: str | None
    previous_code_sha256: str | None
    step_index: int
    percent: float | None
    step_started_at: str | None
    promoted_at: str | None
    ended_at: str | None
    last_check: GuardrailCheck
    reasons: list[ReasonDocument]
    previous: PreviousVersion | None
    first: bool
    shifted_at: str | None
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
