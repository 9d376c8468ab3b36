"""Workers that start from a process which has imported what their functions import: one for equal layers.

What it imports comes from the functions' own layers and the runtime's packages, in their order. A function whose code
brings a module of one of those names, or that sets a variable which was read at the imports, starts plainly.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.processes import resident_mb

MOST_SERVERS = 8
"""Functions of further layers start plainly while so many are there."""

FLAGS = ("-S", "-P")
"""The interpreter's options: they keep this environment's packages and the working directory off the import path."""

_OF_ALL = (
    *("PATH", "LANG", "PYTHONIOENCODING", "PYTHONUTF8", "TZ", "LAMBDA_RUNTIME_DIR", "AWS_EXECUTION_ENV"),
    *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED"),
)
"""Variables that many functions have with the same value."""


class PreparedWorkers:
    """The processes that have imported, each for one list of folders and one set of variables.

    Parameters
    ----------
    modules : sequence of str
        What they import, as far as their folders have it. With none, workers start plainly.
    compiled : Path, optional
        Where they leave what they compile: functions have many modules in common, and none is to write into its code.
    standing : Path, optional
        Where they stand for other clouds too.
    """

    def __init__(self, modules: Sequence[str] = (), compiled: Path | None = None, standing: Path | None = None) -> None:
        self._modules = tuple(modules)
        self._compiled = compiled
        self._standing = standing
        self._lock = threading.Lock()
        self._servers: dict[tuple[object, ...], Preloading] = {}

    def of(self, path: Sequence[Path], libraries: Sequence[Path], environment: Mapping[str, str]) -> Preloading | None:
        """What a function's workers start from; None where that is a plain start.

        Parameters
        ----------
        path : sequence of Path
            The import path after the function's code.
        libraries : sequence of Path
            Folders of libraries that its layers bring.
        environment : mapping
            The worker's.
        """
        if not self._modules:
            return None
        variables = {name: environment[name] for name in _OF_ALL if name in environment}
        if self._standing is not None:
            variables.pop("AWS_ENDPOINT_URL", None)  # each cloud has its own
        if libraries:
            variables["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
        key = (*path, None, *variables.items())
        with self._lock:
            if key not in self._servers:
                if len(self._servers) >= MOST_SERVERS and not self._let_one_go():
                    return None
                self._servers[key] = Preloading(
                    self._modules,
                    variables,
                    path=path,
                    flags=FLAGS,
                    own_home=False,
                    compiled=self._compiled,
                    standing=self._standing,
                )
            return self._servers[key]

    def memory_mb(self) -> int:
        """The resident memory of all of them."""
        with self._lock:
            found = [server.session() for server in self._servers.values()]
        return sum(resident_mb(pid) for pid in found if pid is not None)

    def close(self) -> None:
        """End all of them, and with them what still runs."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close()

    def _let_one_go(self) -> bool:
        for key, server in self._servers.items():
            if server.session() is None:
                del self._servers[key]
                return True
        return False
