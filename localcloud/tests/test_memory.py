"""The local cloud lives through a year: what it keeps of a day's calls does not grow with the days.

Objects are counted rather than megabytes: one kept for every day is one too many. What AWS keeps for some time is
kept here as long; those times are shortened, so that a few weeks show what a year would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def test_no_object_is_kept_for_every_day(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.living_days", str(tmp_path)]

    lived = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)

    assert lived.returncode == 0, lived.stderr[-3000:]
    told = json.loads(lived.stdout)
    assert told["grown"] == {}
    # Texts and numbers, which the collector does not list.
    assert told["blocks_a_day"] < 500
