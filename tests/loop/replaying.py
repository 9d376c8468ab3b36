"""Replays of the bakery, by ``everloop replay`` or in the test's process, and the evidence that they leave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.replay import evidence
from everloop.cli.replay.stream import load
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import BAKERY, ROOT
from tests.loop.standing_cloud import standing_cloud


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
    """The same without the command, where it ends well. The CDK is started once a process, and not by each replay."""
    declaration = find_declaration(BAKERY, models)
    rows = load(data, declaration, datetime.fromisoformat(until_history).replace(tzinfo=UTC))
    assembly = synthesize_models(models, out.parent)
    with standing_cloud(out.parent, declaration, rows, assembly) as loop:
        assert loop.evidence == out
    return Replayed(0, "", "", out)


def same_luck(predictions: pd.DataFrame, rows: LoopRows) -> Callable[[np.ndarray, float, int], np.ndarray]:
    """Sends a canary the requests that chance sent it in the cloud."""
    answered_by = predictions.set_index("key")["version"].reindex(rows.frame["key"]).to_numpy()
    return lambda places, percent, version: answered_by[places] == version
