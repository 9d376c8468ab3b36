"""Training snapshots: rows that never change, named by their content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset.content_hash import content_sha256
from everloop.dataset.exceptions import ContractViolationError
from everloop.dataset.frame_contract import check_snapshot, class_rows, labels_alike
from everloop.dataset.frame_hash import frame_sums
from everloop.dataset.held_groups import HELD, TESTED, HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.dataset.lake import in_lake_order
from everloop.dataset.set_rules import all_held_out, all_unlearned, class_violations, none_held, none_standing
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_profile import LONGEST_SHOWN, MOST_FREQUENT
from everloop.dataset.splits import TimeSplit, time_split
from everloop.dataset.standing import Standing
from everloop.dataset.stratified import STRATIFIED, class_names, test_days_of
from everloop.documents.snapshot import ColumnDocument
from everloop.instants import format_instant
from everloop.lake_tables import SUPERSEDED
from everloop.problem_types import BINARY, MULTICLASS
from everloop.shown import shortened

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class SnapshotParts:
    """A snapshot and its rows, ordered by time and key.

    Attributes
    ----------
    train, test : pandas.DataFrame
        Columns ``key``, ``time``, ``label``, features.
    standing : pandas.DataFrame or None
        The same of the rows of the standing set; None where none is asked for.
    """

    snapshot: Snapshot
    train: pd.DataFrame
    test: pd.DataFrame
    standing: pd.DataFrame | None = None

    @property
    def test_features(self) -> pd.DataFrame:
        """The test rows as training may see them: without their labels."""
        return self.test.drop(columns="label")


def build_snapshot(
    frame: pd.DataFrame,
    declaration: ModelDeclaration,
    *,
    query: str,
    as_of: datetime,
    standing: Standing | None = None,
) -> SnapshotParts:
    """Check, split and name a training set.

    Parameters
    ----------
    frame : pandas.DataFrame
        What the snapshot query gave: lake columns, in any order, and how many rows each one superseded. Rows
        without a label are counted and left out: nobody knows what became of them.
    standing : Standing, optional
        What is left out of the rows to train on. Where its period was chosen before, the rows of ``frame`` in it are
        not told: what counts are those that were put aside then.

    Raises
    ------
    ContractViolationError
        When the labelled rows break the data contract, or those to train on are all of one class or value.
    SplitError
        When a part would be empty, or the standing set that is chosen here.
    """
    superseded = int(frame[SUPERSEDED].sum()) if SUPERSEDED in frame.columns else 0
    frame = frame.drop(columns=SUPERSEDED, errors="ignore")
    labelled = frame[frame["label"].notna()] if "label" in frame.columns else frame
    rows = in_lake_order(check_snapshot(labelled, declaration, as_of))
    split = time_split(rows["time"].to_numpy(), _test_days(rows, declaration))
    held_groups, held = HeldGroups.of(declaration), {}
    if held_groups is not None:
        apart = held_rows(held_groups, rows[held_groups.column])
        held = {HELD: int((apart & split.train).sum()), TESTED: int((apart & split.test).sum())}
        if not held[TESTED]:
            raise none_held(held_groups, int(split.test.sum()))
        split = replace(split, train=split.train & ~apart)
        if not split.train.any():
            raise all_unlearned(held_groups)
    boundary = _instant(split.boundary)
    period = None if standing is None else standing.period(boundary)
    aside = np.zeros(len(rows), dtype=bool)
    if standing is not None and period is not None:
        after, until = (np.datetime64(at.replace(tzinfo=None), "ms") for at in (period.after, period.until))
        times = rows["time"].to_numpy()
        inside = (times > after) & (times <= until)
        # A test part as of an earlier instant may reach into the period: its rows are not learned from either.
        aside = inside & ~split.test
        if standing.chosen is None and not aside.any():
            raise none_standing(str(period), standing.days)
        split = replace(split, train=split.train & ~inside)
        if not split.train.any():
            raise all_held_out(str(period), standing.days, int(aside.sum()))
        if held:
            held[HELD] = int((apart & ~split.test & ~inside).sum())
    to_learn = rows["label"].to_numpy()[split.train]
    if declaration.problem.type == MULTICLASS:
        alike = class_violations(declaration, class_rows(to_learn, declaration), "rows to train on")
    else:
        classification = declaration.problem.type == BINARY
        alike = labels_alike(to_learn, "rows to train on", classification=classification)
    if alike:
        raise ContractViolationError(f"the training set of {declaration.model}", alike)
    columns: list[ColumnDocument] = [
        {"name": str(name), "type": _TYPES[rows[name].dtype.kind]} for name in rows.columns
    ]
    identity = {
        "kind": "snapshot",
        "model": declaration.model,
        "columns": columns,
        "boundary": format_instant(boundary),
        **({} if period is None else {"standing": str(period)}),
        **({} if held_groups is None else {"held_groups": held_groups.as_dict()}),
    }
    snapshot = Snapshot(
        model=declaration.model,
        snapshot_hash=content_sha256(identity, len(rows), frame_sums(rows)),
        columns=columns,
        boundary=boundary,
        rows={
            "train": int(split.train.sum()),
            "test": int(split.test.sum()),
            "unlabelled": len(frame) - len(labelled),
            "superseded": superseded,
            **({} if period is None else {"standing": int(aside.sum())}),
            **held,
        },
        time_range=(_instant(rows["time"].iloc[0]), _instant(rows["time"].iloc[-1])),
        label_mean=_label_means(rows, split),
        class_rows=_class_rows(rows, split, declaration),
        profile={f.name: _profile(rows[f.name]) for f in declaration.data.features},
        source={"query": query, "as_of": as_of},
        standing=period,
        held_groups=None if held_groups is None else held_groups.as_dict(),
    )
    train, test, put_aside = (rows[chosen].reset_index(drop=True) for chosen in (split.train, split.test, aside))
    return SnapshotParts(snapshot, train, test, None if period is None else put_aside)


def _test_days(rows: pd.DataFrame, declaration: ModelDeclaration) -> int:
    """As declared, or as many as the rarest class needs; the rows are ordered by time."""
    asked = declaration.data.split
    if asked.strategy != STRATIFIED or asked.rows_of_each_class is None or not len(rows):
        return asked.test_days
    labels, times, reached = rows["label"].to_numpy(), rows["time"], {}
    for place in range(len(class_names(declaration))):
        own = np.flatnonzero(labels == place)
        if len(own) >= asked.rows_of_each_class:
            reached[place] = _instant(times.iloc[own[-asked.rows_of_each_class]])
    return test_days_of(declaration, reached, _instant(times.iloc[-1]))


_TYPES = {"f": "double", "M": "timestamp", "O": "string"}


def _label_means(rows: pd.DataFrame, split: TimeSplit) -> dict[str, float]:
    labels = rows["label"].to_numpy()
    return {"train": float(labels[split.train].mean()), "test": float(labels[split.test].mean())}


def _class_rows(rows: pd.DataFrame, split: TimeSplit, declaration: ModelDeclaration) -> dict[str, dict[str, int]]:
    names, labels = list(map(str, declaration.problem.classes or [])), rows["label"].to_numpy()
    if not names:
        return {}
    parts = {"train": split.train, "test": split.test}
    return {
        part: dict(zip(names, class_rows(labels[inside], declaration), strict=True)) for part, inside in parts.items()
    }


def _profile(column: pd.Series) -> dict[str, object]:
    missing = int(column.isna().sum())
    if column.dtype.kind == "O":
        counts = column.value_counts()
        # Equal counts are ordered by name, so that the profile of the same rows is the same.
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_FREQUENT]
        return {
            "missing": missing,
            "distinct": len(counts),
            "most_frequent": [[shortened(str(v), LONGEST_SHOWN), int(n)] for v, n in frequent],
        }
    values = column.to_numpy()
    values = values[~np.isnan(values)]
    if not len(values):
        return {"missing": missing}
    quartiles = [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]
    return {
        "missing": missing,
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "quartiles": quartiles,
    }


def _instant(value: np.datetime64 | pd.Timestamp) -> datetime:
    milliseconds: datetime = pd.Timestamp(value).to_datetime64().astype("datetime64[ms]").astype(datetime)
    return milliseconds.replace(tzinfo=UTC)
