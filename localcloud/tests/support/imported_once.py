"""The clouds of a test process, their functions and jobs, start from processes that have imported once for all of them.

Those end with the tests' process, and the clouds with them.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from localcloud import daemon


@cache
def processes() -> daemon.Processes:
    """What :func:`localcloud.daemon.start` is told; the first call starts what clouds start from."""
    standing = ExitStack()
    atexit.register(standing.close)
    return standing.enter_context(daemon.shared_processes())
