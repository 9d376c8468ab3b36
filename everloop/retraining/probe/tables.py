"""The tables that the job of a probe gets: rows to learn from, and the window's rows with what was served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset.columns import as_numbers, as_texts, as_times
from everloop.dataset.frame_contract import check_snapshot
from everloop.dataset.lake import in_lake_order, lake_columns
from everloop.dataset.snapshot_query import SUPERSEDED
from everloop.documents.probe import SERVED, VERSION
from everloop.limits import LARGEST_VALUE
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import sample

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class LearnedRows:
    """What a probe learns from: ``rows``, of ``labelled`` that there were.

    ``recent`` is what the second probe learns from: rows of the newest days alone; None where there is none.
    """

    rows: pd.DataFrame
    labelled: int
    recent: pd.DataFrame | None = None


@dataclass(frozen=True)
class ScoredRows:
    """What a probe is scored on: a sample of the rows, of which ``inside`` the window there were so many."""

    rows: pd.DataFrame
    inside: int


FEWEST_RECENT = 100
"""Rows below which no second probe is trained; nor is one where one of the classes is not among them."""


def training_rows(
    frame: pd.DataFrame,
    declaration: ModelDeclaration,
    window: ProbeWindow,
    *,
    most: int,
    recent_days: int | None = None,
) -> LearnedRows:
    """The labelled rows that a training at the window's begin would have had, or a sample of them.

    Parameters
    ----------
    frame : pandas.DataFrame
        What the snapshot query gave.

    Raises
    ------
    ContractViolationError
        When they break the data contract.
    """
    given = frame.drop(columns=SUPERSEDED, errors="ignore")
    rows = in_lake_order(check_snapshot(given[given["label"].notna()], declaration, window.start))
    seed = declaration.training.seed
    recent = None if recent_days is None else _recent(rows, declaration, recent_days)
    return LearnedRows(
        sample(rows, most, seed=seed, window=window),
        len(rows),
        None if recent is None else sample(recent, most, seed=seed, window=window),
    )


def _recent(rows: pd.DataFrame, declaration: ModelDeclaration, days: int) -> pd.DataFrame | None:
    """The rows of the newest days, counted back from the newest one; None where no model can learn from them."""
    chosen: pd.DataFrame = rows[rows["time"] > rows["time"].max() - pd.Timedelta(days=days)].reset_index(drop=True)
    classes = declaration.problem.type == "binary_classification"
    if len(chosen) < FEWEST_RECENT or len(chosen) == len(rows) or (classes and chosen["label"].nunique() < 2):
        return None
    return chosen


def window_rows(frame: pd.DataFrame, declaration: ModelDeclaration, window: ProbeWindow, *, most: int) -> ScoredRows:
    """The answered and labelled rows in the lake's types and order, or a sample of them.

    Parameters
    ----------
    frame : pandas.DataFrame
        What :func:`everloop.retraining.probe.rows.window_query` gave; rows before the window are among them.
    """
    kinds = {"key": "text", "time": "time", "label": "number", SERVED: "number", VERSION: "number"}
    kinds |= {f.name: "number" if f.type == "number" else "text" for f in declaration.data.features}
    names = [*lake_columns(declaration), SERVED, VERSION]
    rows = pd.DataFrame({name: _CONVERT[kinds[name]](frame[name]).values for name in names})
    sound = (np.abs(rows["label"]) <= LARGEST_VALUE) & (np.abs(rows[SERVED]) <= LARGEST_VALUE)
    rows = in_lake_order(rows[sound.to_numpy()])
    start = np.datetime64(window.start.replace(tzinfo=None), "ms")
    inside = int((rows["time"].to_numpy() >= start).sum())
    return ScoredRows(sample(rows, most, seed=declaration.training.seed, window=window), inside)


_CONVERT = {"text": as_texts, "time": as_times, "number": as_numbers}
