"""The standing set of a backtested loop: what the first training puts aside, and every later run is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from everloop.dataset.lake import parquet_bytes
from everloop.dataset.part_digest import part_sha256
from everloop.dataset.standing import Period, Standing
from everloop.manifest import sha256_hex

if TYPE_CHECKING:
    from everloop.dataset.snapshot import SnapshotParts
    from everloop.model_file.schema import ModelDeclaration

PART = "part-0.parquet"
"""The file that a part of a backtest's snapshot is."""


@dataclass(frozen=True)
class PutAside:
    """The rows of a period from which nothing is learned.

    Attributes
    ----------
    rows : pandas.DataFrame
        As they were when they were chosen: lake columns.
    """

    period: Period
    rows: pd.DataFrame

    @cached_property
    def sha256(self) -> str:
        """What the registry would have of it: over its files."""
        return part_sha256({PART: sha256_hex(parquet_bytes(self.rows))})


def asked_for(declaration: ModelDeclaration, aside: PutAside | None, *, trains: bool) -> Standing | None:
    """What a snapshot leaves out: the set that was chosen, or one that a training chooses."""
    declared = declaration.gate.standing
    if declared is None or (aside is None and not trains):
        return None
    return Standing(declared.days, None if aside is None else aside.period)


def with_standing(parts: SnapshotParts, aside: PutAside | None) -> tuple[SnapshotParts, PutAside | None]:
    """The parts with the rows of the set in force, and that set: the one from before, or what these parts chose."""
    if aside is not None:
        return replace(parts, standing=aside.rows), aside
    period = parts.snapshot.standing
    return parts, None if period is None or parts.standing is None else PutAside(period, parts.standing)
