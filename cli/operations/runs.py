"""Close a run whose execution is dead."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.cli.account import Account
from everloop.cli.operations.rollouts import refuse_while_running, require_reason, take_back
from everloop.documents.records import RefitChoice
from everloop.registry.records import Rollout, Run


@dataclass(frozen=True)
class Released:
    """What became of a run, and of the rollout it left behind, if it had come to one."""

    run: Run
    rollout: Rollout | None
    taken_back: bool


def why_no_refit(refit: RefitChoice) -> str:
    """Why a run registered its evaluated model and no refit of it, in one line."""
    return "; ".join(reason["sentence"] for reason in refit["reasons"] if not reason["passed"])


def release_run(account: Account, model: str, run_id: str, *, reason: str) -> Released:
    """Take back the traffic a dead run's canary still has, then close the run.

    May be repeated, also after it was cut short. A version that was promoted already keeps serving: the run died
    later than the decision, and the next rollout takes its record over.

    Raises
    ------
    CommandError
        While the execution runs, or without a reason.
    UnknownRunError
    """
    require_reason(reason)
    store = account.registry(model)
    run = store.runs.get(run_id)
    refuse_while_running(account, model, run_id)
    rollout = store.rollouts.find(run_id)
    before = None if rollout is None else rollout.status
    # The traffic before the run: callers are off the candidate, whatever happens next. Also of a canary that was
    # taken back already: a step that was under way may have given it some again.
    if before in ("canary", "rolled_back"):
        take_back(account, model, run_id, reason=reason, only_canary=True)
        rollout = store.rollouts.get(run_id)
    taken_back = before == "canary" and rollout is not None and rollout.status == "rolled_back"
    if run.status == "open":
        person = account.client("sts").get_caller_identity()["Arn"]
        run = store.runs.release_stale(run_id, reason=reason, at=account.now(), actor=person)
    return Released(run, rollout, taken_back)
