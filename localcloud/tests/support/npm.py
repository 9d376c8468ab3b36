"""Programs that come by npm, unmodified, from its registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def install_program(package: str, name: str, folder: Path) -> Path:
    """The program ``name`` of a package, see :func:`install_package`."""
    return install_package(package, folder) / ".bin" / name


def install_package(package: str, folder: Path) -> Path:
    """The folder of modules with a package, installed below ``folder``; the test is skipped where there is no npm.

    Parameters
    ----------
    package : str
        With its version: ``aws-cdk@2.1148.1``.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"there is no npm on the PATH, and {package} comes by it")
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "node_modules"
