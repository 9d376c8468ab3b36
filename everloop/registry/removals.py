"""The removal of a model from its account: its last record before the function that writes it goes, too."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from everloop.instants import instant_text
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import holds
from everloop.registry.exceptions import ReasonMissingError, RunAlreadyActiveError
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import Rollout
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs

REMOVED = "removed"
"""How a rollout ends whose bake was under way when its model was removed: it was promoted, and nobody saw its end."""


class Removals:
    """The removals of a model. Versions, champion and all other records stay as they are."""

    def __init__(self, ledger: Ledger, runs: Runs, rollouts: Rollouts) -> None:
        self._ledger = ledger
        self._runs = runs
        self._rollouts = rollouts
        self.model = ledger.model

    def begin(self, stack_id: str, *, reason: str, at: datetime, actor: str) -> None:
        """Record that somebody deletes the model's stack, once for each stack, and end the rollout that bakes.

        Raises
        ------
        ReasonMissingError
            When no reason is given.
        RunAlreadyActiveError
            While a run is open: it is released first, with its canary.
        """
        if not reason.strip():
            raise ReasonMissingError(f"removing {self.model} needs a reason")

        def plan() -> Plan:
            active = self._runs.active()
            if active is not None:
                raise RunAlreadyActiveError(self.model, active.run_id, instant_text(active.started_at))
            baking = [rollout for rollout in self._rollouts.all() if rollout.status == "baking"]
            details = {"stack_id": stack_id, "rollouts_ended": [rollout.rollout_id for rollout in baking]}
            entry = Entry(at, "removal_begun", actor, None, None, reason, details)
            nobody = changes.require((keys.partition(self.model), keys.ACTIVE_RUN), changes.free("no run is active"))
            return Plan((nobody, *(_ended(rollout, at) for rollout in baking)), (entry,))

        self._ledger.commit(f"remove:{stack_id}", f"remove {stack_id}", plan)


def _ended(rollout: Rollout, at: datetime) -> changes.Change:
    bakes = holds(f"rollout {rollout.rollout_id} is {rollout.status}", status=rollout.status)
    return changes.replace(replace(rollout, status=REMOVED, ended_at=at), bakes)
