"""Send outcomes to a deployed model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cli.account import DeployedModel
from cli.exceptions import RefusedDataError
from cli.signed_http import SignedHttpClient

BATCH = 500
"""Labels in one request: what the labels route takes at most."""

REFERENCES = ("prediction_id", "key")


@dataclass(frozen=True)
class LabelsImport:
    """What an import of labels did."""

    file: str
    accepted: int
    batches: int


def send_labels(http: SignedHttpClient, model: DeployedModel, labels: list[dict[str, Any]]) -> int:
    """Send labels in batches and return how many were accepted.

    The same label again changes nothing; another value for the same prediction wins by arriving later.
    """
    accepted = 0
    for start in range(0, len(labels), BATCH):
        answer = http.post(model.labels_url, {"labels": labels[start : start + BATCH]})
        accepted += int(answer["accepted"])
    return accepted


def import_labels(http: SignedHttpClient, model: DeployedModel, file: Path) -> LabelsImport:
    """Send the labels of a CSV or Parquet file: a column ``label`` and one of ``prediction_id`` and ``key``.

    Raises
    ------
    RefusedDataError
        A column is missing or extra, a value is missing, or one prediction has two values; nothing is sent.
    """
    labels = read_labels(file)
    accepted = send_labels(http, model, labels)
    return LabelsImport(str(file), accepted, -(-len(labels) // BATCH))


def read_labels(file: Path) -> list[dict[str, Any]]:
    """The labels of a file, each as the API takes it."""
    text = dict.fromkeys(REFERENCES, "string")
    frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=text)
    references = [name for name in REFERENCES if name in frame.columns]
    if "label" not in frame.columns or len(references) != 1 or len(frame.columns) != 2:
        raise RefusedDataError(
            f"{file}: the columns are {', '.join(map(str, frame.columns))}",
            "give exactly two: `label`, and one of `prediction_id` and `key`",
        )
    reference = references[0]
    _refuse_rows(file, frame[reference].isna() | frame["label"].isna(), "has an empty value")
    numbers = pd.to_numeric(frame["label"], errors="coerce")
    _refuse_rows(file, numbers.isna(), "has a label that is not a number")
    frame = pd.DataFrame({reference: frame[reference].astype(str), "label": numbers.astype(float)})
    frame = frame.drop_duplicates()
    _refuse_rows(file, frame[reference].duplicated(keep=False), f"gives one {reference} two values")
    return [{reference: name, "label": value} for name, value in frame.itertuples(index=False)]


def _refuse_rows(file: Path, wrong: pd.Series, why: str) -> None:
    if wrong.any():
        rows = [int(i) + 2 for i in wrong[wrong].index[:5]]
        raise RefusedDataError(
            f"{file}: {int(wrong.sum())} rows refused, nothing was sent; line {', line '.join(map(str, rows))} {why}",
            "mend the file and import it again; labels already sent are not doubled",
        )
