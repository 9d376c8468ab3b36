"""The tables that the job of a probe gets: rows to learn from, and the window's rows with what was served.

Of rows in memory, as a backtest has them. A deployed probe gets the same tables by queries, which a test holds to these
(:mod:`everloop.retraining.probe.making`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset.columns import as_numbers, as_texts, as_times
from everloop.dataset.frame_contract import check_snapshot
from everloop.dataset.lake import in_lake_order, lake_columns
from everloop.documents.probe import SERVED, VERSION
from everloop.lake_tables import SUPERSEDED
from everloop.limits import LARGEST_VALUE
from everloop.retraining.probe.draw import drawn_for
from everloop.retraining.probe.enough import enough_to_learn_from
from everloop.retraining.probe.requests import ProbeWindow

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class LearnedRows:
    """What probes learn from, by span: the newest so many days, or all rows under None; a sample where there are many.

    ``labelled`` is how many rows there were of each. A span that has too few is not among them.
    """

    rows: Mapping[int | None, pd.DataFrame]
    labelled: Mapping[int | None, int]


@dataclass(frozen=True)
class ScoredRows:
    """What a probe is scored on: a sample of the rows, of which ``inside`` the window there were so many."""

    rows: pd.DataFrame
    inside: int


def training_rows(
    frame: pd.DataFrame,
    declaration: ModelDeclaration,
    window: ProbeWindow,
    *,
    most: int,
    spans: Iterable[int] = (),
) -> LearnedRows:
    """The labelled rows that a training at the window's begin would have had, all and by span, or samples of them.

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
    found: dict[int | None, pd.DataFrame] = {None: rows}
    for days in spans:
        newest = _newest(rows, declaration, days)
        if newest is not None:
            found[days] = newest
    salt = drawn_for(declaration, window)
    return LearnedRows(
        {days: sample(of, most, salt=salt) for days, of in found.items()},
        {days: len(of) for days, of in found.items()},
    )


def _newest(rows: pd.DataFrame, declaration: ModelDeclaration, days: int) -> pd.DataFrame | None:
    """The rows of the newest days, counted back from the newest one; None where no model can learn from them."""
    chosen: pd.DataFrame = rows[rows["time"] > rows["time"].max() - pd.Timedelta(days=days)].reset_index(drop=True)
    ones = int((chosen["label"] == 1).sum())
    return chosen if enough_to_learn_from(declaration, len(chosen), ones, of=len(rows)) else None


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
    return ScoredRows(sample(rows, most, salt=drawn_for(declaration, window), then=(SERVED, VERSION)), inside)


def sample(rows: pd.DataFrame, most: int, *, salt: str, then: Sequence[str] = ()) -> pd.DataFrame:
    """At most so many of the rows, in their order: those that :func:`everloop.retraining.probe.draw.drawn` chooses."""
    if len(rows) <= most:
        return rows
    instants = rows["time"].to_numpy().astype("datetime64[ms]").astype(np.int64).tolist()
    texts = zip(rows["key"].tolist(), instants, strict=True)
    digests = b"".join(hashlib.sha256(f"{salt}{key}/{at}".encode()).digest() for key, at in texts)
    words = np.frombuffer(digests, dtype=">u8").reshape(len(rows), -1)
    # The last one counts most.
    order = np.lexsort([*(rows[name].to_numpy() for name in reversed(then)), *words.T[::-1]])
    return rows.iloc[np.sort(order[:most])].reset_index(drop=True)


_CONVERT = {"text": as_texts, "time": as_times, "number": as_numbers}
