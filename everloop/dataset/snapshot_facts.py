"""The facts of a snapshot, as ``snapshot.json`` keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from everloop.dataset.leakage import FeatureSigns
from everloop.documents.snapshot import ColumnDocument, PartsDocument, SourceDocument, SuspectDocument
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
        of their key.
    time_range : (datetime, datetime)
        Of all labelled rows.
    label_mean : dict
        Of each part: the positive rate, or the mean of the target.
    profile : dict
        By feature: missing cells, and what its values are like, over all labelled rows.
    source : SourceDocument
    leakage : sequence of SuspectDocument
        The features that may leak the outcome.
    signs : sequence of FeatureSigns
        What was counted to tell; the document leaves it out.
    parts : PartsDocument or None
        Where its files stand; None of a set of rows that was not stored.
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

    def to_document(self) -> JsonObject:
        """The document of ``snapshot.json``."""
        document: JsonObject = as_json(replace(self, signs=()))
        del document["signs"]
        return document
