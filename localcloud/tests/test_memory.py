"""The local cloud lives through a year: what it keeps of a day's calls does not grow with the days.

Objects are counted rather than megabytes: one kept for every day is one too many. What AWS keeps for some time is
kept here as long; those times are shortened, so that a few weeks show what a year would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.census import reachable

TESTS = Path(__file__).resolve().parent


def test_no_object_is_kept_for_every_day(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.living_days", str(tmp_path)]

    lived = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)

    assert lived.returncode == 0, lived.stderr[-3000:]
    told = json.loads(lived.stdout)
    assert told["grown"] == {}
    # Of texts, numbers and tables of them the collector lists none: counted store by store.
    assert told["grown_stores"] == {}
    assert {"moto.s3.models.S3Backend", "localcloud.services.athena.hook"} <= set(told["stores"])
    assert told["blocks_a_day"] < 200
    assert told["instance_types"] == 0


def test_what_the_collector_does_not_list_counts_for_its_store() -> None:
    class Store:
        def __init__(self) -> None:
            self.empty: dict[str, dict[str, str]] = {}
            self.numbers: list[float] = []

    store = Store()
    held = [store]

    def count() -> int:
        return reachable(held, set())

    before = count()
    for number in range(50):
        store.empty[f"name {number}"] = {}
        store.numbers.append(float(f"{number}.5"))
    assert count() - before == 150
