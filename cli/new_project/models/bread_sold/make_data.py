"""Makes up the sales of three shops, hour by hour; the same at every run: ``make_data.py FILE``.

They stand in for real ones, so that the loop has something to turn on: nothing here was ever sold. From the day
``FERRY_FROM`` on a ferry lands near the shop at the harbour, and it sells twice as much. No column tells so: only a
model that learns again can know.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

BEGIN, DAYS, FERRY_FROM = "2026-01-01", 70, "2026-02-12"
PACE = {"market": 22.0, "station": 30.0, "harbour": 12.0}
SEED = 7


def build(days: int = DAYS) -> pd.DataFrame:
    """The rows: ``sale_id``, ``sold_at``, the features, and ``loaves``."""
    rng = np.random.default_rng(SEED)
    times = pd.date_range(BEGIN, periods=days * 24, freq="h", tz="UTC").repeat(len(PACE))
    rows = pd.DataFrame({"sold_at": times, "shop": list(PACE) * (days * 24)})
    rows.insert(0, "sale_id", rows["sold_at"].dt.strftime("%Y%m%d%H-") + rows["shop"])
    rows["hour"] = rows["sold_at"].dt.hour.astype(float)
    rows["price"] = rng.choice([2.8, 3.2, 3.6], len(rows))
    rows["rain"] = np.repeat(rng.gamma(0.6, 2.0, days * 24).round(1), len(PACE))
    rows["loaves"] = _loaves(rows, rng)
    rows.loc[rng.random(len(rows)) < 0.03, "rain"] = np.nan
    return rows


def _loaves(rows: pd.DataFrame, rng: np.random.Generator) -> pd.Series[float]:
    morning = np.exp(-(((rows["hour"] - 8) / 3) ** 2))
    evening = 0.6 * np.exp(-(((rows["hour"] - 17) / 2) ** 2))
    busy = rows["shop"].map(PACE) * (0.2 + morning + evening)
    ferry = (rows["shop"] == "harbour") & (rows["sold_at"] >= pd.Timestamp(FERRY_FROM, tz="UTC"))
    wanted = busy * (3.2 / rows["price"]) * (1 - 0.03 * rows["rain"].clip(upper=10)) * np.where(ferry, 2.0, 1.0)
    return pd.Series(rng.poisson(wanted), index=rows.index, dtype=float)


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "sales.csv")
    build().to_csv(file, index=False)
    print(f"{file}: generated sales of {DAYS} days from {BEGIN}")
