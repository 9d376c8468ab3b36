"""Times what a newcomer waits for: the set-up and the replayed year, in a fresh clone.

    python benchmarks/loop.py [--keep FOLDER]

Clones the repository, runs ``make setup``, ``make loop`` and ``make loop`` again, and prints the seconds of each, the
second run's share of the first, and what the summary says of the year and of memory. With ``--keep`` the clone
stays, with all that the runs left in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where the clone is made, and stays; must not exist yet")
    with clone_into(parser.parse_args().keep) as clone:
        setup = timed(["make", "setup"], clone)
        first = timed(["make", "loop"], clone)
        summary = summary_of(clone)
        again = timed(["make", "loop"], clone)
        repeated = summary_of(clone)
    figures = {
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "setup_seconds": round(setup, 1),
        "loop_seconds": round(first, 1),
        "replay_wall_seconds": summary["wall_seconds"],
        "loop_again_seconds": round(again, 1),
        "replay_wall_seconds_again": repeated["wall_seconds"],
        "again_to_first": round(again / first, 2),
        "peak_memory_mb": [summary["peak_memory_mb"], repeated["peak_memory_mb"]],
        "rows_served": summary["rows_served"],
        "loop": [{name: run["loop"][name]["value"] for name in ("roc_auc", "log_loss")} for run in (summary, repeated)],
    }
    print(json.dumps(figures, indent=2))
    return 0


@contextlib.contextmanager
def clone_into(folder: Path | None) -> Iterator[Path]:
    """A clone of what is committed: in ``folder``, or for as long as it is used."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = folder or Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        yield clone


def timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes; its output goes to this terminal."""
    started = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    return time.monotonic() - started


def summary_of(clone: Path) -> dict[str, Any]:
    """What the last replay came to."""
    return json.loads((clone / "out" / "flight_delay" / "summary.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
