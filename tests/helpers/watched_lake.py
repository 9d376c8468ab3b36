"""A lake in DuckDB: captured predictions and labels, as rows in memory and as the tables that queries read."""

from __future__ import annotations

import itertools
import math
import weakref
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from everloop.lake_tables import DATE, TABLES
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.build import build_reference, complete_reference
from everloop.monitoring.reference import Reference
from localcloud.services.athena.functions import MACROS

LINES = ["north", "south", "o'er", "west"]
OPERATORS = ["alpha", "beta", ""]


@dataclass
class WatchedRows:
    """Rows as arrays: features, score, label (NaN where unknown)."""

    features: dict[str, Any]
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def draw(
    rng: np.random.Generator,
    rows: int,
    *,
    classification: bool = True,
    shift: float = 0.0,
    day_effect: float = 0.0,
    bias: float = 0.0,
    unlabelled: float = 0.0,
) -> WatchedRows:
    """Rows whose labels follow their scores; ``bias`` moves the truth away from them (in log odds or units)."""
    distance = rng.gamma(2.0, 200.0, rows)
    wind = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(10 + shift + day_effect, 4, rows))
    z = -1.2 + 0.12 * (np.nan_to_num(wind, nan=10.0) - 10 - shift) + rng.normal(0, 0.7, rows)
    if classification:
        scores = 1 / (1 + np.exp(-z))
        labels = (rng.random(rows) < 1 / (1 + np.exp(-(z + bias)))).astype(float)
    else:
        scores = 10 * z
        labels = scores + bias + rng.normal(0, 3, rows)
    labels[rng.random(rows) < unlabelled] = math.nan
    features = {
        "distance": distance,
        "wind": wind,
        "line": [LINES[i] for i in rng.integers(0, 3, rows)],
        "operator": [OPERATORS[i] for i in rng.integers(0, 3, rows)],
    }
    return WatchedRows(features, scores, labels)


def together(parts: list[WatchedRows]) -> WatchedRows:
    """The rows of all parts."""
    features = {
        name: np.concatenate([p.features[name] for p in parts])
        if isinstance(parts[0].features[name], np.ndarray)
        else [value for p in parts for value in p.features[name]]
        for name in parts[0].features
    }
    return WatchedRows(features, np.concatenate([p.scores for p in parts]), np.concatenate([p.labels for p in parts]))


def reference_of(days: list[WatchedRows], declaration: ModelDeclaration) -> Reference:
    """The complete reference of rows given day by day."""
    rows = together(days)
    day = np.repeat(np.arange(len(days)), [len(d) for d in days]).astype("datetime64[D]")
    numbers = {f.name: rows.features[f.name] for f in declaration.data.numbers}
    categories = {f.name: rows.features[f.name] for f in declaration.data.categories}
    reference = build_reference(numbers, categories, day, declaration)
    known = ~np.isnan(rows.labels)
    return complete_reference(reference, rows.scores[known], rows.labels[known], day[known], declaration)


DUCKDB_TYPES = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "double": "DOUBLE",
    "int": "INTEGER",
    "array<double>": "DOUBLE[]",
}


_numbers = itertools.count()
_left: list[str] = []
"""Databases that nobody has any more."""


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """In one thread: what a test asks is too little to be shared out."""
    engine = duckdb.connect(config={"threads": 1})
    for macro in MACROS:
        engine.execute(macro)
    return engine


def own_database() -> duckdb.DuckDBPyConnection:
    """An empty database of its own with Athena's functions, in the engine of this process.

    An engine takes 50 milliseconds to start, and a database one.
    """
    engine = _engine()
    while _left:
        engine.execute(f"DETACH {_left.pop()}")
    name = f"own_{next(_numbers)}"
    connection = engine.cursor()
    connection.execute(f"ATTACH ':memory:' AS {name}")
    connection.execute(f"SET search_path = '{name}.main,memory.main'")
    # Only the name is kept here: a finalizer may come in the middle of a query.
    weakref.finalize(connection, _left.append, name)
    return connection


