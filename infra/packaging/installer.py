"""Installs wheels for another platform into a folder, with uv or pip; whichever works."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from everloop.infra.exceptions import LayerUnavailableError
from everloop.infra.packaging.requirements import Target

GLIBC = "manylinux_2_28"
"""What Lambda's Python 3.12 and newer run on. With an older one, installers find no current numpy."""

OLDEST_GLIBC = 17
"""Of glibc 2: what ``manylinux2014`` wheels are built for (PEP 599), the oldest kind that is still made."""


def install_wheels(requirements: Path, constraints: Path, target: Target, folder: Path) -> None:
    """Install what ``requirements`` lists into ``folder``.

    uv is tried first because it is some ten times faster; it does not read pip's configuration, so where an index
    is configured for pip alone, pip does it.

    Raises
    ------
    LayerUnavailableError
        When neither can; with the installers' own words.
    """
    failures: list[str] = []
    for name, command in _commands(requirements, constraints, target, folder):
        shutil.rmtree(folder, ignore_errors=True)
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode == 0:
            return
        failures.append(f"{name}: {finished.stderr.strip()[-800:]}")
    if not failures:
        raise LayerUnavailableError(
            "a function's packages can't be installed: this environment has no pip, and there is no uv; "
            f"type: {sys.executable} -m ensurepip"
        )
    listed = ", ".join(requirements.read_text(encoding="utf-8").split("\n")).strip(", ")
    raise LayerUnavailableError(
        f"the layer of {listed} for Python {target.python} on {target.architecture} can't be built; synthesize"
        " once with access to a package index (the layer is then kept in .cache/layers), or configure pip for the"
        " index you use.\n" + "\n".join(failures)
    )


def platform_tags(target: Target) -> list[str]:
    """The platform tags of wheels that run on Lambda, newest first: pip takes only those it is told, one by one."""
    newest = int(GLIBC.rpartition("_")[2])
    kinds = [f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC - 1, -1)]
    return [f"{kind}_{target.machine}" for kind in (*kinds, "manylinux2014")]


def _commands(requirements: Path, constraints: Path, target: Target, folder: Path) -> list[tuple[str, list[str]]]:
    files = ["-r", str(requirements), "-c", str(constraints), "--target", str(folder)]
    uv = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else _on_path("uv")
    commands: list[tuple[str, list[str]]] = []
    if uv:
        platform = ["--python-platform", f"{target.machine}-{GLIBC}", "--python-version", target.python]
        quiet = ["--quiet", "--no-config", "--only-binary", ":all:"]
        commands.append(("uv", [*uv, "pip", "install", *quiet, *platform, *files]))
    if importlib.util.find_spec("pip"):
        platform = [part for tag in platform_tags(target) for part in ("--platform", tag)]
        platform += ["--python-version", target.python, "--implementation", "cp", "--only-binary=:all:"]
        quiet = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-input"]
        commands.append(("pip", [sys.executable, "-m", "pip", "install", *quiet, *platform, *files]))
    return commands


def _on_path(name: str) -> list[str]:
    found = shutil.which(name)
    return [found] if found else []
