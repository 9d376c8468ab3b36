"""The CDK's own command line, unmodified, from its registry."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.npm import install_program

PACKAGE = "aws-cdk@2.1148.1"
"""The newest on npm can't read current templates."""


@dataclass(frozen=True)
class Cdk:
    """The command, as typed in a folder by a shell that has these variables."""

    program: Path
    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str, status: int = 0) -> str:
        """What it prints; the test fails where it ends with another status."""
        finished = subprocess.run(
            [self.program, "--no-notices", "--no-color", *words],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert finished.returncode == status, finished.stdout
        return finished.stdout


def install_cdk(folder: Path) -> Path:
    """The program, installed into a folder; the test is skipped where there is no npm."""
    return install_program(PACKAGE, "cdk", folder)


def shell_of(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a shell that is pointed at a cloud, and at nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return {**kept, "HOME": str(home), "CDK_DISABLE_CLI_TELEMETRY": "true", "NODE_NO_WARNINGS": "1", **variables}
