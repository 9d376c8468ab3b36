"""Tables as the lake keeps them: ``key``, ``time``, ``label``, then the features, in Parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from everloop.dataset.digest import table_sha256
from everloop.lake_tables import CLASSES_OF_ROWS, HISTORY, KEY_OF_ROWS, TARGET_OF_ROWS, classes_text
from everloop.names import lake_prefix

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


def lake_columns(declaration: ModelDeclaration) -> list[str]:
    """Names of the columns of a history table, in order."""
    return [name for name, _ in HISTORY.columns(declaration.data.features)]


def to_lake_frame(frame: pd.DataFrame, declaration: ModelDeclaration) -> pd.DataFrame:
    """The accepted rows of a history check as the lake keeps them, ordered by time and key.

    Times are UTC without a zone, in milliseconds, as Athena reads them.
    """
    data = declaration.data
    renamed = frame.rename(columns={data.key: "key", data.time: "time", data.target: "label"})
    return in_lake_order(renamed[lake_columns(declaration)])


def in_lake_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows ordered by time, then key."""
    return frame.sort_values(["time", "key"], kind="stable", ignore_index=True)


def history_sha256(lake_frame: pd.DataFrame, declaration: ModelDeclaration) -> str:
    """Hash of the rows: what an import is called, so that the same rows twice are one object."""
    return table_sha256(lake_frame, header={"kind": HISTORY.kind, "model": declaration.model})


def history_object_key(declaration: ModelDeclaration, sha256: str) -> str:
    """Key of a history object in the lake bucket."""
    return f"{lake_prefix(HISTORY.kind, declaration.model)}{sha256}.parquet"


def history_bytes(lake_frame: pd.DataFrame, declaration: ModelDeclaration) -> bytes:
    """Rows of history as their object. Its columns are called alike for all models: the footer says what they were."""
    data, classes = declaration.data, declaration.problem.classes
    named = {CLASSES_OF_ROWS: classes_text(classes)} if classes else {}
    return parquet_bytes(lake_frame, {KEY_OF_ROWS: data.key, TARGET_OF_ROWS: data.target, **named})


def parquet_bytes(frame: pd.DataFrame, footer: Mapping[str, str] | None = None) -> bytes:
    """A table of typed columns as a Parquet file that Athena, DuckDB and pandas read alike.

    Missing numbers and texts are null. ``footer`` is kept with the file, beside its schema.
    """
    import pyarrow
    import pyarrow.parquet

    types = {"f": pyarrow.float64(), "M": pyarrow.timestamp("ms"), "O": pyarrow.string()}
    schema = pyarrow.schema([(str(c), types[frame[c].dtype.kind]) for c in frame.columns])
    table = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
    buffer = io.BytesIO()
    # snappy: the one codec that every reader here has.
    pyarrow.parquet.write_table(
        table.replace_schema_metadata(dict(footer) if footer else None), buffer, compression="snappy"
    )
    return buffer.getvalue()
