"""Parallel and Map states: a token for each branch and worker, none for the state that waits for them."""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.iteration_worker import (
    IterationWorker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import JobPool
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branch_worker import BranchWorker
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branches_decl import BranchWorkerPool

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.services.stepfunctions.tokens import Parking, carrying, current_baton


def attach(_context: CloudContext) -> None:
    """Hand out and take back tokens around branches."""
    wrap(BranchWorker, "start", _start_branch)
    wrap(BranchWorker, "_thread_routine", _run_with_own_token)
    replace(BranchWorkerPool, "wait", _wait_for_branches)
    wrap(BranchWorkerPool, "on_terminated", _then_wake_waiting)
    wrap(IterationWorker, "__init__", _make_worker)
    wrap(IterationWorker, "eval", _run_with_own_token)
    replace(JobPool, "await_jobs", _wait_for_branches)
    wrap(JobPool, "close_job", _then_wake_waiting)


def _start_branch(original: Any) -> Any:
    def start(self: BranchWorker) -> None:
        self.baton = current_baton().sibling()
        original(self)

    return start


def _make_worker(original: Any) -> Any:
    def init(self: IterationWorker, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        self.baton = current_baton().sibling()

    return init


def _run_with_own_token(original: Any) -> Any:
    def run(self: Any) -> None:
        with carrying(self.baton) as baton:
            try:
                original(self)
            finally:
                baton.give_back()

    return run


def _wait_for_branches(self: Any) -> None:
    parking = Parking(current_baton())
    self.parking = parking
    if self._termination_event.is_set() or (isinstance(self, JobPool) and self._is_terminated()):
        parking.wake("ended")
    parking.wait()


def _then_wake_waiting(original: Any) -> Any:
    def end(self: Any, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        parking = getattr(self, "parking", None)
        if parking is not None and self._termination_event.is_set():
            parking.wake("ended")

    return end
