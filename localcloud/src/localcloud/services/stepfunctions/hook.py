"""Step Functions: state machines are executed by moto's interpreter, under their roles and on the local clock.

Departures from AWS: JSONPath only, no express workflows, distributed maps, activities, versions or aliases at
StartExecution; :mod:`localcloud.services.stepfunctions.support` refuses them by name. Logging and tracing
configurations are kept and shown, not acted upon.

Replaces: machines that are recorded and not executed unless a setting says so, and executions without metrics, dates of
    the local clock or an end of their own when the interpreter fails.
Why: a machine is there to run, and an execution that ended without saying so would be waited for for ever.
Obsolete: once moto executes machines at a time that can be set, and every execution ends with a status.
"""

from __future__ import annotations

import logging
import threading
import uuid
from functools import lru_cache
from typing import Any, cast

import moto.stepfunctions.models as models
import moto.stepfunctions.parser.models as parser_models
from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.stepfunctions.exceptions import InvalidExecutionInput
from moto.stepfunctions.parser.api import ExecutionStatus, InvalidDefinition
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from localcloud.core.context import CloudContext
from localcloud.core.json_text import read_json
from localcloud.core.patching import replace, replace_in_holders, wrap
from localcloud.services.cloudwatch.seam import MetricName, metric_store
from localcloud.services.stepfunctions import answers as stepfunctions_answers
from localcloud.services.stepfunctions import branches as stepfunctions_branches
from localcloud.services.stepfunctions import calls as stepfunctions_calls
from localcloud.services.stepfunctions import deleting as stepfunctions_deleting
from localcloud.services.stepfunctions import ended as stepfunctions_ended
from localcloud.services.stepfunctions import sagemaker as stepfunctions_sagemaker
from localcloud.services.stepfunctions import trees as stepfunctions_trees
from localcloud.services.stepfunctions import values as stepfunctions_values
from localcloud.services.stepfunctions import waits as stepfunctions_waits
from localcloud.services.stepfunctions.support import unsupported_features
from localcloud.services.stepfunctions.tokens import Baton, carrying
from localcloud.services.stepfunctions.waits import aws_time