@dataclass
class WatchedLake:
    """The tables of one model."""

    declaration: ModelDeclaration
    connection: duckdb.DuckDBPyConnection = field(default_factory=own_database)
    captured: int = 0

    def __post_init__(self) -> None:
        for table in TABLES:
            columns = [f'"{name}" {DUCKDB_TYPES[kind]}' for name, kind in table.columns(self.declaration.data.features)]
            columns += [f'"{DATE}" VARCHAR'] if table.daily else []
            self.connection.execute(f'CREATE TABLE "{self.declaration.model}_{table.kind}" ({", ".join(columns)})')

    def capture(
        self,
        rows: WatchedRows,
        at: datetime,
        *,
        version: int | None = 1,
        raw: np.ndarray | None = None,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
        fallback: str | None = None,
        share: float | None = None,
    ) -> list[str]:
        """Capture the rows at one instant; their prediction ids. Where ``raw`` is given, the model said that; where
        ``bounds`` are, they were answered; what a ``fallback`` answered is of no version. They are ``share`` of
        what was asked.
        """
        binary = self.declaration.problem.type == "binary_classification"
        several = self.declaration.problem.classes
        records, ids = [], []
        for i in range(len(rows)):
            self.captured += 1
            ids.append(f"p{self.captured}")
            each = rows.scores[i].tolist() if several else None
            score = float(np.max(rows.scores[i]))
            answer = [float(score >= 0.5), score] if binary else [score, None]
            if several:
                answer = [float(np.argmax(rows.scores[i])), score]
            features = [_cell(rows.features[f.name][i]) for f in self.declaration.data.features]
            said = score if raw is None else float(raw[i])
            between = [None, None] if bounds is None else [float(bounds[0][i]), float(bounds[1][i])]
            named = [ids[-1], f"r{self.captured}", version, _naive(at), f"k{self.captured}"]
            ours = [*named, *answer, 1.0, said, None, *between, each, fallback, share]
            records.append([*ours, *features, _day(at)])
        self._insert("predictions", records)
        return ids

    def label(self, prediction_ids: list[str], labels: np.ndarray, at: datetime, *, by_key: bool = False) -> None:
        """Let the known labels arrive at ``at``."""
        records = []
        for prediction_id, label in zip(prediction_ids, labels, strict=True):
            if not math.isnan(label):
                names = [None, f"k{prediction_id[1:]}"] if by_key else [prediction_id, None]
                records.append([f"l-{prediction_id}-{label}-{by_key}", *names, float(label), _naive(at), _day(at)])
        self._insert("labels", records)

    def live(self, rows: WatchedRows, day: datetime, *, version: int = 1) -> None:
        """Capture rows at noon, their labels arriving at ten the next day."""
        ids = self.capture(rows, day + timedelta(hours=12), version=version)
        self.label(ids, rows.labels, day + timedelta(hours=34))

    def repeat_delivery(self) -> None:
        """Every captured record once more, as Firehose may deliver it."""
        table = f'"{self.declaration.model}_predictions"'
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM {table}")

    def rows(self, query: str) -> list[dict[str, str | None]]:
        """The answer of a query as Athena gives it: text."""
        cursor = self.connection.execute(query)
        names = [d[0] for d in cursor.description]
        return [
            {n: None if v is None else str(v) for n, v in zip(names, row, strict=True)} for row in cursor.fetchall()
        ]

    def _insert(self, kind: str, records: list[list[Any]]) -> None:
        """As a table of Arrow: row by row takes fifty times as long, and as lists half as long again."""
        if records:
            columns = [pa.array(column) for column in zip(*records, strict=True)]
            given = pa.Table.from_arrays(columns, names=[f"c{number}" for number in range(len(columns))])
            self.connection.register("given", given)
            self.connection.execute(f'INSERT INTO "{self.declaration.model}_{kind}" SELECT * FROM given')
            self.connection.unregister("given")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value or None
    return None if math.isnan(value) else float(value)


def _naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _day(at: datetime) -> str:
    return at.date().isoformat()
