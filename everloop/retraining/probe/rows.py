"""The rows of a probe's window: what production answered in it, as it was served, with the labels that arrived.

The query keeps to what Trino (Athena) and DuckDB read alike.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from everloop.documents.probe import SERVED, VERSION
from everloop.monitoring.profile_query import Windows, joined_rows
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.windows import lag_days

if TYPE_CHECKING:
    import pandas as pd

    from everloop.model_file.schema import ModelDeclaration


def learns_from(declaration: ModelDeclaration, window: ProbeWindow) -> datetime:
    """From which day on rows are wanted: on a window's first day, the newest labels are older than the window."""
    return window.start - timedelta(days=lag_days(declaration) + 1)


def window_query(declaration: ModelDeclaration, window: ProbeWindow, as_of: datetime) -> str:
    """The query: the columns of the lake, ``SERVED`` and ``VERSION`` of each labelled row that was answered."""
    begin = learns_from(declaration, window)
    windows = Windows(as_of, begin, window.end, begin, window.end)
    names = [f'"{f.name}"' for f in declaration.data.features]
    rows = joined_rows(declaration, windows, version=0, columns="".join(f"{name}, " for name in names))
    return f"""{rows}
SELECT "key", "time", y AS "label", {", ".join(names)}, s AS {SERVED}, "version" AS {VERSION}
FROM joined WHERE l = 1 AND y IS NOT NULL AND s IS NOT NULL"""


def sample(frame: pd.DataFrame, most: int, *, seed: int, window: ProbeWindow) -> pd.DataFrame:
    """At most so many of the rows, in their order: the same ones whenever the same rows are asked for."""
    if len(frame) <= most:
        return frame
    drawn = np.random.default_rng([seed, window.start.toordinal()]).choice(len(frame), most, replace=False)
    return frame.iloc[np.sort(drawn)].reset_index(drop=True)
