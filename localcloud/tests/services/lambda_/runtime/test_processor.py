"""A function's share of a processor: what is allowed, and that a worker is held to it from its first event on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.lambda_.runtime.pool import PoolLimits
from localcloud.services.lambda_.runtime.processor import (
    CAN_SHARE,
    PERIOD_SECONDS,
    Allowance,
    share_of,
    used_seconds,
)
from support.lambdas import CLIENTS, MakeLambda

LINUX = pytest.mark.skipif(not CAN_SHARE, reason="other systems do not tell the processor time of a process")
SHARES = st.floats(0.07, 6)


@pytest.mark.parametrize(("memory_mb", "processors"), [(1769, 1.0), (128, 0.0724), (512, 0.2894), (3008, 1.7004)])
def test_a_vcpu_at_1769_mb(monkeypatch: pytest.MonkeyPatch, memory_mb: int, processors: float) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert share_of(memory_mb) == pytest.approx(processors, abs=1e-4)
    # AND a share of more than there is on this machine is none
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert share_of(memory_mb) == (pytest.approx(processors, abs=1e-4) if processors < 1 else None)


def worked(share: float, looks: list[float], busy: float) -> tuple[float, float, bool]:
    """Of a program that wants ``busy`` processors: what it used, the time, and whether it was stopped."""
    used = now = 0.0
    allowance, stopped = Allowance(share, used, now), False
    for late in looks:
        turn = allowance.look(used, now)
        stopped |= turn.stopped
        now += turn.seconds + late
        used += busy * (late if turn.stopped else turn.seconds + late)
    return used, now, stopped


LATE = st.lists(st.floats(0, 0.005), min_size=20, max_size=200)


@given(SHARES, LATE)
def test_who_wants_more_gets_the_share_and_no_more(share: float, looks: list[float]) -> None:
    used, now, _ = worked(share, looks, busy=8.0)
    ahead = 8 * (PERIOD_SECONDS + max(looks))
    assert used <= share * now + ahead


@given(SHARES, LATE, st.floats(0, 0.99))
def test_who_wants_less_is_never_stopped(share: float, looks: list[float], part: float) -> None:
    used, now, stopped = worked(share, looks, busy=part * share)
    assert not stopped
    assert used == pytest.approx(part * share * now)


def test_what_was_not_used_is_lost() -> None:
    allowance = Allowance(share=0.1, used=5.0, now=100.0)
    assert not allowance.look(5.0, 100.01).stopped
    assert not allowance.look(5.0, 101.0).stopped
    # THEN 10 ms in the period that begins now are five periods' share, of which four are still to come
    turn = allowance.look(5.01, 101.01)
    assert turn.stopped
    assert turn.seconds == pytest.approx(0.09)


@LINUX
def test_the_time_of_another_process_is_told() -> None:
    program = "import time\nwhile time.process_time() < 0.05: pass\nprint(time.process_time(), flush=True)\ninput()\n"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        said = float(process.stdout.readline())
        assert said <= used_seconds(process.pid)
        process.communicate("\n")
    with pytest.raises(OSError, match="Invalid argument"):
        used_seconds(process.pid)


BURNS = (
    "import signal, time\n"
    "stops = [0]\n"
    "def stopped(*_):\n"
    "    stops[0] += 1\n"
    "signal.signal(signal.SIGCONT, stopped)\n"
    "def burn(seconds):\n"
    "    ends = time.process_time() + seconds\n"
    "    while time.process_time() < ends:\n"
    "        pass\n"
    "burn(0.05)\n"
    "in_init = stops[0]\n"
    "def handle(event, context):\n"
    "    before, used, began = stops[0], time.process_time(), time.monotonic()\n"
    "    burn(event['seconds'])\n"
    "    return [in_init, stops[0] - before, time.process_time() - used, time.monotonic() - began]\n"
)
"""Uses the processor, and counts how often it went on after it had been stopped."""


@LINUX
@pytest.mark.parametrize("client", CLIENTS)
def test_a_function_has_the_share_of_its_memory_once_it_has_initialised(make_lambda: MakeLambda, client: str) -> None:
    aws = make_lambda(client, limits=PoolLimits(freezes=True, shares_processor=True))
    aws.create(BURNS, MemorySize=256)
    share = share_of(256)
    assert share is not None
    asked = time.monotonic()
    for _ in range(2):
        in_init, stops, used, took = json.loads(aws.invoke(b'{"seconds": 0.03}').payload)
        # THEN it was not stopped while it initialised, and its event took as long as a seventh of a vCPU takes
        assert in_init == 0
        assert stops > 0
        assert took > 0.5 * used / share
    # AND the log and the metrics say what it took
    durations = [record.duration_ms / 1000 for record in aws.sink.records]
    assert min(durations) > 0.5 * 0.03 / share
    assert sum(durations) < time.monotonic() - asked


@LINUX
def test_what_a_function_starts_does_not_count(make_lambda: MakeLambda) -> None:
    aws = make_lambda(limits=PoolLimits(shares_processor=True))
    program = "import time\nwhile time.process_time() < 0.05: pass"
    aws.create(
        f"{BURNS}import subprocess, sys\n"
        "def run(event, context):\n"
        f"    subprocess.run([sys.executable, '-S', '-c', {program!r}], check=True)\n"
        "    return [stops[0], time.process_time()]\n",
        Handler="handler.run",
    )
    stops, _ = json.loads(aws.invoke(b"{}").payload)
    # 50 ms of a program, which 512 MB would have stopped nine times
    assert stops < 5


@LINUX
def test_a_function_that_is_out_of_time_is_ended_while_it_is_stopped(make_lambda: MakeLambda) -> None:
    aws = make_lambda(limits=PoolLimits(freezes=True, shares_processor=True))
    aws.create(BURNS, MemorySize=128, Timeout=1)
    result = aws.invoke(b'{"seconds": 5}')
    assert json.loads(result.payload)["errorType"] == "Sandbox.Timedout"
    assert json.loads(aws.invoke(b'{"seconds": 0}').payload)[0] == 0