LOG = logging.getLogger(__name__)
_NAMESPACE = "AWS/States"
_END_METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def install(context: CloudContext) -> None:
    """Execute state machines."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    ended = stepfunctions_ended.EndedExecutions(context)
    deletions = stepfunctions_deleting.Deletions()
    _install_backend(context, ended, deletions)
    _install_execution(context, ended, deletions)
    _install_parsers()
    stepfunctions_answers.attach(context)
    stepfunctions_calls.attach(context)
    stepfunctions_deleting.attach(deletions)
    stepfunctions_ended.attach()
    stepfunctions_values.attach()
    stepfunctions_waits.attach(context)
    stepfunctions_branches.attach(context)
    stepfunctions_sagemaker.attach(context)


def _install_backend(
    context: CloudContext, ended: stepfunctions_ended.EndedExecutions, deletions: stepfunctions_deleting.Deletions
) -> None:
    """One backend for machines of every origin; StartExecution and DeleteStateMachine as the service has them."""
    starting = threading.RLock()

    class Backend(parser_models.StepFunctionsParserBackend):
        def create_state_machine(self, name: str, definition: str, *rest: Any, **more: Any) -> Any:
            _refuse_unsupported(definition, more.get("sm_type"))
            deletions.refuse(f"arn:aws:states:{self.region_name}:{self.account_id}:stateMachine:{name}")
            machine = super().create_state_machine(name, definition, *rest, **more)
            machine.creation_date = machine.update_date = context.clock.now()
            return machine

        def update_state_machine(self, arn: str, definition: str | None = None, *rest: Any, **more: Any) -> Any:
            if definition is not None:
                _refuse_unsupported(definition, None)
            deletions.refuse(arn)
            machine = super().update_state_machine(
                arn,
                definition,  # type: ignore[arg-type]  # None is moto's own default
                *rest,
                **more,
            )
            machine.update_date = context.clock.now()
            return machine

        def delete_state_machine(self, arn: str) -> None:
            with starting:
                deletions.begin(self, arn)

        def start_execution(
            self,
            state_machine_arn: str,
            name: str | None = None,
            execution_input: str | None = None,
            trace_header: str | None = None,
        ) -> Any:
            text = execution_input or "{}"
            try:
                read_json(text)
            except ValueError as error:
                raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error
            if name:
                self._validate_name(name)
            with starting:
                deletions.refuse(state_machine_arn)
                # moto's types have the executions of machines that are not executed.
                ended.expire(cast(list[Execution], self.describe_state_machine(state_machine_arn).executions))
                return super().start_execution(
                    state_machine_arn,
                    name or str(uuid.uuid4()),
                    text,
                    trace_header,  # type: ignore[arg-type]  # None is moto's own default
                )

    # moto reads the service from the module's name.
    Backend.__module__ = "moto.stepfunctions.models"
    backends = BackendDict(Backend, "stepfunctions")
    for name in ("stepfunctions_backends", "stepfunctions_parser_backends"):
        replace_in_holders("moto", name, backends)
    assert models.stepfunctions_backends is backends


def _refuse_unsupported(definition: str, machine_type: str | None) -> None:
    problems = unsupported_features(definition, machine_type)
    if problems:
        raise InvalidDefinition(
            message="Invalid State Machine Definition: 'not supported by the local cloud: " + "; ".join(problems) + "'"
        )


def _install_execution(
    context: CloudContext, ended: stepfunctions_ended.EndedExecutions, deletions: stepfunctions_deleting.Deletions
) -> None:
    """Tokens, dates and metrics around an execution."""
    metrics = Metrics(context)

    def start(self: ExecutionWorker) -> None:
        details = self._evaluation_details
        baton = Baton(
            context.activity, f"execution {details.execution_details.name}", details.state_machine_details.arn
        )
        self.env = self._get_evaluation_environment()
        # Running from now on, so that it can be stopped before its thread has read the definition.
        self.env.next_state_name = ""
        thread = threading.Thread(target=run, args=(self, baton), name=baton.label, daemon=True)
        thread.start()

    def run(worker: ExecutionWorker, baton: Baton) -> None:
        # Every execution makes its worker's communication so.
        execution = cast(BaseExecutionWorkerCommunication, worker._execution_communication).execution
        env = worker.env
        assert env is not None
        # The environment exists before the thread does: StopExecution and task tokens may come at once.
        worker._get_evaluation_environment = lambda: env  # type: ignore[method-assign]  # for this one worker
        with carrying(baton):
            try:
                metrics.put(execution, "ExecutionsStarted", execution.start_date)
                worker._execution_logic()  # type: ignore[no-untyped-call]  # moto gives it no types
            except Exception as error:
                LOG.exception("execution %s ended by an error of the interpreter", execution.exec_arn)
                execution.error, execution.cause = "States.Runtime", f"{type(error).__name__}: {error}"
                execution.stop_date = context.clock.now()
                execution.exec_status = ExecutionStatus.FAILED
            finally:
                try:
                    metrics.put_end(execution)
                    ended.end(execution)
                    deletions.end_where_nothing_runs(execution.state_machine_arn)
                finally:
                    baton.give_back()

    def dated(original: Any) -> Any:
        def init(self: Execution, *arguments: Any, **keywords: Any) -> None:
            original(self, *arguments, **keywords)
            self.start_date = context.clock.now()

        return init

    def details_with_text_time(original: Any) -> Any:
        def get_start_execution_details(self: Execution) -> Any:
            details = original(self)
            details.start_time = aws_time(self.start_date)
            return details

        return get_start_execution_details

    def reflect(original: Any) -> Any:
        def reflect_execution_status(self: BaseExecutionWorkerCommunication) -> None:
            aborted = self.execution.exec_status == ExecutionStatus.ABORTED
            stopped_at = self.execution.stop_date
            original(self)
            self.execution.stop_date = stopped_at if aborted else context.clock.now()
            if self.execution.exec_status == ExecutionStatus.TIMED_OUT:
                self.execution.error = "States.Timeout"

        return reflect_execution_status

    replace(ExecutionWorker, "start", start)
    wrap(Execution, "__init__", dated)
    wrap(Execution, "get_start_execution_details", details_with_text_time)
    wrap(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect)


def _install_parsers() -> None:
    """Parse each JSONPath once, and the machines that run the most not for every execution.

    Building jsonpath_ng's parser costs more than everything else a state does, and parsing a machine five times what
    the interpreter makes of it then.
    """
    for module in (result_path, json_path):
        if hasattr(module, "parse"):
            wrap(module, "parse", lambda original: lru_cache(maxsize=1024)(original))
    wrap(asl_parser, "ASLParser", stepfunctions_trees.keeping_trees)


class Metrics:
    """The execution metrics of namespace AWS/States."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    def put(self, execution: Execution, name: str, at: Any, value: float = 1, unit: str = "Count") -> None:
        """Put one value. PutMetricData refuses the namespace, which is the services' own."""
        metric = MetricName.of(_NAMESPACE, name, {"StateMachineArn": execution.state_machine_arn})
        metric_store(self._context).put(metric, value, at=at, unit=unit)

    def put_end(self, execution: Execution) -> None:
        """Put how an execution ended, and how long it took on the local clock."""
        stopped = execution.stop_date
        assert stopped is not None
        took = (stopped - execution.start_date).total_seconds() * 1000
        self.put(execution, _END_METRICS[execution.status], stopped)
        self.put(execution, "ExecutionTime", stopped, took, "Milliseconds")
