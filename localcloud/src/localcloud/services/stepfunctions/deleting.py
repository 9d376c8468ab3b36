"""State machines that are deleted while executions run: ``DELETING`` until each of them has ended.

As the service does, an execution of such a machine fails at its next transition (``States.Runtime``, which nothing
catches), so one that waits holds the deletion for as long as it waits, or until it is stopped. Meanwhile the machine
can neither start nor change, and its name is taken.

Replaces: machines that are gone at once, with executions that go on and nobody finds.
Why: a stack whose machine waits is not deleted before that wait is over, and who deploys it again is refused.
Obsolete: once moto deletes machines as the service does.
"""

from __future__ import annotations

import threading
from typing import Any, cast

from moto.core.responses import ActionResult
from moto.stepfunctions.models import StateMachine, StepFunctionBackend
from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, ExecutionStatus, StateMachineDeleting
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.responses import StepFunctionResponse

from localcloud.core.patching import wrap
from localcloud.services.stepfunctions.tokens import current_baton


class Deletions:
    """The machines of this cloud that are being deleted, by ARN."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._machines: dict[str, tuple[StepFunctionBackend, StateMachine]] = {}

    def begin(self, backend: StepFunctionBackend, arn: str) -> None:
        """Delete a machine as soon as none of its executions runs; one that is not there is fine."""
        backend._validate_machine_arn(arn)
        with self._lock:
            machine = next((machine for machine in backend.state_machines if machine.arn == arn), None)
            if machine is None:
                return
            self._machines[arn] = backend, machine
            self.end_where_nothing_runs(arn)

    def end_where_nothing_runs(self, arn: str) -> None:
        """Let a machine go that is being deleted, once its last execution has ended."""
        with self._lock:
            backend, machine = self._machines.get(arn, (None, None))
            if backend is None or machine is None or any(_runs(execution) for execution in machine.executions):
                return
            backend.state_machines.remove(machine)
            del self._machines[arn]

    def __contains__(self, arn: str) -> bool:
        return arn in self._machines

    def refuse(self, arn: str) -> None:
        """Refuse what is asked of a machine that is being deleted.

        Raises
        ------
        StateMachineDeleting
        """
        if arn in self:
            raise StateMachineDeleting(f"State Machine is being deleted: '{arn}'")

    def interrupt(self, arn: str, execution_arn: str) -> bool:
        """Fail an execution that comes to a transition; whether its machine is being deleted."""
        with self._lock:
            _, machine = self._machines.get(arn, (None, None))
            if machine is None:
                return False
            # The hook puts the interpreter's executions where moto's types have those that nothing executes.
            executions = cast(list[Execution], machine.executions)
        execution = next(execution for execution in executions if execution.exec_arn == execution_arn)
        worker = execution.exec_worker
        assert worker is not None
        assert worker.env is not None
        error = ExecutionFailedEventDetails(
            error="States.Runtime", cause=f"State machine {machine.name} has been deleted."
        )
        worker.env.set_error(error)
        return True


def attach(deletions: Deletions) -> None:
    """Let executions and descriptions know of deletions."""

    def at_each_transition(original: Any) -> Any:
        def eval_body(self: CommonStateField, env: Environment) -> None:
            execution = env.states.context_object.context_object_data["Execution"]["Id"]
            if not deletions.interrupt(current_baton().machine_arn, execution):
                original(self, env)

        return eval_body

    def with_status(original: Any) -> Any:
        def describe(self: StepFunctionResponse, state_machine_arn: str) -> ActionResult:
            answer: ActionResult = original(self, state_machine_arn)
            if state_machine_arn in deletions:
                cast(dict[str, Any], answer.result)["status"] = "DELETING"
            return answer

        return describe

    wrap(CommonStateField, "_eval_body", at_each_transition)
    wrap(StepFunctionResponse, "_describe_state_machine", with_status)


def _runs(execution: Any) -> bool:
    return bool(execution.exec_status == ExecutionStatus.RUNNING)
