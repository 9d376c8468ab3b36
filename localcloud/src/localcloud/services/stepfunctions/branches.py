"""Parallel and Map states: a token for each branch and worker, none for the state that waits for them.

A branch that ends with an error of the language's own, such as ``States.TaskFailed``, hands it on under its name.

Replaces: waits of a thread that nobody knows of, and branches whose errors of the language end the interpreter.
Why: a moved clock must know who works and who waits, and a Catch is there for such errors.
Obsolete: once moto says when a branch works or waits, and hands every error on.
"""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.iteration_worker import (
    IterationWorker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import JobPool
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
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
    for module in (branches_decl, iteration_worker):
        replace(module, "CustomErrorName", _named)


def _named(error_name: str | None) -> ErrorName:
    """The name of an error that a branch ended with, whoever gave it."""
    if error_name is None or not error_name.startswith("States."):
        return CustomErrorName(error_name=error_name)
    try:
        return StatesErrorName.from_name(error_name)
    except ValueError:
        return ErrorName(error_name=error_name)


def _start_branch(original: Any) -> Any:
    def start(self: Any) -> None:
        self.baton = current_baton().sibling()
        original(self)

    return start


def _make_worker(original: Any) -> Any:
    def init(self: Any, *arguments: Any, **keywords: Any) -> None:
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
