"""Everything a state machine waits for, on the local clock: Wait states, retries, timeouts, task tokens.

Also the times it is told: ``$$.State.EnteredTime``, ``$$.Execution.StartTime`` and those of the history.

Replaces: sleeps on the computer's clock.
Why: a clock that is moved would wait for them in real time.
Obsolete: once moto's waits take a clock that can be set.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcomeTimedOut,
    HeartbeatEndpoint,
    HeartbeatTimedOut,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from localcloud.core.clock import Clock, Timer
from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.services.stepfunctions.tokens import (
    INTERRUPTS,
    DeadlineExceededError,
    Parking,
    current_baton,
    run_with_deadline,
    sleep_until,
)
from localcloud.services.stepfunctions.values import copied


def aws_time(moment: datetime) -> str:
    """A time as Step Functions writes it: ISO 8601, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attach(context: CloudContext) -> None:
    """Move every wait of the interpreter to the local clock."""
    clock = context.clock
    _install_times(clock)
    _install_sleeping(clock)
    _install_timeouts(clock)
    _install_task_tokens(clock)
    _install_interrupts()


def _install_times(clock: Clock) -> None:
    def state_data(**fields: Any) -> dict[str, Any]:
        return {**fields, "EnteredTime": aws_time(clock.now())}

    replace(state_module, "StateData", state_data)
    replace(EventManager, "_get_current_timestamp", clock.now)


def _install_sleeping(clock: Clock) -> None:
    def wait_interval(self: WaitFunction, env: Environment, wait_seconds: float) -> None:
        sleep_until(clock, env, clock.now() + timedelta(seconds=wait_seconds))

    def seconds_until(self: Timestamp, env: Environment) -> float:
        self.string.eval(env=env)
        text = env.stack.pop()
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", str(text)):
            raise FailureEventException(self._create_failure_event(env, text))
        due = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (due - clock.now()).total_seconds()

    retrying = threading.local()

    def eval_retrier(original: Any) -> Any:
        def eval_body(self: retrier_decl.RetrierDecl, env: Environment) -> None:
            retrying.env = env
            original(self, env)

        return eval_body

    def sleep_before_retry(seconds: float) -> None:
        sleep_until(clock, retrying.env, clock.now() + timedelta(seconds=seconds))

    replace(WaitFunction, "_wait_interval", wait_interval)
    replace(Timestamp, "_get_wait_seconds", seconds_until)
    wrap(retrier_decl.RetrierDecl, "_eval_body", eval_retrier)
    # The retrier uses the module for nothing but sleeping.
    replace(retrier_decl, "time", SimpleNamespace(sleep=sleep_before_retry))


def _install_timeouts(clock: Clock) -> None:
    def evaluate(self: ExecutionState, env: Environment) -> None:
        self.timeout.eval(env=env)
        seconds = env.stack.pop()
        frame = env.open_frame()
        frame.states.reset(input_value=env.states.get_input())
        frame.stack = copied(env.stack)
        try:
            if self.timeout.is_default_value():
                self._eval_execution(frame)
            else:
                run_with_deadline(clock, seconds, self.name, lambda: self._eval_execution(frame))
        except DeadlineExceededError:
            raise EvalTimeoutError() from None
        except Exception:
            # Stopped from outside, the state ends without a result; the program sees why.
            if env.is_running():
                raise
            return
        finally:
            frame.set_ended()
            env.close_frame(frame)
        if not env.is_running():
            return
        env.stack.append(frame.stack.pop())
        if self.result_selector:
            self.result_selector.eval(env=env)
        assert self.result_path is not None, "every state of this kind is parsed with one"
        self.result_path.eval(env)

    def eval_program(self: Program, env: Environment) -> None:
        timer = None
        if self.timeout_seconds is not None:
            limit = timedelta(seconds=self.timeout_seconds.timeout_seconds)
            timer = clock.call_at(clock.now() + limit, env.set_timed_out, label="execution timeout")
        if env.is_running():
            env.next_state_name = self.start_at.start_at_name
        EvalComponent.eval(self, env)
        if timer is not None:
            timer.cancel()

    replace(ExecutionState, "_evaluate_with_timeout", evaluate)
    replace(Program, "eval", eval_program)


def _install_task_tokens(clock: Clock) -> None:
    parkings: WeakKeyDictionary[CallbackEndpoint, Parking] = WeakKeyDictionary()

    def wait_for_task_token(
        self: StateTaskServiceCallback,
        env: Environment,
        timeout_seconds: int,
        callback_endpoint: CallbackEndpoint,
        heartbeat_endpoint: HeartbeatEndpoint | None,
    ) -> Any:
        # TimeoutSeconds ends the whole task, and so this wait with it.
        parking = Parking(current_baton())
        parkings[callback_endpoint] = parking
        if callback_endpoint.get_outcome() is not None:
            parking.wake("notified")
        heart = _Heartbeat(clock, parking, heartbeat_endpoint) if heartbeat_endpoint else None
        reason = INTERRUPTS.wait(env, parking)
        if heart is not None:
            heart.stop()
        if reason == "heartbeat":
            return HeartbeatTimedOut()
        outcome = callback_endpoint.get_outcome()
        return outcome or CallbackOutcomeTimedOut(callback_id=callback_endpoint.callback_id)

    def notify(original: Any) -> Any:
        def notify_and_wake(self: CallbackEndpoint, outcome: Any) -> None:
            original(self, outcome)
            parking = parkings.get(self)
            if parking is not None:
                parking.wake("notified")

        return notify_and_wake

    def beat(original: Any) -> Any:
        def notify_heartbeat(self: HeartbeatEndpoint) -> None:
            original(self)
            heart = _Heartbeat.of.get(self)
            if heart is not None:
                heart.beat()

        return notify_heartbeat

    replace(StateTaskServiceCallback, "_eval_wait_for_task_token", wait_for_task_token)
    wrap(CallbackEndpoint, "notify", notify)
    wrap(HeartbeatEndpoint, "notify", beat)


class _Heartbeat:
    """Ends a wait when no heartbeat comes for the length of its interval."""

    of: ClassVar[WeakKeyDictionary[HeartbeatEndpoint, _Heartbeat]] = WeakKeyDictionary()

    def __init__(self, clock: Clock, parking: Parking, endpoint: HeartbeatEndpoint) -> None:
        self._clock = clock
        self._parking = parking
        self._interval = timedelta(seconds=endpoint._heartbeat_seconds)
        self._timer = self._plan()
        self.of[endpoint] = self

    def _plan(self) -> Timer:
        return self._clock.call_at(
            self._clock.now() + self._interval, lambda: self._parking.wake("heartbeat"), label="heartbeat timeout"
        )

    def beat(self) -> None:
        self._timer.cancel()
        self._timer = self._plan()

    def stop(self) -> None:
        self._timer.cancel()


def _install_interrupts() -> None:
    """Wake what waits when an environment stops, and keep the first end an environment came to."""

    def then_wake(original: Any) -> Any:
        def end(self: Environment, *arguments: Any, **keywords: Any) -> None:
            original(self, *arguments, **keywords)
            INTERRUPTS.stop(self)

        return end

    def once_then_wake(original: Any) -> Any:
        def end(self: Environment, *arguments: Any, **keywords: Any) -> None:
            if self.is_running():
                original(self, *arguments, **keywords)
                INTERRUPTS.stop(self)

        return end

    for name in ("set_ended", "set_stop"):
        wrap(Environment, name, then_wake)
    for name in ("set_error", "set_timed_out"):
        wrap(Environment, name, once_then_wake)
