"""The clouds of a test process start from one process that has imported what clouds import.

That process and its clouds end with the tests' process.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from localcloud import daemon


@cache
def python() -> list[str]:
    """What :func:`localcloud.daemon.start` types for ``python``; the first call starts that process."""
    standing = ExitStack()
    atexit.register(standing.close)
    server = daemon.preloading()
    standing.callback(server.close)
    return standing.enter_context(server.interpreter())
