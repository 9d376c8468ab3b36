"""Retraining as an investment, deployed: probes measure, the monitor weighs, and a run starts or doesn't."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.loop.models import BAKERY, BAKERY_DOCUMENT, BAKERY_SCRIPT, ROOT

pytestmark = pytest.mark.xdist_group("loop of an investment")

HISTORY_DAYS, STREAM_DAYS = 14, 9
EVERY = 2
HISTORY_ENDS = "2024-05-15"


def declared(folder: Path) -> Path:
    """The bakery, whose retraining is an investment: a tenth of what two days lose."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    document["data"]["split"] = {"test_days": 5}
    document["data"]["minimum_rows"] = 300
    document["training"] = {"seed": 3, "parameters": {"alpha": 1.0}}
    document["retraining"] = {
        "investment": {"every_days": EVERY, "cost_share": 0.1, "recent_days": 6},
        "cooldown_days": 5,
        "quota": {"runs": 6, "days": 60},
    }
    (folder / BAKERY).mkdir(parents=True)
    (folder / BAKERY / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / BAKERY / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    return folder


def sales(file: Path, *, drift: float) -> Path:
    """Sales of three shops by the hour. ``drift`` is by how much a loaf's price means less each day of the stream."""
    rng, days = np.random.default_rng(5), HISTORY_DAYS + STREAM_DAYS
    times = np.repeat(pd.date_range("2024-05-01", periods=days * 24, freq="h", tz="UTC"), 3)
    rows = pd.DataFrame({"sale_id": [f"s{i}" for i in range(len(times))], "sold_at": times})
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.uniform(2, 6, len(rows)).round(2)
    rows["rain"] = rng.gamma(1, 2, len(rows)).round(1)
    rows["shop"] = np.tile(["market", "station", "harbour"], days * 24)
    day = np.maximum(np.repeat(np.arange(days), 72) - HISTORY_DAYS, 0)
    busy = rows["shop"].map({"market": 40.0, "station": 25.0, "harbour": 10.0})
    noise = rng.normal(0, 3, len(rows))
    rows["loaves"] = busy + 2 * rows["hour"] + (drift * day - 4) * (rows["price"] - 4) - rows["rain"] + noise
    rows.to_csv(file, index=False)
    return file


def replayed(folder: Path, *, drift: float) -> Path:
    models = declared(folder / "models")
    command = [
        *(sys.executable, "-c", "from everloop.cli.main import main; main()", "replay", BAKERY),
        *("--data", str(sales(folder / "sales.csv", drift=drift)), "--until-history", HISTORY_ENDS),
        *("--out", str(folder / "out"), "--models-directory", str(models)),
    ]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    print(finished.stdout)
    return folder / "out"


def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return found


def test_where_what_was_learned_ages_a_probe_asks_for_the_training(tmp_path: Path) -> None:
    out = replayed(tmp_path, drift=0.8)
    told = summary(out)
    assert told["open_links"] == []
    assert [(r["trigger"], r["status"]) for r in told["retrainings"]] == [("investment", "succeeded")]
    (reason,) = [r["reason"] for r in told["retrainings"]]
    assert reason.startswith("A retraining pays from now on: a model of age ")
    assert "more than fresh probes" in reason
    assert [p["version"] for p in told["promotions"]] == [1, 2]


def test_where_nothing_changes_the_first_champion_is_kept(tmp_path: Path) -> None:
    told = summary(replayed(tmp_path, drift=0.0))
    assert told["open_links"] == []
    assert told["retrainings"] == []
    assert [p["version"] for p in told["promotions"]] == [1]
