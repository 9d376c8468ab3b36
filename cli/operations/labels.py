"""Send outcomes to a deployed model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from cli.account import DeployedModel
from cli.exceptions import ApiRefusedError, CommandError, RefusedDataError
from cli.signed_http import SignedHttpClient
from everloop.dataset.columns import as_keys, as_texts
from everloop.serving.exceptions import RequestError
from everloop.serving.labels import LabelRules, parse_labels

BATCH = 500
"""Labels in one request: what the labels route takes at most."""

REFERENCES = ("prediction_id", "key")

_TRUTHS = {"True": "1", "true": "1", "TRUE": "1", "False": "0", "false": "0", "FALSE": "0"}
"""What pandas, R and SQL tools write for the outcomes of two classes."""

_MEND = "mend the file and import it again"


@dataclass(frozen=True)
class LabelsFile:
    """The labels of a file, each as the API takes it, and the line each stands on (a CSV's header is line 1)."""

    labels: list[dict[str, Any]]
    lines: list[int]


@dataclass(frozen=True)
class LabelsImport:
    """What an import of labels did."""

    file: str
    accepted: int
    batches: int


def send_labels(http: SignedHttpClient, model: DeployedModel, labels: list[dict[str, Any]]) -> int:
    """Send labels in batches and return how many were accepted.

    Of two labels for one prediction the one that arrives last counts, so the same label twice is one.
    """
    return sum(_send(http, model, labels[start : start + BATCH]) for start in range(0, len(labels), BATCH))


def import_labels(
    http: SignedHttpClient,
    model: DeployedModel,
    rules: LabelRules,
    file: Path,
    on_progress: Callable[[int, int], None] = lambda accepted, of: None,
) -> LabelsImport:
    """Send the labels of a CSV or Parquet file: a column ``label`` and one of ``prediction_id`` and ``key``.

    Parameters
    ----------
    rules : LabelRules
        What the model's declaration allows; every label is held against it before the first is sent.
    on_progress : callable
        Told after each batch how many labels are accepted, of how many.

    Raises
    ------
    RefusedDataError
        A column is missing or extra, a value is missing or not allowed, or one prediction has two values; nothing
        is sent.
    CommandError
        The API stopped taking labels on the way; the message says up to which line it took them.
    """
    read = read_labels(file)
    require_allowed(file, read, rules)
    accepted = 0
    for start in range(0, len(read.labels), BATCH):
        try:
            accepted += _send(http, model, read.labels[start : start + BATCH])
        except CommandError as error:
            raise CommandError(
                f"{_taken(file, read.lines[:start])}; then: {error.message}{_line_of(error, read.lines[start:])}",
                f"{error.remedy}; then import the file again: labels already taken are not doubled",
            ) from error
        on_progress(accepted, len(read.labels))
    return LabelsImport(str(file), accepted, -(-len(read.labels) // BATCH))


def read_labels(file: Path) -> LabelsFile:
    """The labels of a file.

    Raises
    ------
    RefusedDataError
        The file can't be read, its columns are others, or a row has no reference, no number, or a second value.
    """
    frame = _read(file)
    references = [name for name in REFERENCES if name in frame.columns]
    if "label" not in frame.columns or len(references) != 1 or len(frame.columns) != 2:
        raise RefusedDataError(
            f"{file}: the columns are {', '.join(map(str, frame.columns)) or 'none'}",
            "give exactly two: `label`, and one of `prediction_id` and `key`",
        )
    reference = references[0]
    frame = frame.reset_index(drop=True)
    _refuse_rows(file, _is_empty(frame[reference]) | _is_empty(frame["label"]), "has an empty value")
    numbers = _numbers(frame["label"])
    _refuse_rows(file, numbers.isna(), "has a label that is not a number")
    frame = pd.DataFrame({reference: _references(file, frame[reference]), "label": numbers})
    frame = frame.drop_duplicates()
    _refuse_rows(file, frame[reference].duplicated(keep=False), f"gives one {reference} two values")
    labels = [{reference: name, "label": value} for name, value in frame.itertuples(index=False)]
    return LabelsFile(labels, [int(place) + 2 for place in frame.index])


def require_allowed(file: Path, read: LabelsFile, rules: LabelRules) -> None:
    """Hold every label against what the API takes, by the API's own rules.

    Raises
    ------
    RefusedDataError
        With the line of the first label that would be refused.
    """
    for start in range(0, len(read.labels), BATCH):
        try:
            parse_labels(json.dumps({"labels": read.labels[start : start + BATCH]}).encode(), rules)
        except RequestError as error:
            place = "" if error.index is None else f"line {read.lines[start + error.index]}: "
            raise RefusedDataError(f"{file}: {place}{error.message}; nothing was sent", _MEND) from error


def _read(file: Path) -> pd.DataFrame:
    try:
        if file.suffix.lower() == ".parquet":
            return pd.read_parquet(file)
        # Texts as they stand: a key may well be called NA or 0042.
        return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", on_bad_lines="error")
    except (OSError, ValueError, csv.Error, pyarrow.ArrowException) as error:
        raise RefusedDataError(
            f"{file} can't be read: {error}; nothing was sent", f"{_MEND}, as .csv or .parquet"
        ) from error


def _references(file: Path, column: pd.Series) -> pd.Series:
    """What the labels name, in the form that requests and history have it in."""
    if column.name == "key":
        keys = as_keys(column)
        for (_, rule), wrong in keys.refused.items():
            shown = repr(column[wrong].iloc[0])
            _refuse_rows(file, pd.Series(wrong), f"has the key {shown}, which is {rule}")
        return keys.values
    texts = as_texts(column)
    _refuse_rows(file, pd.Series(texts.mistyped), "has a prediction_id that is no text, as every prediction_id is")
    return texts.values


def _is_empty(column: pd.Series) -> pd.Series:
    return column.isna() | (column.astype(object) == "")


def _numbers(column: pd.Series) -> pd.Series:
    """Floats; NaN for what is no number. A timestamp or a duration is none, though pandas would count its ticks."""
    if column.dtype.kind in "Mm":
        return pd.Series(float("nan"), index=column.index)
    if column.dtype.kind == "O" or pd.api.types.is_string_dtype(column):
        column = column.replace(_TRUTHS)
    return pd.to_numeric(column, errors="coerce").astype(float)


def _refuse_rows(file: Path, wrong: pd.Series, why: str) -> None:
    if wrong.any():
        lines = [str(int(place) + 2) for place in wrong[wrong].index[:5]]
        raise RefusedDataError(
            f"{file}: {int(wrong.sum())} rows refused, nothing was sent; line {', line '.join(lines)} {why}", _MEND
        )


def _send(http: SignedHttpClient, model: DeployedModel, labels: list[dict[str, Any]]) -> int:
    return int(http.post(model.labels_url, {"labels": labels})["accepted"])


def _taken(file: Path, lines: list[int]) -> str:
    return f"{file}: {len(lines)} labels were taken, up to line {lines[-1]}" if lines else f"{file}: no label was taken"


def _line_of(error: CommandError, lines: list[int]) -> str:
    """The line of the label that the API's answer is about, where it is about one."""
    index = (error.body.get("error") or {}).get("index") if isinstance(error, ApiRefusedError) else None
    return f" (line {lines[index]})" if isinstance(index, int) and index < len(lines) else ""
