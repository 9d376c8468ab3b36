"""The facts of a snapshot, as ``snapshot.json`` keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from everloop.dataset.leakage import FeatureSigns
from everloop.dataset.standing import Period
from everloop.documents.snapshot import (
    ColumnDocument,
    HeldGroupsDocument,
    PartsDocument,
    SourceDocument,
    SuspectDocument,
)
from everloop.typed_json import JsonObject, as_json


@dataclass(frozen=True)
class Snapshot:
    """The facts of a snapshot.

    Attributes
    ----------
    snapshot_hash : str
        SHA-256 over rows, schema and split boundary; no file layout, time or query in it.
    columns : list of dict
        Name and type of each column, in order.
    boundary : datetime
        Rows up to this instant are trained on, later ones test.
    rows : dict
        ``train`` and ``test``, and what was left out: ``unlabelled`` without a label, ``superseded`` for another row
        of their key, and ``standing`` where rows of the standing set's period are. Where groups are held out, their
        rows: ``held_out`` before the test part, and ``test_held_out`` among those of it.
    time_range : (datetime, datetime)
        Of all labelled rows.
    label_mean : dict
        Of each part: the positive rate, or the mean of the target (of several classes, of their places).
    class_rows : dict
        Of several classes: how many rows of each part each has, by name. Empty otherwise, and the document leaves
        it out.
    profile : dict
        By feature: missing cells, and what its values are like, over all labelled rows.
    source : SourceDocument
    leakage : sequence of SuspectDocument
        The features that may leak the outcome.
    signs : sequence of FeatureSigns
        What was counted to tell; the document leaves it out.
    parts : PartsDocument or None
        Where its files stand; None of a set of rows that was not stored.
    standing : Period or None
        Whose rows are in no part that is learned from; the document leaves it out where there is none.
    held_groups : HeldGroupsDocument or None
        The groups that are in no part that is learned from; the document leaves it out where there are none.
    """

    model: str
    snapshot_hash: str
    columns: list[ColumnDocument]
    boundary: datetime
    rows: dict[str, int]
    time_range: tuple[datetime, datetime]
    label_mean: dict[str, float]
    profile: dict[str, dict[str, object]]
    source: SourceDocument
    parts: PartsDocument | None = None
    leakage: Sequence[SuspectDocument] = ()
    signs: Sequence[FeatureSigns] = ()
    class_rows: dict[str, dict[str, int]] = field(default_factory=dict)
    standing: Period | None = None
    held_groups: HeldGroupsDocument | None = None

    @property
    def rarest_class(self) -> int | None:
        """Of several classes, the place of the one with the fewest rows: that which ``signs`` are about."""
        counts = [sum(part[name] for part in self.class_rows.values()) for name in self.class_rows.get("train", ())]
        return counts.index(min(counts)) if counts else None

    def to_document(self) -> JsonObject:
        """The document of ``snapshot.json``."""
        document: JsonObject = as_json(replace(self, signs=()))
        del document["signs"]
        if not self.class_rows:
            del document["class_rows"]
        if self.standing is None:
            del document["standing"]
        if self.held_groups is None:
            del document["held_groups"]
        return document
