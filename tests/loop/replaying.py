"""Replays of the bakery in the test's process, by ``everloop replay`` or without it, and the evidence they leave."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import everloop.cli.commands.replay as command
from everloop.cli.main import main
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.replay import evidence
from everloop.cli.replay.stream import load
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.helpers.environment import variables_kept
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


def replay(data: Path, until_history: str, models: Path, assembly: Path, out: Path, *options: str) -> Replayed:
    """Replay ``data`` from a day on, with the declaration in ``models``, of which ``assembly`` is, by the command.

    Its process is this one, which has imported what it imports. The tests of the wheel have a process for it, and have
    ``app.py`` synthesize.
    """
    words = ["--data", str(data), "--until-history", until_history, "--out", str(out)]
    words += ["--models-directory", str(models), *options]

    def synthesized(say: object, model: str, models_directory: Path) -> Path:
        assert (model, models_directory) == (BAKERY, models)
        return assembly

    said, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        variables_kept(),
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(err),
    ):
        patched.setattr(sys, "argv", ["everloop", "replay", BAKERY, *words])
        patched.setattr(command, "synthesize_model", synthesized)
        _leave_as_before(patched)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    print(said.getvalue())
    return Replayed(status, said.getvalue(), err.getvalue(), out)


def _leave_as_before(patched: pytest.MonkeyPatch) -> None:
    """Undo afterwards what the command line changes in its process; it tells all as to a pipe meanwhile."""
    patched.delenv("COLUMNS", raising=False)
    patched.setattr(sys, "excepthook", sys.excepthook)
    patched.setattr(warnings, "showwarning", warnings.showwarning)
    patched.setattr(logging, "lastResort", copy.copy(logging.lastResort))


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
