"""What is freed goes back to the system, although something that is used lies behind it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from localcloud import control
from localcloud.core import allocator
from localcloud.core.processes import resident_mb

BLOCKS, BYTES, EVERY = 100_000, 2_000, 100
ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is free")


def own_mb() -> int:
    return resident_mb(int(Path("/proc/self").resolve().name))


def leave_holes() -> list[bytes]:
    """200 MB of blocks from threads of their own; one in a hundred stays in use."""
    kept: list[bytes] = []

    def fill() -> None:
        blocks = [b"%d" % n * (BYTES // len(b"%d" % n)) for n in range(BLOCKS // 2)]
        kept.extend(blocks[::EVERY])

    for _ in range(2):
        thread = threading.Thread(target=fill)
        thread.start()
        thread.join()
    kept.extend([b"%d" % n * (BYTES // len(b"%d" % n)) for n in range(BLOCKS)][::EVERY])
    return kept


@ON_GLIBC
def test_free_memory_between_what_is_used_is_given_back() -> None:
    before = own_mb()
    kept = leave_holes()
    held = own_mb() - before

    assert held > 50, "nothing is left to give back: this test shows nothing"
    assert allocator.release()
    assert own_mb() - before < held / 2
    assert all(block.isdigit() for block in kept)


@ON_GLIBC
def test_a_running_cloud_gives_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_mb()
    kept = leave_holes()
    held = own_mb() - before
    monkeypatch.setattr(control, "_SAMPLE_SECONDS", 0.01)

    watch = control.MemoryWatch({})
    deadline = time.monotonic() + 30
    while own_mb() - before > held / 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    watch.stop()

    assert own_mb() - before < held / 2
    assert kept


@ON_GLIBC
def test_glibc_takes_the_settings() -> None:
    assert allocator.configure()


IDLE_THREADS = """
import ctypes, sys, threading
from localcloud.core import allocator
class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in "arena ord sm hb hbd us fs in_use free cost".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
allocator.configure()
end, here = threading.Event(), threading.Barrier(41)
def idle():
    for size in range(16, 1032, 16):
        for block in [libc.malloc(size) for _ in range(10)]:
            libc.free(block)
    here.wait()
    end.wait()
before = libc.mallinfo2().in_use
threads = [threading.Thread(target=idle) for _ in range(40)]
for thread in threads:
    thread.start()
here.wait()
allocator.release()
print(libc.mallinfo2().in_use - before)
end.set()
"""


@ON_GLIBC
def test_idle_threads_keep_no_freed_blocks() -> None:
    def kept(environment: dict[str, str]) -> int:
        command = [sys.executable, "-c", IDLE_THREADS]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    assert kept(plain) > 4_000_000, "threads keep nothing by themselves: this test shows nothing"
    assert kept(allocator.environment(plain)) < 1_000_000


@pytest.mark.parametrize("before", [{}, {"GLIBC_TUNABLES": "glibc.malloc.check=1", "A": "b"}])
def test_children_have_the_environment_of_before(before: dict[str, str]) -> None:
    made = allocator.environment(before)
    assert made["GLIBC_TUNABLES"].endswith("glibc.malloc.tcache_count=0")
    assert allocator.environment(made) == made

    allocator.forget(made)

    assert made == before


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_glibc", lambda: None)

    assert not allocator.configure()
    assert not allocator.release()
