"""Times what a newcomer waits for: the set-up and the replayed year, in a fresh clone.

    python benchmarks/loop.py [--keep FOLDER]

Clones the repository, runs ``make setup``, ``make loop`` and ``make loop`` again, and prints the seconds of each, the
second run's share of the first, and what both summaries say of the year and of memory. With ``--keep`` the clone
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
        "loop_seconds": [round(first, 1), round(again, 1)],
        "again_to_first": round(again / first, 2),
        "summaries": [figures_of(summary), figures_of(repeated)],
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
    summary: dict[str, Any] = json.loads((clone / "out" / "flight_delay" / "summary.json").read_text(encoding="utf-8"))
    return summary


def figures_of(summary: dict[str, Any]) -> dict[str, Any]:
    """What a summary says, without its lists of what happened when."""
    quality = {
        name: {metric: round(summary[name][metric]["value"], 4) for metric in ("roc_auc", "log_loss")}
        for name in ("frozen", "loop")
    }
    plain = ("wall_seconds", "peak_memory_mb", "rows_served", "predictions_captured", "labels_joined")
    retrainings = summary["retrainings"]
    return {
        **{name: summary[name] for name in plain},
        **quality,
        "retrainings": {
            v: sum(r["verdict"] == v for r in retrainings) for v in sorted({r["verdict"] for r in retrainings})
        },
        "rollbacks": len(summary["rollbacks"]),
        "drift_windows": summary["drift_windows"],
        "audit": {name: summary["audit"][name] for name in ("records", "intact")},
    }


if __name__ == "__main__":
    sys.exit(main())
