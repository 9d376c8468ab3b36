"""The rows of a probe's window: what production answered in it, as it was served, with the labels that arrived.

The query keeps to what Trino (Athena) and DuckDB read alike.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.frozen import number_column, text_column
from everloop.dataset.lake_sql import double
from everloop.documents.probe import SERVED, VERSION
from everloop.limits import LARGEST_VALUE
from everloop.monitoring.profile_query import Windows, joined_rows
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.windows import lag_days

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


def learns_from(declaration: ModelDeclaration, window: ProbeWindow) -> datetime:
    """From which day on rows are wanted: on a window's first day, the newest labels are older than the window."""
    return window.start - timedelta(days=lag_days(declaration) + 1)


def window_query(declaration: ModelDeclaration, window: ProbeWindow, as_of: datetime, *, only: str = "") -> str:
    """The query: the columns of the lake, ``SERVED`` and ``VERSION`` of each labelled row that was answered.

    The prediction's id is there as well. What is not a number, and an empty text, are null. Rows whose label or score
    can't be summed are not among them.

    Parameters
    ----------
    only : str
        A condition of key, time and prediction id that rows have to meet.
    """
    begin = learns_from(declaration, window)
    windows = Windows(as_of, begin, window.end, begin, window.end)
    features = declaration.data.features
    cells = [number_column(f.name) if f.type == "number" else text_column(f.name) for f in features]
    rows = joined_rows(declaration, windows, version=0, columns="".join(f'"{f.name}", ' for f in features), only=only)
    limit = double(LARGEST_VALUE)
    return f"""{rows}
SELECT {text_column("key")}, "time", y AS "label", {", ".join(cells)}, s AS {SERVED}, "version" AS {VERSION},
  "prediction_id"
FROM joined WHERE l = 1 AND abs(y) <= {limit} AND abs(s) <= {limit}"""
