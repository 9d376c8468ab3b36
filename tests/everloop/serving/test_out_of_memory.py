"""What is promised of captured rows where memory runs out after an answer, tried on processes that lose theirs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, resource, signal, sys, time
from everloop.serving.after_answer import AfterAnswer, Deadline, Invocation
from everloop.serving.capture import CaptureWriter

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

class Stream:
    def put_record_batch(self, DeliveryStreamName, Records):
        for record in Records:
            say("stream", json.loads(record["Data"])["row"])
        return {"FailedPutCount": 0}

def log(failures, at):
    for failure in failures:
        say("log", str(failure.record), failure.reason)

class TooLarge:
    request_id = "name-of-c"

    def __iter__(self):
        return iter([{"row": bytearray(2**20)} for _ in range(100_000)])

deadline = Deadline()
after = AfterAnswer(CaptureWriter(Stream(), "s", has_time=deadline.has_time), log, deadline)

def ask(name, rows=None):
    after.write([{"row": name}] if rows is None else rows)
    say("answer", name)
    after.answered(name, 5)
    return Invocation(name, time.time() + 30)

for name in "ab":
    after.finish(ask(name))
if sys.argv[1] == "killed":
    ask("c")
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, size + 2**26))
after.finish(ask("c", TooLarge()))
after.finish(ask("d"))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory"),
]


def run(how: str) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_process_that_is_killed_after_an_answer_loses_the_rows_of_that_request_alone() -> None:
    status, said = run("killed")
    assert status == -signal.SIGKILL
    assert said == ["answer a", "stream a", "answer b", "stream b", "answer c"]


def test_rows_that_memory_is_too_small_for_are_told_of_in_the_log_and_the_process_goes_on() -> None:
    status, said = run("exhausted")
    assert status == 0
    assert said[4] == "answer c"
    assert said[5].startswith("log {'request_id': 'name-of-c'} its rows could not be made: MemoryError")
    assert said[6:] == ["answer d", "stream d"]
