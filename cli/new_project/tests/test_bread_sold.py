"""What the example's training script must do, whatever the gate measures later."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "models" / "bread_sold"
FEATURES = ["hour", "price", "rain", "shop"]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_cheaper_loaf_and_a_dry_morning_sell_more() -> None:
    rows = script("make_data").build(days=30)
    fitted = script("train").train(rows[FEATURES], rows["loaves"].to_numpy(), seed=7, parameters={"max_iter": 50})

    mornings = rows[rows["hour"] == 8][FEATURES].dropna()
    cheap, dear = (fitted.predict(mornings.assign(price=price)).mean() for price in (2.8, 3.6))
    dry, wet = (fitted.predict(mornings.assign(rain=rain)).mean() for rain in (0.0, 10.0))
    assert cheap > dear
    assert dry > wet


def test_missing_rain_is_answered() -> None:
    rows = script("make_data").build(days=30)
    fitted = script("train").train(rows[FEATURES], rows["loaves"].to_numpy(), seed=7, parameters={"max_iter": 50})
    assert np.isfinite(fitted.predict(rows[FEATURES].assign(rain=np.nan))).all()
