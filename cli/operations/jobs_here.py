"""The programs of jobs as processes of this machine, each started from one that has imported their packages already.

That is the local cloud's way to start jobs, with the same list of packages: a short training's time is mostly imports.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import everloop

if TYPE_CHECKING:
    from localcloud.core.preloaded.preloading import Preloading

SETTINGS = Path(everloop.__file__).parent / "infra" / "localcloud.toml"
"""What the local cloud is told besides the templates."""


def need_the_packages_of_jobs() -> None:
    """Find the packages that jobs run with, before anything else is done.

    Raises
    ------
    ModuleNotFoundError
        Naming the one that is not installed.
    """
    for name in ("localcloud", "onnx", "onnxruntime", "sklearn"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"no module named {name}", name=name)


@contextlib.contextmanager
def jobs_begin_soon() -> Iterator[None]:
    """Let the packages of jobs be imported beside what is done within, before its first job."""
    with _preloading().interpreter():
        yield


def run_job(
    program: list[str], code: Path, variables: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[list[str], int]:
    """Run a job's program in the unpacked archive; its lines, each told as it comes, and its exit status.

    Parameters
    ----------
    program : list of str
        What follows ``python``: ``-m`` and a module, or a file, and arguments.
    """
    preloading = _preloading()
    # A learner's threads that spin while they wait would slow each other down on a machine that does more.
    given = {**os.environ, **preloading.preset, **{name: str(value) for name, value in variables.items()}}
    lines = []
    with (
        preloading.interpreter() as python,
        subprocess.Popen(
            [*python, *program],
            cwd=code,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            say(f"  {line.rstrip()}")
    return lines, process.returncode


@cache
def _preloading() -> Preloading:
    from localcloud.core.settings import Settings
    from localcloud.services.sagemaker.jobs.preload import preloading
    from localcloud.services.sagemaker.service import SERVICE

    settings = Settings.read(SETTINGS, frozenset({"lambda", str(SERVICE.settings)}))
    server = preloading(settings, os.environ)
    atexit.register(server.close)
    return server
