"""The contract between a function and what runs it, over both runtime clients."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.core.processes import HAS_PROC
from localcloud.services.lambda_.runtime.invoker import InvocationResult
from localcloud.services.lambda_.runtime.pool import PoolLimits
from support.lambdas import NEEDS_PRELOADING, START, Lambda, MakeLambda


def error_of(result: InvocationResult) -> dict[str, Any]:
    assert result.function_error == "Unhandled"
    return dict(json.loads(result.payload))


def test_returns_what_the_handler_returns(aws: Lambda) -> None:
    aws.create("def handle(event, context):\n    return {'got': event, 'text': 'žluťoučký'}\n")

    result = aws.invoke('{"a": [1, null, "é"]}'.encode())

    assert json.loads(result.payload) == {"got": {"a": [1, None, "é"]}, "text": "žluťoučký"}
    assert result.function_error is None
    assert result.executed_version == "$LATEST"


def test_an_exception_is_an_error_document_with_its_trace(aws: Lambda) -> None:
    aws.create("def inner():\n    raise KeyError('missing thing')\n\ndef handle(event, context):\n    inner()\n")

    error = error_of(aws.invoke())

    assert error["errorType"] == "KeyError"
    assert error["errorMessage"] == "'missing thing'"
    assert "inner" in error["stackTrace"][-1]
    assert error["requestId"]
    assert any("[ERROR] KeyError: 'missing thing'" in line for line in aws.sink.lines)


def test_a_worker_is_kept_and_survives_an_exception(aws: Lambda) -> None:
    # GIVEN a function that counts its invocations in the process and fails on the second
    aws.create(
        "n = 0\n"
        "def handle(event, context):\n"
        "    global n\n"
        "    n += 1\n"
        "    if n == 2:\n"
        "        raise ValueError\n"
        "    return n\n"
    )

    # WHEN it is invoked three times
    payloads = [aws.invoke().payload for _ in range(3)]

    # THEN all three ran in one process
    assert (payloads[0], payloads[2]) == (b"1", b"3")


def test_the_context_is_the_documented_one(aws: Lambda) -> None:
    aws.create(
        "def handle(event, context):\n"
        "    return [context.function_name, context.function_version, context.invoked_function_arn,\n"
        "            context.memory_limit_in_mb, context.log_group_name, context.aws_request_id,\n"
        "            context.get_remaining_time_in_millis()]\n",
        Timeout=7,
    )

    result = aws.invoke()

    name, version, arn, memory, group, request_id, remaining = json.loads(result.payload)
    assert (name, version, memory, group) == ("f", "$LATEST", "512", "/aws/lambda/f")
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert request_id == result.request_id
    assert 0 < remaining <= 7000


def test_the_environment_is_the_functions_own(aws: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a variable that only the parent has
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "1")
    aws.create(
        "import os\ndef handle(event, context):\n    return dict(os.environ)\n",
        Environment={"Variables": {"MINE": "x"}},
    )

    environment = json.loads(aws.invoke().payload)

    assert environment["MINE"] == "x"
    assert environment["AWS_SESSION_TOKEN"] == "token of arn:aws:iam::123456789012:role/f"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert "SECRET_OF_THE_PARENT" not in environment


def test_a_function_that_takes_too_long_is_stopped(aws: Lambda) -> None:
    aws.create("import time\ndef handle(event, context):\n    time.sleep(event['s'])\n    return 1\n", Timeout=1)

    error = error_of(aws.invoke(b'{"s": 30}'))

    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 1.00 seconds")
    # AND a fresh process answers the next event
    assert aws.invoke(b'{"s": 0}').payload == b"1"


def test_a_process_that_ends_is_an_exit_error(aws: Lambda) -> None:
    aws.create("import os\ndef handle(event, context):\n    os._exit(event['code'])\n")

    assert "exit status 3" in error_of(aws.invoke(b'{"code": 3}'))["errorMessage"]
    assert error_of(aws.invoke(b'{"code": 0}'))["errorType"] == "Runtime.ExitError"


def test_a_process_that_is_killed_is_an_exit_error(aws: Lambda) -> None:
    aws.create("import os, signal\ndef handle(event, context):\n    os.kill(os.getpid(), signal.SIGSEGV)\n")

    error = error_of(aws.invoke())

    assert error["errorType"] == "Runtime.ExitError"
    assert "signal: segmentation fault" in error["errorMessage"]


def test_using_more_memory_than_configured_is_out_of_memory(aws: Lambda) -> None:
    aws.create(
        "kept = []\ndef handle(event, context):\n    kept.append(b'x' * (event['mb'] << 20))\n    return 1\n",
        MemorySize=128,
    )

    assert aws.invoke(b'{"mb": 1}').payload == b"1"
    error = error_of(aws.invoke(b'{"mb": 400}'))

    assert error["errorType"] == "Runtime.OutOfMemory"


def test_a_module_that_can_not_be_imported(aws: Lambda) -> None:
    aws.create("import not_there\ndef handle(event, context):\n    return 1\n")

    error = error_of(aws.invoke())

    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"] == "Unable to import module 'handler': No module named 'not_there'"


def test_a_handler_that_is_missing(aws: Lambda) -> None:
    aws.create("x = 1\n")

    assert error_of(aws.invoke())["errorType"] == "Runtime.HandlerNotFound"


def test_a_module_with_a_syntax_error(aws: Lambda) -> None:
    aws.create("def handle(event, context)\n")

    assert error_of(aws.invoke())["errorType"] == "Runtime.UserCodeSyntaxError"


def test_a_module_that_raises_at_import(aws: Lambda) -> None:
    aws.create("raise RuntimeError('no configuration')\n")

    error = error_of(aws.invoke())

    assert (error["errorType"], error["errorMessage"]) == ("RuntimeError", "no configuration")


def test_a_module_that_ends_the_process_at_import(aws: Lambda) -> None:
    aws.create("import sys\nsys.exit(4)\n")

    assert error_of(aws.invoke())["errorType"] == "Runtime.ExitError"


def test_a_result_that_is_no_json(aws: Lambda) -> None:
    aws.create("def handle(event, context):\n    return {1, 2}\n")

    assert error_of(aws.invoke())["errorType"] == "Runtime.MarshalError"


def test_a_result_of_decimals_is_numbers(aws: Lambda) -> None:
    aws.create("import decimal\ndef handle(event, context):\n    return decimal.Decimal('1.5')\n")

    assert json.loads(aws.invoke().payload) == 1.5


def test_a_result_over_six_megabytes_is_refused(aws: Lambda) -> None:
    aws.create("def handle(event, context):\n    return 'x' * event['n']\n")

    error = error_of(aws.invoke(b'{"n": 6300000}'))

    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    # AND the same worker goes on
    assert len(aws.invoke(b'{"n": 6000000}').payload) == 6_000_002


def test_a_large_event_arrives_whole(aws: Lambda) -> None:
    aws.create("def handle(event, context):\n    return len(event)\n")

    assert aws.invoke(json.dumps("x" * 5_000_000).encode()).payload == b"5000000"


def test_output_becomes_the_log_between_start_and_report(aws: Lambda) -> None:
    aws.create(
        "import logging, sys\n"
        "def handle(event, context):\n"
        "    print('to stdout')\n"
        "    print('to stderr', file=sys.stderr)\n"
        "    logging.getLogger().warning('by the logger')\n"
    )

    result = aws.invoke()

    lines = aws.sink.lines
    assert lines[0] == f"START RequestId: {result.request_id} Version: $LATEST"
    assert lines[1:3] == ["to stdout", "to stderr"]
    assert lines[3].startswith("[WARNING]")
    assert lines[3].endswith(f"{result.request_id}\tby the logger")
    assert lines[4] == f"END RequestId: {result.request_id}"
    assert "Init Duration" in lines[5]
    assert "Max Memory Used" in lines[5]
    assert result.log_tail.decode().splitlines() == lines


def test_initialisation_is_told_apart_from_the_duration_and_billed_with_it(aws: Lambda) -> None:
    aws.create("import time\ntime.sleep(0.2)\ndef handle(event, context):\n    return 1\n")
    aws.invoke()
    aws.invoke()

    first, second = (_report(line) for line in aws.sink.lines if line.startswith("REPORT"))
    assert first["Init Duration"] >= 200
    assert first["Billed Duration"] == pytest.approx(first["Duration"] + first["Init Duration"], abs=1.01)
    assert first["Billed Duration"] >= first["Duration"] + first["Init Duration"] - 0.01
    assert "Init Duration" not in second
    assert second["Billed Duration"] == pytest.approx(second["Duration"], abs=1.01)
    counted = [record.duration_ms for record in aws.sink.records]
    assert counted == pytest.approx([first["Duration"], second["Duration"]], abs=0.01)


def _report(line: str) -> dict[str, float]:
    parts = (part.partition(": ") for part in line.split("\t")[1:])
    return {name: float(value.split()[0]) for name, _, value in parts}


def test_a_worker_that_was_unused_for_long_on_the_clock_is_not_used_again(make_lambda: MakeLambda) -> None:
    aws = make_lambda(limits=PoolLimits(idle_on_clock=timedelta(minutes=10)))
    aws.create("import os\ndef handle(event, context):\n    return os.getpid()\n")
    first = aws.invoke().payload
    aws.clock.advance(START + timedelta(minutes=10))
    assert aws.invoke().payload == first
    aws.clock.advance(START + timedelta(minutes=19))
    assert aws.invoke().payload == first
    aws.clock.advance(START + timedelta(minutes=29, seconds=1))
    assert aws.invoke().payload != first
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
    assert sum("Init Duration" in line for line in aws.sink.lines) == 2


def test_more_output_than_a_pipe_holds_does_not_block(aws: Lambda) -> None:
    aws.create("def handle(event, context):\n    for _ in range(3000):\n        print('y' * 100)\n    return 1\n")

    assert aws.invoke().payload == b"1"
    assert sum(line == "y" * 100 for line in aws.sink.lines) == 3000


def test_concurrent_events_get_a_worker_each(aws: Lambda) -> None:
    # GIVEN a function that answers once three of it run at the same time
    aws.create(
        "import os, pathlib, time\n"
        "def handle(event, context):\n"
        "    place = pathlib.Path(event)\n"
        "    (place / str(os.getpid())).touch()\n"
        "    while len(list(place.iterdir())) < 3:\n"
        "        time.sleep(0.01)\n"
        "    return os.getpid()\n"
    )
    place = aws.service.invoker._temporary.parent / "meeting"
    place.mkdir(parents=True)
    pids: list[bytes] = []

    # WHEN three events come at once
    threads = [
        threading.Thread(target=lambda: pids.append(aws.invoke(json.dumps(str(place)).encode()).payload))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # THEN three processes answered
    assert len(set(pids)) == 3


def test_the_runtime_brings_boto3_and_nothing_of_this_environment(aws: Lambda) -> None:
    aws.create(
        "import importlib.util\n"
        "def handle(event, context):\n"
        "    return {name: importlib.util.find_spec(name) is not None for name in event}\n"
    )

    found = json.loads(
        aws.invoke(b'["boto3", "botocore", "moto", "numpy", "pytest", "localcloud", "everloop", "uv"]').payload
    )

    assert [name for name, there in found.items() if there] == ["boto3", "botocore"]


def test_boto3_uses_the_endpoint_of_the_cloud(aws: Lambda) -> None:
    aws.create("import boto3\ndef handle(event, context):\n    return boto3.client('dynamodb').meta.endpoint_url\n")

    assert json.loads(aws.invoke().payload) == "http://127.0.0.1:1"


def test_temporary_files_of_a_worker_are_its_own_and_end_with_it(aws: Lambda) -> None:
    aws.create(
        "import tempfile, pathlib\n"
        "def handle(event, context):\n"
        "    path = pathlib.Path(tempfile.gettempdir()) / 'x'\n"
        "    path.write_text('1')\n"
        "    return str(path)\n"
    )
    path = json.loads(aws.invoke().payload)

    aws.service.close()

    assert path.startswith(str(aws.service.invoker._temporary))
    assert not Path(path).exists()


def test_a_version_has_four_workers_at_most(aws: Lambda) -> None:
    # GIVEN a function that answers who it was, and is busy for a while
    aws.create("import os, time\ndef handle(event, context):\n    time.sleep(0.5)\n    return os.getpid()\n")
    pids: list[bytes] = []

    # WHEN six events come at once, for which AWS would start six environments
    threads = [threading.Thread(target=lambda: pids.append(aws.invoke(b"{}").payload)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # THEN all are answered, two of them by a worker that had answered before
    assert len(pids) == 6
    assert len(set(pids)) <= 4


COUNTS = (
    "import os, threading, time\n"
    "counted = [0]\n"
    "def count():\n"
    "    while True:\n"
    "        counted[0] += 1\n"
    "        time.sleep(0.01)\n"
    "threading.Thread(target=count, daemon=True).start()\n"
    "def handle(event, context):\n"
    "    return [os.getpid(), counted[0]] if event.get('pid') else counted[0]\n"
)
"""A function with a thread that counts, which AWS freezes with it."""


def test_a_worker_goes_on_between_events(aws: Lambda) -> None:
    aws.create(COUNTS)
    before = int(aws.invoke(b"{}").payload)
    time.sleep(0.5)
    # THEN it has counted on while nothing was asked
    assert int(aws.invoke(b"{}").payload) > before + 5


FREEZING = [{"client": "python"}, {}, pytest.param({"preload": ("colorsys",)}, marks=NEEDS_PRELOADING)]
LINUX = pytest.mark.skipif(not HAS_PROC, reason="the state of a process is read from /proc")


def wait_until(pid: int, wanted: str) -> None:
    """Until it is stopped (T) or a zombie (Z): a signal takes effect when the process has its turn."""
    deadline = time.monotonic() + 30
    while (state := Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]) != wanted:
        assert time.monotonic() < deadline, f"the process is in state {state}"
        time.sleep(0.01)


def time_used(pid: int) -> tuple[str, ...]:
    """Ticks of the processor, of the program and of the system for it."""
    return tuple(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13])


@LINUX
@pytest.mark.parametrize("more", FREEZING)
def test_a_worker_is_frozen_between_events(make_lambda: MakeLambda, more: dict[str, Any]) -> None:
    # GIVEN a function that was asked once
    aws = make_lambda(limits=PoolLimits(freezes=True), **more)
    aws.create(COUNTS)
    pid, _ = json.loads(aws.invoke(b'{"pid": 1}').payload)
    # THEN nothing of it runs until it is asked again, however long that takes
    wait_until(pid, "T")
    used = time_used(pid)
    time.sleep(0.3)
    assert time_used(pid) == used
    # AND then it goes on where it was, in the same process, as often as it is asked
    for _ in range(3):
        again, _ = json.loads(aws.invoke(b'{"pid": 1}').payload)
        assert again == pid
    wait_until(pid, "T")
    assert sum("Init Duration" in line for line in aws.sink.lines) == 1


@LINUX
def test_a_frozen_worker_is_ended_like_another(make_lambda: MakeLambda) -> None:
    aws = make_lambda(limits=PoolLimits(freezes=True, idle_on_clock=timedelta(minutes=10)))
    aws.create(COUNTS)
    first, _ = json.loads(aws.invoke(b'{"pid": 1}').payload)
    aws.clock.advance(START + timedelta(minutes=11))
    second, _ = json.loads(aws.invoke(b'{"pid": 1}').payload)
    os.kill(second, signal.SIGKILL)
    # A process whose first thread has ended is not over yet: the others may take a moment longer.
    os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
    answer = aws.invoke(b'{"pid": 1}')
    assert answer.function_error is None, answer.payload
    third, _ = json.loads(answer.payload)
    aws.service.close()
    for pid in (first, second, third):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_small_function_has_all_processors(aws: Lambda) -> None:
    source = "import os\ndef handle(event, context):\n    return [os.cpu_count(), os.nice(0)]\n"
    aws.create(source, MemorySize=128)
    # AWS would give it a fourteenth of one, as --cold-starts does here.
    assert json.loads(aws.invoke(b"{}").payload) == [os.cpu_count(), os.nice(0)]
