"""A regression's values follow its outcomes in the real loop, and stay as they are where that is declared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.loop.models import BAKERY, FROZEN, ROOT, write_bakeries, write_sales

pytestmark = pytest.mark.xdist_group("loop of two bakeries")

HISTORY_DAYS, DAYS = 30, 34
MORE = 12.0
"""Loaves that every hour sells more from the first day on: a festival of which the model knows nothing."""


@pytest.fixture(scope="module")
def bakeries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both declarations, and sales that rise when history ends."""
    folder = tmp_path_factory.mktemp("bakeries")
    write_bakeries(folder / "models")
    sales = pd.read_csv(write_sales(folder / "sales.csv", begin="2024-05-02", days=DAYS))
    risen = pd.to_datetime(sales["sold_at"]) >= pd.Timestamp("2024-06-01", tz="UTC")
    sales.loc[risen, "loaves"] += MORE
    sales.to_csv(folder / "sales.csv", index=False)
    return folder


def replay(bakeries: Path, model: str) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    out = bakeries / "out" / model
    command = [sys.executable, "-c", "from everloop.cli.main import main; main()", "replay", model]
    command += ["--data", str(bakeries / "sales.csv"), "--until-history", "2024-06-01", "--out", str(out)]
    command += ["--models-directory", str(bakeries / "models")]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return told, pd.read_parquet(out / "predictions.parquet"), pd.read_parquet(out / "windows.parquet")


def test_a_regression_is_recalibrated_within_its_limit(bakeries: Path) -> None:
    told, answers, _ = replay(bakeries, BAKERY)
    assert answers["calibration"].nunique() >= 2
    # From the second labelled day on the values have risen, and errors with them have fallen.
    last = answers[answers["time"] >= answers["time"].max() - pd.Timedelta("12h")]
    assert (last["prediction"] - last["raw_score"]).mean() > MORE / 4
    assert told["loop"]["mae"]["value"] < told["raw"]["mae"]["value"]
    assert told["money"]["cost"]["loop"] < told["money"]["cost"]["frozen"]
    assert told["audit"]["intact"]


def test_where_none_is_declared_values_are_served_as_the_model_says_them(bakeries: Path) -> None:
    told, answers, _ = replay(bakeries, FROZEN)
    assert answers["calibration"].isna().all()
    assert (answers["prediction"] == answers["raw_score"]).all()
    assert told["loop"]["mae"] == told["raw"]["mae"]
