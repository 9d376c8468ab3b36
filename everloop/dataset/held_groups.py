"""Groups that no training learns from: entities, as customers or machines, whose newest rows judge a model.

What is learned of an entity helps with its later rows. Where a model is to answer for entities that it has never seen,
a test on rows of known ones is too kind. So a share of the groups is held out: chosen by a hash of the group's name
and the model's, the same groups for every version for ever. No record of them is needed, a group that turns up later
is held out or not from its first row on, and a larger share holds out the groups of a smaller one and more. Athena,
DuckDB and Python agree on the hash to the last bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.dataset.lake_sql import quoted
from everloop.documents.snapshot import HeldGroupsDocument

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

GROUPED = "grouped"

HELD, TESTED = "held_out", "test_held_out"
"""Rows of held-out groups: those before the test part, which are in no part, and those of it."""

DIGITS = 13
"""Hexadecimal digits of the hash that count: 52 bits, which a double holds exactly."""

DEFAULT_SHARE = 0.2

VALIDATION = "validation"


@dataclass(frozen=True)
class HeldGroups:
    """Which groups are held out.

    Attributes
    ----------
    column : str
        The category feature whose values are the groups.
    share : float
        Of the groups that are held out, on average.
    salt : str
        The name of the model: another one holds out other groups.
    """

    column: str
    share: float
    salt: str

    @classmethod
    def of(cls, declaration: ModelDeclaration) -> HeldGroups | None:
        """Those of a declaration; None where rows are taken apart by time alone."""
        split = declaration.data.split
        if split.strategy != GROUPED or split.group is None:
            return None
        return cls(split.group, DEFAULT_SHARE if split.share is None else split.share, declaration.model)

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> HeldGroups | None:
        """Those from which the version with this ``training.json`` has learned nothing."""
        found = None if record is None else record.get("held_groups")
        return None if found is None else cls(str(found["column"]), float(found["share"]), str(found["salt"]))

    def for_validation(self) -> HeldGroups:
        """As large a share of the other groups: what a choice between parameters is judged by."""
        return HeldGroups(self.column, self.share, f"{self.salt}/{VALIDATION}")

    def as_dict(self) -> HeldGroupsDocument:
        """As records have it."""
        return {"column": self.column, "share": self.share, "salt": self.salt}

    @property
    def condition(self) -> str:
        """The condition that a row is of a held-out group. Its texts compare as the numbers that they write."""
        text = f"""to_utf8({quoted(f"{self.salt}/")} || "{self.column}")"""
        return f"substr(to_hex(sha256({text})), 1, {DIGITS}) < {quoted(self._limit)}"

    def holds(self, group: str) -> bool:
        """Whether a group is held out."""
        return hashlib.sha256(f"{self.salt}/{group}".encode()).hexdigest()[:DIGITS].upper() < self._limit

    @property
    def _limit(self) -> str:
        return format(int(self.share * 16**DIGITS), f"0{DIGITS}X")
