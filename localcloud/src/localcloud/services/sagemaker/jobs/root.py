"""A job's file system: what a container has under /opt/ml, in a directory of the job's own.

No unprivileged machine has /opt/ml, and two jobs may run at once. So every job gets a root directory with the
same layout, the ``SM_*`` variables point into it, and a string that begins with ``/opt/ml`` (or with
``--option=/opt/ml``) in an entrypoint, an argument, a hyperparameter or an environment value is rewritten to
it. A path written out inside a script is not: scripts must take their paths from there.

This interpreter's packages stand for the image's. They are also the project's own, so a job that asks pip for
others is told that they are left out, and goes on with what is there.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OPT_ML = "/opt/ml"
PYTHON = """#!/bin/sh
case "${{1-}} ${{2-}} ${{3-}}" in "-m pip install" | "-m pip uninstall")
    echo "left out, because this environment's packages stand for the image's: $*"
    exit 0
esac
exec {interpreter} "$@"
"""
PIP = """#!/bin/sh
exec "${0%/*}/python3" -m pip "$@"
"""
INTERPRETER_VARIABLES = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""What every job's interpreter starts with."""


@dataclass(frozen=True)
class JobRoot:
    """The directory that stands for /opt/ml."""

    path: Path

    @classmethod
    def create(cls, directory: Path, interpreter: Sequence[str] = (sys.executable,)) -> JobRoot:
        """Make the directory, with ``python`` and ``python3`` that are this interpreter, and a harmless ``pip``.

        Parameters
        ----------
        interpreter : sequence of str
            What starts a program of this interpreter.
        """
        directory.mkdir(parents=True)
        root = cls(directory)
        root.directory("/opt/ml/tmp")
        binaries = root.directory("/opt/ml/bin")
        python = PYTHON.format(interpreter=shlex.join(interpreter))
        for name, text in (("python", python), ("python3", python), ("pip", PIP), ("pip3", PIP)):
            wrapper = binaries / name
            wrapper.write_text(text)
            wrapper.chmod(0o755)
        return root

    def local(self, container_path: str) -> Path:
        """Where a path of the container is; a path outside /opt/ml is refused.

        Raises
        ------
        ValueError
            When the path leads out of /opt/ml.
        """
        normal = os.path.normpath(container_path)
        if normal != OPT_ML and not normal.startswith(OPT_ML + "/"):
            raise ValueError(f"{container_path}: only paths below {OPT_ML} exist in a job of the local cloud")
        return self.path / normal[len(OPT_ML) :].lstrip("/")

    def directory(self, container_path: str) -> Path:
        """The same, as a directory that exists."""
        path = self.local(container_path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def rewrite(self, text: str) -> str:
        """``text`` with a leading container path replaced."""
        option, equals, value = text.partition("=")
        if equals and option.startswith("-") and _is_container_path(value):
            return f"{option}={self.path}{value[len(OPT_ML) :]}"
        return f"{self.path}{text[len(OPT_ML) :]}" if _is_container_path(text) else text

    def base_environment(self) -> dict[str, str]:
        """The variables every job process starts with; nothing is inherited but the search path."""
        return {
            "PATH": os.pathsep.join(
                [str(self.path / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
            ),
            "HOME": str(self.path),
            "TMPDIR": str(self.path / "tmp"),
            **INTERPRETER_VARIABLES,
            # For a pip that a script reaches by another way, by sys.executable for one.
            "PIP_DRY_RUN": "1",
        }


def _is_container_path(text: str) -> bool:
    return text == OPT_ML or text.startswith(OPT_ML + "/")
