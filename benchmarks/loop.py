"""Times what a newcomer waits for: the set-up and the replayed year, in a fresh clone.

    python benchmarks/loop.py

It clones the repository beside the system's temporary files, runs ``make setup``, ``make loop`` and ``make loop``
again,
and prints the seconds of each, the second run's share of the first, and what the summary says of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes; its output goes to this terminal."""
    started = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    return time.monotonic() - started


def main() -> int:
    """Run and print; the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        setup = timed(["make", "setup"], clone)
        first = timed(["make", "loop"], clone)
        summary = json.loads((clone / "out" / "flight_delay" / "summary.json").read_text())
        again = timed(["make", "loop"], clone)
    figures = {
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "setup_seconds": round(setup, 1),
        "loop_seconds": round(first, 1),
        "replay_wall_seconds": summary["wall_seconds"],
        "loop_again_seconds": round(again, 1),
        "again_to_first": round(again / first, 2),
        "peak_memory_mb": summary["peak_memory_mb"],
        "rows_served": summary["rows_served"],
    }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
