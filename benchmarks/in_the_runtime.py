"""What a request of one row costs in the loop of AWS's own runtime client, beside a bare handler.

``python -m benchmarks.in_the_runtime [--rounds 40] [--flights .cache/flight_delay.parquet]``. In a loop that does
nothing else a handler finds its code in the processor's nearest memory. Under Lambda it never does: between two
requests the runtime client posts an answer, waits for the next event and reads it, and the thread that writes captured
rows does its work. So here both handlers run in ``awslambdaric``, each in a process of its own, with the local cloud's
Runtime API in front. They are asked in turn, a hundred times each, and the least of the rounds counts. Two things are
told: the processor time of the handler's own thread until its answer, the middle one of a round; and that of the whole
process for each request, with the runtime client's own and all that is done after the answer. Captured rows go nowhere,
and the log to ``/dev/null``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.cold_start import ROOT, Measured, codes, flights, tiny, written
from localcloud.services.lambda_.runtime.api import RuntimeApi, RuntimeCall

LOOP = """
import time
from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
took = []
def handler(event, context):
    since = time.thread_time_ns()
    answered = answer(event, context.aws_request_id)
    took.append(time.thread_time_ns() - since)
    if "told" in event:
        answered = sorted(took)[len(took) // 2] / 1e3
        took.clear()
    return answered
bootstrap._get_handler = lambda name: handler
bootstrap.run("handler", LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"]))
"""

FOLLOWS = """
from everloop.functions.predict import handler as function
function.predictor = lambda: predictor  # which the thread that is registered as an extension asks for
"""

VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "predict",
    "AWS_LAMBDA_FUNCTION_VERSION": "4",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_LOG_GROUP_NAME": "group",
    "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
    "ORT_DISABLE_TELEMETRY": "1",
}


class Function:
    """A process that answers events, and Lambda's side of it."""

    def __init__(self, code: str, folder: Path) -> None:
        self._api = RuntimeApi()
        variables = {**os.environ, **VARIABLES, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], cwd=ROOT, env=variables, stdout=subprocess.DEVNULL
        )
        self._waiting, self._asked = self._call(), 0

    def ask(self, event: bytes) -> bytes:
        """The answer to an event, once all is done that follows it."""
        self._asked += 1
        name, deadline = f"request-{self._asked}", int(time.time() * 1000) + 60_000
        about = {
            "Lambda-Runtime-Aws-Request-Id": name,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:predict",
        }
        self._api.answer_next(self._waiting, about, event)
        self._api.begin_invocation({"requestId": name, "deadlineMs": deadline})
        answered = self._call()
        self._api.answer(answered, 202)
        if answered.kind != "response":
            raise SystemExit(f"the function failed: {answered.body!r}")
        self._waiting = self._call()
        if not self._api.extensions.are_ready:
            self._api.wait_for_extensions(time.monotonic() + 60, self._check)
        return answered.body

    def spent(self) -> float:
        """Microseconds of the processor, by the scheduler's count, of all threads."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e3

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._api.close()

    def _call(self) -> RuntimeCall:
        return self._api.wait(time.monotonic() + 60, self._check)

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit("the function's process has ended")


@contextmanager
def running(code: str, folder: Path) -> Iterator[Function]:
    """A function, while it is measured."""
    function = Function(code, folder)
    try:
        yield function
    finally:
        function.end()


def compare(measured: Measured, rounds: int, requests: int = 100) -> list[tuple[float, float]]:
    """Microseconds of a request: of the handler and of the whole process; bare, and the prediction function."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        bare, ours = codes(measured, written(folder, measured))
        functions = [stack.enter_context(running(code + LOOP, folder)) for code in (bare, ours + FOLLOWS)]
        event = (folder / "1.json").read_bytes()
        told = json.dumps({**json.loads(event), "told": True}).encode()
        found: list[list[tuple[float, float]]] = [[], []]
        for _ in range(rounds):
            for function, rows in zip(functions, found, strict=True):
                before = function.spent()
                for _ in range(requests):
                    function.ask(event)
                whole = (function.spent() - before) / requests
                rows.append((float(function.ask(told)), whole))
    # The first round has the start of all that is done once.
    return [(min(one for one, _ in rows[1:]), min(whole for _, whole in rows[1:])) for rows in found]


def main(rounds: int, data: Path | None) -> None:
    """Print the table."""
    print(
        "| one row, in the runtime's loop | bare, µs | function, µs | ÷ bare | process, bare | process, function | ÷ |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, measured in (("tiny", tiny()), *([("flights", flights(data))] if data else ())):
        (bare, whole_bare), (ours, whole_ours) = compare(measured, rounds)
        handlers, wholes = f"{bare:.0f} | {ours:.0f}", f"{whole_bare:.0f} | {whole_ours:.0f}"
        print(f"| {name} | {handlers} | {ours / bare:.2f} | {wholes} | {whole_ours / whole_bare:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--flights", type=Path, help="the file of flights, whose model is measured too")
    options = parser.parse_args()
    main(options.rounds, options.flights)
