"""Prints the fastest Python of this one's version that can be typed here: ``python3 tools/fastest_python.py``.

A Python that was built without its profile, as a version manager builds it where nobody asks otherwise, takes a fifth
longer for all that is Python; the system's own of the same version often stands beside it. Where the project has an
environment of this version, its Python is printed: nothing is measured twice, and no environment is made anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"

ENOUGH = 0.9
"""Another is taken if it needs at most so much of this one's time: less is chance."""

MEASURE = """
import ensurepip, json, sys, time, venv
class Pair:
    def __init__(self, value): self.value = value
    def plus(self, other): return self.value + other
def work():
    begun = time.process_time()
    kept = {}
    for number in range(40_000):
        kept[number % 100] = (Pair(number).plus(number), f"{number}-".partition("-"))
    return time.process_time() - begun
print(json.dumps([sys.version_info[:2], sys._base_executable, min(work() for _ in range(7))]))
"""
"""Calls, attributes and texts. A Python without ``ensurepip`` can make no environment, and fails."""


def main() -> int:
    """Print the path of one."""
    print(of_environment() or fastest())
    return 0


def of_environment() -> str | None:
    """What the environment was made with, if that is of this version and still there."""
    try:
        lines = (ENVIRONMENT / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    said = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    version = said.get("version", "").split(".")[:2]
    python = said.get("executable", "")
    return python if version == list(map(str, sys.version_info[:2])) and os.access(python, os.X_OK) else None


def fastest() -> str:
    """This one, or the fastest on the PATH of the same version, if that is faster by more than chance."""
    own = measured(sys.executable)
    if own is None:
        return sys.executable
    return chosen(own, [found for found in map(measured, candidates()) if found is not None])


def chosen(own: tuple[float, str], others: Iterable[tuple[float, str]]) -> str:
    """Of seconds and paths, the path to take."""
    seconds, python = min(others, default=own)
    return python if seconds <= ENOUGH * own[0] else own[1]


def candidates() -> Iterator[str]:
    """The programs of this version's name, each once."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folders = dict.fromkeys(os.environ.get("PATH", "").split(os.pathsep))
    found: dict[str, str] = {}
    for path in (os.path.join(folder, name) for folder in folders if folder):
        if os.access(path, os.X_OK):
            found.setdefault(os.path.realpath(path), path)
    yield from found.values()


def measured(python: str) -> tuple[float, str] | None:
    """The seconds of some work, and what stands behind the name; None where it can't be used."""
    try:
        command = [python, "-I", "-S", "-c", MEASURE]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        version, path, seconds = json.loads(ran.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return (float(seconds), str(path)) if version == list(sys.version_info[:2]) else None


if __name__ == "__main__":
    sys.exit(main())
