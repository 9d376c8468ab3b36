"""Executions that have ended: kept for 90 days as the service does, their histories on the disk.

What GetExecutionHistory, DescribeExecution and ListExecutions answer stays what it was.

Replaces: the interpreter of each execution, kept with it: the parsed machine, every value of every state, threads.
Why: once an execution has ended nothing reads those but its history, and a cloud that lives through a year can not keep
    them.
Obsolete: once moto lets go of an interpreter whose execution has ended.
"""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackPoolManager
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace_in_holders

KEPT = timedelta(days=90)
_numbers = itertools.count(1)


class _Forgetful(list[Any]):
    """Stands for the list in which moto puts every thread that it starts, and never looks at again."""

    def append(self, _thread: Any) -> None:
        """Keep nothing."""


class EndedWorker:
    """What remains of an execution's interpreter: its history, and the task tokens that it gave out."""

    def __init__(self, file: Path, tokens: CallbackPoolManager) -> None:
        self._file = file
        self.env = SimpleNamespace(event_manager=self, callback_pool_manager=tokens)

    def get_event_history(self) -> list[dict[str, Any]]:
        """The events, as the interpreter told them."""
        events: list[dict[str, Any]] = json.loads(self._file.read_text())
        return events

    def stop(self, **_how: Any) -> None:
        """An execution that has ended can not be stopped."""

    def forget(self) -> None:
        """Delete the history."""
        self._file.unlink(missing_ok=True)


class EndedExecutions:
    """Lets go of what ended executions no longer need, and of those that ended long ago."""

    def __init__(self, context: CloudContext) -> None:
        self._directory = context.state_directory / "executions"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._now = context.clock.now

    def end(self, execution: Execution) -> None:
        """Write an execution's history to its file."""
        worker = execution.exec_worker
        assert worker is not None
        env = worker.env
        assert env is not None
        file = self._directory / f"{next(_numbers)}.json"
        file.write_text(json.dumps(env.event_manager.get_event_history()))
        # It has all that moto asks of a worker whose execution has ended.
        execution.exec_worker = cast(ExecutionWorker, EndedWorker(file, env.callback_pool_manager))

    def expire(self, executions: list[Execution]) -> None:
        """Take executions that ended more than 90 days ago out of a machine's list."""
        oldest = self._now() - KEPT
        # The oldest are in front, so that this looks at one execution on most days.
        while executions and (worker := _worker_ended_before(executions[0], oldest)) is not None:
            executions.pop(0)
            worker.forget()


def attach() -> None:
    """Keep no threads."""
    replace_in_holders("moto.stepfunctions", "TMP_THREADS", _Forgetful())


def _worker_ended_before(execution: Execution, oldest: datetime) -> EndedWorker | None:
    """What remains of the interpreter of an execution that ended before ``oldest``; None of any other."""
    if execution.exec_status == ExecutionStatus.RUNNING or execution.stop_date is None or execution.stop_date >= oldest:
        return None
    worker: object = execution.exec_worker
    return worker if isinstance(worker, EndedWorker) else None
