"""Send outcomes to a deployed model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from everloop.cli.account import DeployedModel
from everloop.cli.exceptions import ApiRefusedError, CommandError, RefusedDataError
from everloop.cli.signed_http import JsonClient
from everloop.dataset.cells import Cells, convert
from everloop.dataset.columns import as_keys, as_numbers, as_texts
from everloop.dataset.exceptions import DatasetError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.file_sniff import WantedColumns
from everloop.dataset.hints import hint
from everloop.dataset.row_rules import shown_cell
from everloop.dataset.table_file import PARQUET_SUFFIXES, read_table
from everloop.numbers_of import number_of
from everloop.problem_types import Class
from everloop.serving.exceptions import RequestError
from everloop.serving.labels import LabelRules, LabelsAnswer, parse_labels
from everloop.typed_json import JsonObject, read_as

BATCH = 500
"""Labels in one request: what the labels route takes at most."""

REFERENCES = ("prediction_id", "key")

_MEND = "fix the file and import it again"


@dataclass(frozen=True)
class LabelsFile:
    """The labels of a file, each as the API takes it, and the row each is in, from 1 without the header."""

    labels: list[JsonObject]
    rows: list[int]


@dataclass(frozen=True)
class LabelsImport:
    """What an import of labels did."""

    file: str
    accepted: int
    batches: int


def send_labels(http: JsonClient, model: DeployedModel, labels: list[JsonObject]) -> int:
    """Send labels in batches and return how many were accepted.

    Of two labels for one prediction the one that arrives last counts, so the same label twice is one.
    """
    return sum(_send(http, model, labels[start : start + BATCH]) for start in range(0, len(labels), BATCH))


def import_labels(
    http: JsonClient,
    model: DeployedModel,
    rules: LabelRules,
    file: Path,
    on_progress: Callable[[int, int], None] = lambda accepted, of: None,
    *,
    file_format: FileFormat | None = None,
    note: Callable[[str], None] = lambda sentence: None,
) -> LabelsImport:
    """Send the labels of a CSV or Parquet file: a column ``label`` and one of ``prediction_id`` and ``key``.

    Parameters
    ----------
    rules : LabelRules
        What the model's declaration allows; every label is compared with it before the first is sent.
    on_progress : callable
        Told after each batch how many labels are accepted, of how many.
    file_format, note
        As :func:`read_labels` takes them.

    Raises
    ------
    RefusedDataError
        A column is missing or extra, a value is missing or not allowed, or one prediction has two values; nothing
        is sent.
    CommandError
        The API stopped taking labels on the way; the message says up to which row it took them.
    """
    read = read_labels(file, file_format, classes=rules.classes, note=note)
    require_allowed(file, read, rules)
    accepted = 0
    for start in range(0, len(read.labels), BATCH):
        try:
            accepted += _send(http, model, read.labels[start : start + BATCH])
        except CommandError as error:
            raise CommandError(
                f"{_taken(file, read.rows[:start])}; then: {_in_file(error, read.rows[start:])}",
                f"{error.remedy}; then import the file again: labels already accepted are not counted twice",
            ) from error
        on_progress(accepted, len(read.labels))
    return LabelsImport(str(file), accepted, -(-len(read.labels) // BATCH))


def read_labels(
    file: Path,
    file_format: FileFormat | None = None,
    *,
    classes: Sequence[Class] = (),
    note: Callable[[str], None] = lambda sentence: None,
) -> LabelsFile:
    """The labels of a file.

    Parameters
    ----------
    file_format : FileFormat, optional
        What is said about the file.
    classes : sequence of str, or of int
        Of a multiclass classification; its labels are read as their names.
    note : callable
        Told each sentence about how cells were read that a person should know.

    Raises
    ------
    RefusedDataError
        The file can't be read, its columns are others, or a row has no reference, no number, or a second value.
    """
    said = file_format or FileFormat()
    try:
        named = bool(classes) and isinstance(classes[0], str)
        numeric = () if named else ("label",)
        table = read_table(file, said, WantedColumns("a file of labels", ["label"], numeric, one_of=REFERENCES))
        reference = next(name for name in REFERENCES if name in table)
        cells = Cells(said, is_text=not file.name.lower().endswith(PARQUET_SUFFIXES))
        references = convert(file, reference, lambda: cells.keys(reference, table[reference]))
        if named:
            values = convert(file, "label", lambda: cells.texts("label", table["label"], list(map(str, classes))))
        else:
            values = convert(file, "label", lambda: cells.numbers("label", table["label"], truths=not classes))
    except DatasetError as error:
        remedy = f"{_MEND}, or give its format: `everloop docs data-formats`"
        raise RefusedDataError(f"{error}; nothing was sent", remedy) from error
    for sentence in cells.notes:
        note(sentence)
    _refuse_rows(file, _is_empty(references) | _is_empty(values), "no value where one is required")
    numbers = as_texts(values) if named else as_numbers(values)
    if numbers.mistyped.any() and not named:
        wrong = values[numbers.mistyped].iloc[0]
        what = f"{shown_cell(wrong)}, a label that is not a number{hint('number', wrong)}"
        _refuse_rows(file, pd.Series(numbers.mistyped), what)
    frame = pd.DataFrame({reference: _references(file, references), "label": numbers.values}).drop_duplicates()
    _refuse_rows(file, frame[reference].duplicated(keep=False), f"two values for one {reference}")
    labels = [{reference: name, "label": value} for name, value in frame.itertuples(index=False)]
    return LabelsFile(labels, [int(place) + 1 for place in frame.index])


def require_allowed(file: Path, read: LabelsFile, rules: LabelRules) -> None:
    """Check every label against what the API takes, by the API's own rules.

    Raises
    ------
    RefusedDataError
        With the row of the first label that would be refused.
    """
    for start in range(0, len(read.labels), BATCH):
        try:
            parse_labels(json.dumps({"labels": read.labels[start : start + BATCH]}).encode(), rules)
        except RequestError as error:
            place = "" if error.index is None else f"row {read.rows[start + error.index]}: "
            raise RefusedDataError(f"{file}: {place}{error.message}; nothing was sent", _MEND) from error


def _references(file: Path, column: pd.Series) -> pd.Series:
    """What the labels name, in the form that requests and history have it in."""
    if column.name == "key":
        keys = as_keys(column)
        for (_, rule), wrong in keys.refused.items():
            _refuse_rows(file, pd.Series(wrong), f"the key {shown_cell(column[wrong].iloc[0])}, which is {rule}")
        return keys.values
    texts = as_texts(column)
    _refuse_rows(
        file, pd.Series(texts.mistyped), "a prediction_id that is not a string; every prediction_id is a string"
    )
    return texts.values


def _is_empty(column: pd.Series) -> pd.Series:
    return column.isna() | (column.astype(object) == "")


def _refuse_rows(file: Path, wrong: pd.Series, what: str) -> None:
    if wrong.any():
        rows = ", ".join(f"row {int(place) + 1}" for place in wrong[wrong].index[:5])
        more = f" and {int(wrong.sum()) - 5} more" if wrong.sum() > 5 else ""
        verb = "has" if wrong.sum() == 1 else "have"
        raise RefusedDataError(
            f"{file}: {rows}{more} {verb} {what}; nothing was sent (rows are counted from 1, without the header)", _MEND
        )


def _send(http: JsonClient, model: DeployedModel, labels: list[JsonObject]) -> int:
    what, remedy = "answer of the labels route", "deploy the model's stack again"
    return read_as(LabelsAnswer, http.post(model.labels_url, {"labels": labels}), what, remedy)["accepted"]


def _taken(file: Path, rows: list[int]) -> str:
    if not rows:
        return f"{file}: no label was accepted"
    return f"{file}: {number_of(len(rows), 'label was', 'labels were')} accepted, up to row {rows[-1]}"


def _in_file(error: CommandError, rows: list[int]) -> str:
    """What was answered, with the row of the file that it is about, where it is about one."""
    if not isinstance(error, ApiRefusedError) or error.index is None or error.index >= len(rows):
        return error.message
    return f"{error.answer} (row {rows[error.index]})"
