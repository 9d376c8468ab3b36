"""An old regime comes back, and with it the version that knows it: by itself, by the gate and the canary."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.loop.models import BAKERY, BAKERY_DOCUMENT, BAKERY_SCRIPT
from tests.loop.replaying import replayed

pytestmark = pytest.mark.xdist_group("loop of a restoration")

EVERY = 3
BEGIN, HISTORY_ENDS, TURNS_BACK, ENDS = "2024-05-01", "2024-05-15", "2024-05-23", "2024-05-31"
"""From the history's end on customers want dear loaves, then cheap ones again, as before."""


def declared(folder: Path) -> Path:
    """The bakery, whose retraining is an investment, with a canary. Its cooldown leaves one training and one return."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    # What one of two versions lost less is to be a matter of the versions.
    del document["recalibration"]
    document["data"]["split"] = {"test_days": 5}
    document["data"]["minimum_rows"] = 300
    document["training"] = {"seed": 3, "parameters": {"alpha": 1.0}}
    # What was right before is wrong in between, so this much is allowed: the set is compared, and refuses nobody.
    document["gate"]["standing"] = {"days": 3, "max_increase": 100}
    document["rollout"]["steps"] = [{"percent": 50, "minutes": 120}]
    document["rollout"]["guardrail"]["minimum_requests"] = 1
    document["retraining"] = {
        "investment": {"every_days": EVERY, "cost_share": 0.1},
        "cooldown_days": 9,
        "quota": {"runs": 6, "days": 60},
    }
    (folder / BAKERY).mkdir(parents=True)
    (folder / BAKERY / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / BAKERY / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    return folder


def sales(file: Path) -> Path:
    """Sales of three shops by the hour; what a loaf's price means turns over, and back."""
    rng = np.random.default_rng(5)
    hours = pd.date_range(BEGIN, ENDS, freq="h", tz="UTC", inclusive="left")
    rows = pd.DataFrame({"sold_at": np.repeat(hours, 3)})
    rows.insert(0, "sale_id", [f"s{i}" for i in range(len(rows))])
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.uniform(2, 6, len(rows)).round(2)
    rows["rain"] = rng.gamma(1, 2, len(rows)).round(1)
    rows["shop"] = np.tile(["market", "station", "harbour"], len(hours))
    at = rows["sold_at"]
    dear = (at >= HISTORY_ENDS) & (at < TURNS_BACK)
    busy = rows["shop"].map({"market": 40.0, "station": 25.0, "harbour": 10.0})
    price = np.where(dear, 4, -4) * (rows["price"] - 4)
    rows["loaves"] = busy + 2 * rows["hour"] + price - rows["rain"] + rng.normal(0, 3, len(rows))
    rows.to_csv(file, index=False)
    return file


def test_a_version_comes_back_with_what_it_knows(tmp_path: Path) -> None:
    models = declared(tmp_path / "models")
    told = replayed(sales(tmp_path / "sales.csv"), HISTORY_ENDS, models, tmp_path / "out").summary
    assert told["open_links"] == []
    # The first version does not know what customers want now: one training, and then its cooldown.
    assert [(r["trigger"], r["version"]) for r in told["retrainings"]] == [("investment", 2)]
    # They want what they wanted: the first version comes back, by a run of its own.
    assert [(r["trigger"], r["version"], r["status"]) for r in told["restorations"]] == [
        ("older_version", 1, "succeeded")
    ]
    assert [p["version"] for p in told["promotions"]] == [1, 2, 1]
    restored = told["restorations"][0]
    assert restored["reason"].startswith("Version 1 would have lost ")
    assert {"registered_files", "better_than_champion"} <= {reason["code"] for reason in restored["reasons"]}
    # Both were compared on the rows that were put aside before the first one learned: the second has forgotten them.
    (forgot,) = (r for r in told["retrainings"][0]["reasons"] if r["code"] == "standing_worse_than_champion")
    (knows,) = (r for r in restored["reasons"] if r["code"] == "standing_worse_than_champion")
    assert (forgot["passed"], knows["passed"]) == (True, True)
    assert "the candidate's mae minus the champion's is +" in forgot["sentence"]
    assert "the candidate's mae minus the champion's is -" in knows["sentence"]
