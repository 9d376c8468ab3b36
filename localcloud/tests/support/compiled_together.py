"""Workers compile the test modules of a fresh clone together, not each of them all: a hook of pytest.

pytest writes its assertions into a module when it imports it, and keeps what it compiled. Workers import the same
modules at the same time, so each would find nothing kept yet: 9 s of processor time for each worker.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest
from _pytest.assertion import rewrite


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile this worker's share of what is not kept; by the time they import, the others have compiled theirs."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker is None or count is None or sys.dont_write_bytecode:
        return
    folders = (session.config.invocation_params.dir / argument for argument in session.config.args)
    modules = sorted({module for folder in folders if folder.is_dir() for module in folder.rglob("test_*.py")})
    for module in modules[int(worker.removeprefix("gw")) :: int(count)]:
        _compile(module, session.config)


def _compile(module: Path, config: pytest.Config) -> None:
    kept = rewrite.get_cache_dir(module) / (module.stem + rewrite.PYC_TAIL)
    if not kept.is_file() and rewrite.try_makedirs(kept.parent):
        with contextlib.suppress(SyntaxError):  # its collection tells of it
            source, code = rewrite._rewrite_test(module, config)
            rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, kept)
