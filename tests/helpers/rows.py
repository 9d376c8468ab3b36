"""Tables of the small declarations' rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

START = datetime(2013, 1, 1, tzinfo=UTC)


def each_row(table: pd.DataFrame) -> Iterator[Any]:
    """The rows, each with an attribute by column; what is in them the table knows, and no type does."""
    return iter(table.itertuples())


def history_table(rows: int = 5, **columns: list[Any]) -> pd.DataFrame:
    """Valid rows of ``late_train``, an hour apart; ``columns`` replace what they name."""
    table: dict[str, Any] = {
        "train_id": [f"t{i}" for i in range(rows)],
        "departure": [START + timedelta(hours=i) for i in range(rows)],
        "late": [float(i % 3 == 0) for i in range(rows)],
        "distance": [10.0 * (i % 50) for i in range(rows)],
        "wind": [None if i % 4 == 0 else 3.5 for i in range(rows)],
        "line": ["north" if i % 2 else "south" for i in range(rows)],
        "operator": [None if i % 5 == 0 else "a" for i in range(rows)],
    }
    return pd.DataFrame({**table, **columns})


def lake_table(rows: int = 240, **columns: list[Any]) -> pd.DataFrame:
    """The same rows under the lake's column names."""
    names = {"train_id": "key", "departure": "time", "late": "label"}
    table = history_table(rows).rename(columns=names)
    table["time"] = table["time"].dt.tz_localize(None)
    return table.assign(**columns)
