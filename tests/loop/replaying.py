"""``everloop replay`` of the bakery as a process of its own, and the evidence that it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from everloop.cli.replay import evidence
from tests.loop.models import BAKERY, ROOT


@dataclass(frozen=True)
class Replayed:
    """What the command said and how it ended, and the folder of its evidence."""

    status: int
    said: str
    err: str
    out: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / evidence.SUMMARY_FILE).read_text(encoding="utf-8"))
        return found

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(self.out / evidence.PREDICTIONS_FILE)


def replay(data: Path, until_history: str, models: Path, out: Path, *options: str) -> Replayed:
    """Replay ``data`` from a day on, with the declarations in ``models``."""
    command = [sys.executable, "-c", "from everloop.cli.main import main; main()", "replay", BAKERY]
    command += ["--data", str(data), "--until-history", until_history, "--out", str(out)]
    command += ["--models-directory", str(models), *options]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(finished.stdout)
    return Replayed(finished.returncode, finished.stdout, finished.stderr, out)


def replayed(data: Path, until_history: str, models: Path, out: Path) -> Replayed:
    """The same, where it ends well."""
    found = replay(data, until_history, models, out)
    assert found.status == 0, found.said + found.err
    return found
