"""The ``python3`` that jobs of a local cloud find: it starts from a process that has imported their packages."""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from everloop.cli.operations.jobs_here import SETTINGS
from localcloud.core.settings import Settings
from localcloud.services.sagemaker.jobs.preload import preloading
from localcloud.services.sagemaker.jobs.root import JobRoot

VARIABLES = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""Those of the interpreter that jobs of the tests have: small fits are quicker on one thread. As in the local cloud no
bytecode is written: what one job compiled the next ones read, wherever their code is."""


@cache
def job_path() -> str:
    """A search path that begins with a folder of ``python`` and ``python3``, for jobs with :data:`VARIABLES`."""
    standing = ExitStack()
    atexit.register(standing.close)
    server = preloading(Settings.read(SETTINGS, frozenset({"lambda", "sagemaker"})), VARIABLES)
    standing.callback(server.close)
    folder = Path(standing.enter_context(tempfile.TemporaryDirectory(prefix="job-python-")))
    root = JobRoot.create(folder / "root", standing.enter_context(server.interpreter()))
    return root.base_environment()["PATH"]
