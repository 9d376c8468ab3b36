"""Builds the flight outcome model's data file from the public nycflights13 data set.

    python models/flight_outcome/prepare.py flights.parquet

The rows and features are those of the worked example ``flight_delay``, whose ``prepare.py`` stands beside this folder:
every flight that was scheduled to leave New York's three airports in 2013, with what is known before departure. The
outcome is another one: ``on_time``, ``late`` (more than 15 minutes at the gate) or ``cancelled``. A diverted flight is
none of them, and never gets a label.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

TARGET = "outcome"


def flight_delay() -> ModuleType:
    """The other example's ``prepare.py``."""
    file = Path(__file__).resolve().parents[1] / "flight_delay" / "prepare.py"
    spec = importlib.util.spec_from_file_location("flight_delay_prepare", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} can't be read: this example uses its rows")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder: Path) -> pd.DataFrame:
    """The rows, ordered by scheduled departure: key, time, outcome, then the features."""
    other = flight_delay()
    rows: pd.DataFrame = other.build(folder).drop(columns="arrived_late")
    rows.insert(2, TARGET, rows["flight_id"].map(outcomes(folder, other)))
    return rows


def outcomes(folder: Path, other: ModuleType) -> pd.Series:
    """What became of each flight, by its id; None for a diverted one."""
    flights = pd.read_csv(folder / "flights.csv.zip")
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    identity = other._identity(flights, hour)["flight_id"]
    late = flights["arr_delay"] > other.LATE_MINUTES
    told = np.where(late, "late", "on_time").astype(object)
    told[flights["arr_delay"].isna()] = None
    told[flights["dep_time"].isna()] = "cancelled"
    return pd.Series(told, index=identity)


def main(arguments: list[str]) -> int:
    """Write the file named on the command line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    rows = build(flight_delay().data_folder())
    rows.to_parquet(arguments[0], index=False)
    counts = ", ".join(f"{count:,} {name}" for name, count in rows[TARGET].value_counts().items())
    print(f"{arguments[0]}: {len(rows):,} flights, {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
