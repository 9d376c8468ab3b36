"""Free memory goes back to the system, where the C library is glibc; nothing is done elsewhere.

glibc keeps what is freed in up to eight arenas for each core, and gives back only what is free at the very end of one.
A process of many threads that now and then holds a large table then keeps the sum of what each arena once held.

Each thread besides keeps up to seven freed blocks of each of 64 sizes for itself, a quarter of a megabyte: measured,
24 MB for a hundred idle threads, which fill up over weeks of simulated time and look like blocks in use. They are
switched off where the process starts, since glibc has no call for it.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Mapping, MutableMapping
from functools import cache

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
ARENAS = 2
"""One thread computes in Python at a time: more arenas than a few part nothing but free memory."""

MAPPED_BYTES = 1 << 20
"""What is larger has pages of its own, which go with it; glibc would raise this to 32 MB by itself."""


_TUNABLES = "GLIBC_TUNABLES"
_NO_BLOCKS_OF_THREADS = "glibc.malloc.tcache_count=0"


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment with which to start a process whose threads are to keep no freed blocks for themselves."""
    own = [] if _NO_BLOCKS_OF_THREADS in inherited.get(_TUNABLES, "") else [_NO_BLOCKS_OF_THREADS]
    return {**inherited, _TUNABLES: ":".join(filter(None, [inherited.get(_TUNABLES), *own]))}


def forget(environment: MutableMapping[str, str]) -> None:
    """Take out what :func:`environment` added: it is read at the start, and is not meant for children."""
    settings = environment.get(_TUNABLES, "").split(":")
    kept = ":".join(setting for setting in settings if setting and setting != _NO_BLOCKS_OF_THREADS)
    if kept:
        environment[_TUNABLES] = kept
    else:
        environment.pop(_TUNABLES, None)


def configure() -> bool:
    """Few arenas, and large blocks on pages of their own, from now on; whether this C library can do so."""
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_M_ARENA_MAX, ARENAS)) and bool(library.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES))


def release() -> bool:
    """Give the pages that are free back to the system; whether there were any and this C library can do so.

    Takes milliseconds for each hundred megabytes, in which Python's other threads go on.
    """
    library = _glibc()
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:  # has a pool of its own
        arrow.default_memory_pool().release_unused()
    return library is not None and bool(library.malloc_trim(0))


@cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)
