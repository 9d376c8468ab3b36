"""The two models that the tests of the whole loop deploy together."""

from __future__ import annotations

import copy
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = "flight_delay"
BAKERY = "bread_sold"
"""The same bakery, whose scores are served as the model says them."""
EVERY = 3
"""Of the flights, every third is enough."""

CAPTURED_SHARE = 0.95
"""Of the bakery's rows."""

BAKERY_DOCUMENT = {
    "model": BAKERY,
    "risk": {"tier": "light"},
    "problem": {
        "objective": "Tell the bakery in the evening how many loaves each shop sells in an hour of tomorrow.",
        "type": "regression",
        "decided_by": "The shift lead, who orders the dough",
        "why_ml": "Hour, price and weather act together; the average of the shop misses rainy mornings.",
        "success_criterion": "Half of the error of ordering by the shop's average.",
        "baseline": {"kind": "group_mean", "by": "shop"},
        "value": {"error_cost_per_unit": 0.8},
        "interval": {"coverage": 0.8},
    },
    "owner": {"team": "Bakery", "email": "bakery@example.org", "escalation": "The owner of the bakery"},
    "data": {
        "key": "sale_id",
        "time": "sold_at",
        "target": "loaves",
        "target_min": -100,
        "target_max": 500,
        "label_lag_hours": 2,
        "minimum_rows": 500,
        "split": {"test_days": 5},
        "features": [
            {"name": "hour", "type": "number", "min": 0, "max": 23},
            {"name": "price", "type": "number", "min": 0, "max": 20},
            {"name": "rain", "type": "number", "min": 0, "missing": "allow"},
            {"name": "shop", "type": "category", "values": ["market", "station", "harbour"], "unseen": "refuse"},
        ],
    },
    # No refit stays as near as that: this model shows the loop with the evaluated bytes.
    "training": {"seed": 3, "parameters": {"alpha": 1.0}, "refit_max_difference": 1e-6},
    "gate": {"metric": "mae", "policy": "not_worse", "margin": 0.5, "minimum_test_rows": 100},
    "rollout": {
        "steps": [],
        "bake_minutes": 60,
        "guardrail": {"max_error_rate": 0.05, "max_p99_latency_ms": 5000},
    },
    "serving": {"max_rows": 100},
    "monitoring": {"schedule": "cron(0 4 * * ? *)", "drift_days": 3, "minimum_rows": 50},
    # The third shop is served as rows in no group are.
    "recalibration": {"by": "shop", "groups": ["harbour", "market"], "minimum_group_rows": 24},
    "retraining": {"cooldown_days": 30, "quota": {"runs": 3, "days": 60}},
    "retirement": {"criteria": ["The bakery closes."]},
    "cost": {"monthly_budget_usd": 20, "max_training_run_usd": 1},
}

BAKERY_SCRIPT = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder


def train(features, target, *, seed, parameters):
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["hour", "price", "rain"]),
            ("shops", OneHotEncoder(handle_unknown="ignore"), ["shop"]),
        ]
    )
    return Pipeline([("columns", columns), ("line", Ridge(**parameters))]).fit(features, target)
"""


def write_models(folder: Path) -> Path:
    """The folder of declarations: flights, tuned for a few weeks of thinned rows, and a regression."""
    shutil.copytree(ROOT / "models" / FLIGHTS, folder / FLIGHTS, ignore=shutil.ignore_patterns("__pycache__"))
    declared = folder / FLIGHTS / "model.yaml"
    document = yaml.safe_load(declared.read_text(encoding="utf-8"))
    document["data"]["minimum_rows"] = 5000
    # Fewer trees that learn faster: a third of the flights asks for no more, and each job fits or reads them.
    document["training"]["parameters"] |= {"max_iter": 40, "learning_rate": 0.15}
    # A third of the flights shows in a week what the whole gate would rather see of all of them.
    document["gate"].update(minimum_test_rows=500, margin=0.05, confidence=0.6)
    document["serving"]["max_rows"] = 8
    document["rollout"]["steps"] = [{"percent": 25, "minutes": 120}, {"percent": 50, "minutes": 120}]
    # Long enough for a look each hour of requests, and no longer: each look takes a function and several calls.
    document["rollout"]["bake_minutes"] = 240
    document["rollout"]["guardrail"]["minimum_requests"] = 3
    document["monitoring"].update(minimum_rows=100, drift_days=3)
    # Without a quality trigger, the one retraining of these weeks is the one that is due by then.
    document["retraining"] = {"schedule_days": 8, "cooldown_days": 1, "quota": {"runs": 20, "days": 365}}
    declared.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / BAKERY).mkdir()
    bakery: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT)
    # Some of its rows are kept, without the weather; where its model can't, its baseline answers.
    bakery["serving"] |= {
        "fallback": {"use": "baseline"},
        "capture": {"mask": ["rain"], "share": CAPTURED_SHARE},
    }
    (folder / BAKERY / "model.yaml").write_text(yaml.safe_dump(bakery, sort_keys=False), encoding="utf-8")
    (folder / BAKERY / "train.py").write_text(BAKERY_SCRIPT, encoding="utf-8")
    return folder


def write_flights(file: Path, *, until: str) -> Path:
    """Every third flight from New York up to a date of 2013, as the model's own script prepares them."""
    prepare = _prepare_script()
    rows = prepare.build(prepare.data_folder())
    rows = rows[rows["scheduled_departure"] < pd.Timestamp(until, tz="UTC")].iloc[::EVERY]
    rows.to_parquet(file, index=False)
    return file


def write_sales(file: Path, *, begin: str, days: int) -> Path:
    """Sales of three shops, hour by hour, as CSV: linear in hour, price and rain, with noise of 5 loaves."""
    rng = np.random.default_rng(11)
    times = np.repeat(pd.date_range(begin, periods=days * 24, freq="h", tz="UTC"), 3)
    rows = pd.DataFrame({"sale_id": [f"s{i}" for i in range(len(times))], "sold_at": times})
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.uniform(2, 6, len(rows)).round(2)
    rain = rng.gamma(1, 2, len(rows)).round(1)
    rows["shop"] = np.tile(["market", "station", "harbour"], days * 24)
    busy = rows["shop"].map({"market": 40.0, "station": 25.0, "harbour": 10.0})
    rows["loaves"] = busy + 2 * rows["hour"] - 4 * rows["price"] - rain + rng.normal(0, 5, len(rows))
    rows["rain"] = np.where(rng.random(len(rows)) < 0.05, np.nan, rain)
    rows.to_csv(file, index=False)
    return file


def _prepare_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_flights", ROOT / "models" / FLIGHTS / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
