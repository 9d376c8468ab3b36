"""What Step Functions answers where moto's answers leave something out.

Errors and causes of stopped executions and failed tasks, stop dates, JSON output, and pages of a history.

Replaces: answers without these fields, and histories in one page.
Why: who asks how an execution ended needs them, as the service gives them.
Obsolete: once moto's answers have them.
"""

from __future__ import annotations

import json
from typing import Any, cast

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap

_PAGE = 100


def attach(context: CloudContext) -> None:
    """Complete the answers."""

    def stop_execution(self: StepFunctionResponse) -> ActionResult:
        execution = _execution_asked_for(self)
        if execution.exec_status == ExecutionStatus.RUNNING:
            execution.stop_date = context.clock.now()
            execution.error, execution.cause = self._get_param("error"), self._get_param("cause")
            execution.stop(stop_date=execution.stop_date, error=execution.error, cause=execution.cause)
            execution.exec_status = ExecutionStatus.ABORTED
        return ActionResult({"stopDate": execution.stop_date})

    def with_stop_date(original: Any) -> Any:
        def describe_execution(self: StepFunctionResponse) -> ActionResult:
            answer: ActionResult = original(self)
            result = cast(dict[str, Any], answer.result)
            execution = _execution_asked_for(self)
            for field, value in (
                ("stopDate", execution.stop_date),
                ("error", execution.error),
                ("cause", execution.cause),
            ):
                if value is not None:
                    result[field] = value
            if execution.exec_status == ExecutionStatus.SUCCEEDED:
                result["output"] = json.dumps(execution.output)
            return answer

        return describe_execution

    def send_task_failure(self: StepFunctionResponse) -> EmptyResult:
        # The hook puts the interpreter's backend where moto's types have the one that executes nothing.
        backend = cast(StepFunctionsParserBackend, self.stepfunction_backend)
        backend.send_task_failure(
            self._get_param("taskToken"), error=self._get_param("error"), cause=self._get_param("cause")
        )
        return EmptyResult()

    _name_errors()
    replace(StepFunctionResponse, "get_execution_history", _get_execution_history)
    replace(StepFunctionResponse, "send_task_failure", send_task_failure)
    replace(StepFunctionResponse, "stop_execution", stop_execution)
    wrap(StepFunctionResponse, "describe_execution", with_stop_date)


def _execution_asked_for(response: StepFunctionResponse) -> Execution:
    """The execution that a request names; the interpreter's backend has executions of the interpreter's class."""
    return cast(Execution, response.stepfunction_backend.describe_execution(response._get_param("executionArn")))


def _get_execution_history(self: StepFunctionResponse) -> ActionResult:
    """A page of events, oldest first unless asked otherwise; the token is the number of events before it."""
    history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
    events = list(history["events"])
    if self._get_bool_param("reverseOrder", False):
        events.reverse()
    start = int(self._get_param("nextToken") or 0)
    end = start + (self._get_int_param("maxResults") or _PAGE)
    answer: dict[str, Any] = {"events": events[start:end]}
    if end < len(events):
        answer["nextToken"] = str(end)
    return ActionResult(answer)


def _name_errors() -> None:
    """The interpreter's errors carry their code where moto's answers do not look for it."""
    for error in vars(api).values():
        if isinstance(error, type) and issubclass(error, AWSError) and isinstance(error.code, str):
            replace(error, "TYPE", error.code)
            wrap(error, "__init__", _with_message)


def _with_message(original: Any) -> Any:
    def init(self: AWSError, message: str | None = None, **more: Any) -> None:
        original(self, message or type(self).TYPE, **more)

    return init
