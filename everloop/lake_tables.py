"""The lake's tables and their columns: what the catalogue declares, the functions write and the queries read.

The request path reads this, so nothing is imported that it does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

Column = tuple[str, str]
"""A column's name and its type, as Glue writes it."""

DATE = "date"
"""The column by which captured tables are partitioned: the UTC day on which a record came."""


class DeclaredFeature(Protocol):
    """What is read of a feature; the declaration, which reads this module, has more (``everloop/model_file``)."""

    @property
    def name(self) -> str:
        """What its column is called."""

    @property
    def type(self) -> str:
        """``number`` or ``category``."""


@dataclass(frozen=True)
class LakeTable:
    """A table that each model has in the lake.

    Attributes
    ----------
    kind : str
        Its name after the model's; also its prefix in the lake bucket.
    own : tuple of Column
        The columns of every model's table.
    has_features : bool
        Whether the declared features follow, in declared order.
    daily : bool
        Whether it is partitioned by day.
    unloaded : bool
        Whether it is partitioned by what was unloaded: a query has to name it.
    """

    kind: str
    own: tuple[Column, ...]
    has_features: bool
    daily: bool
    unloaded: bool = False

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the columns of every model's table."""
        return tuple(name for name, _ in self.own)

    def columns(self, features: Iterable[DeclaredFeature]) -> list[Column]:
        """All columns of a model's table with these features, in order, without the partition's."""
        return [*self.own, *(feature_columns(features) if self.has_features else [])]


HISTORY = LakeTable(
    kind="history",
    own=(("key", "string"), ("time", "timestamp"), ("label", "double")),
    has_features=True,
    daily=False,
)
PREDICTIONS = LakeTable(
    kind="predictions",
    own=(
        ("prediction_id", "string"),
        ("request_id", "string"),
        ("version", "int"),
        ("time", "timestamp"),
        ("key", "string"),
        ("prediction", "double"),
        ("probability", "double"),
        ("latency_ms", "double"),
        ("raw_score", "double"),
        ("calibration_sha256", "string"),
        ("prediction_low", "double"),
        ("prediction_high", "double"),
        ("probabilities", "array<double>"),
        ("fallback", "string"),
        ("capture_share", "double"),
    ),
    has_features=True,
    daily=True,
)
LABELS = LakeTable(
    kind="labels",
    own=(
        ("label_id", "string"),
        ("prediction_id", "string"),
        ("key", "string"),
        ("label", "double"),
        ("time", "timestamp"),
    ),
    has_features=False,
    daily=True,
)

TABLES = (HISTORY, PREDICTIONS, LABELS)
"""What the lake is filled with."""

SUPERSEDED = "s"
"""Of a training set's rows, the column beside those of history: how many rows of its key each one superseded."""

UNLOAD = "u"
"""The column by which frozen rows are partitioned: the attempt that unloaded them. Features have longer names."""

FROZEN = LakeTable(
    kind="frozen",
    own=(*HISTORY.own, (SUPERSEDED, "bigint")),
    has_features=True,
    daily=False,
    unloaded=True,
)
"""The rows of training sets, as the snapshot query gave them; for some days."""

RESERVED_COLUMNS = frozenset(name for table in TABLES if table.has_features for name in table.own_names) | {
    DATE,
    "model",
}
"""What no feature may be called: the columns that stand beside the features, and the partitions' names."""


def feature_columns(features: Iterable[DeclaredFeature]) -> list[Column]:
    """The declared features as columns, in declared order."""
    return [(f.name, "double" if f.type == "number" else "string") for f in features]


KEY_OF_ROWS = "everloop.key"
"""Under this name the footer of a history object has what the declaration called the key when it was imported."""

TARGET_OF_ROWS = "everloop.target"

CLASSES_OF_ROWS = "everloop.classes"
"""The same of the declared classes, as JSON: a label in the lake is the place of its class among them."""


def classes_text(classes: Iterable[str | int]) -> str:
    """The declared classes as one text, as footers have it."""
    return json.dumps(list(classes), ensure_ascii=False)
