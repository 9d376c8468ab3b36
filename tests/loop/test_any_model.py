"""A model of another kind, in another folder, written here and known to nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.loop.models import BAKERY, ROOT, write_sales

pytestmark = pytest.mark.xdist_group("loop of another model")

DAYS, HISTORY_DAYS = 40, 30


@pytest.fixture(scope="module")
def out(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of ``everloop replay`` over ten days, deployed together with the flights' model."""
    folder = tmp_path_factory.mktemp("bakery")
    sales = write_sales(folder / "sales.csv", begin="2024-05-02", days=DAYS)
    command = [
        sys.executable,
        "-c",
        "from everloop.cli.main import main; main()",
        "replay",
        BAKERY,
        "--data",
        str(sales),
    ]
    command += ["--until-history", "2024-06-01", "--out", str(folder / "out")]
    command += ["--models-directory", str(models_directory)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / "out"


def test_a_regression_lives_through_the_same_loop(out: Path) -> None:
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    rows = (DAYS - HISTORY_DAYS) * 24 * 3
    assert told["open_links"] == []
    assert told["rows_served"] == told["predictions_captured"] == told["labels_joined"] == rows
    assert told["problem_type"] == "regression"
    assert told["promotions"][0]["version"] == 1
    assert told["drift_windows"]["recorded"] >= DAYS - HISTORY_DAYS - 1


def test_a_refit_beyond_its_bound_leaves_the_evaluated_model_to_serve(out: Path) -> None:
    """GIVEN a bound that no refit keeps, THEN the loop goes on with the evaluated bytes, and says why."""
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    (serving,) = told["serving"]
    assert (serving["version"], serving["serves"], told["frozen_model"]["kind"]) == (1, "evaluated", "evaluated")
    (against,) = serving["against"]
    assert "allowed are 1e-06 of it (training.refit_max_difference)" in against


def test_its_errors_are_told_as_a_mean_of_absolute_ones(out: Path) -> None:
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    answers = pd.read_parquet(out / "predictions.parquet")
    mean = (answers["prediction"] - answers["label"]).abs().mean()
    assert told["loop"]["mae"]["value"] == pytest.approx(mean)
    assert mean < 6, "the noise alone makes four loaves"
    assert "probability" not in answers or answers["probability"].isna().all()
