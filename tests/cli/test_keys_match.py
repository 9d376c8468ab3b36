"""The same key matches by whatever door and in whatever type it comes, or one door refuses it."""

from __future__ import annotations

import csv
import json
import tempfile
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.cli.exceptions import RefusedDataError
from everloop.cli.operations.labels import read_labels
from everloop.dataset.exceptions import HistoryFileError
from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.serving.exceptions import RequestError
from everloop.serving.labels import LabelRules, parse_labels
from everloop.serving.request import RequestParser
from tests.helpers.artifacts import row, small_contract
from tests.helpers.declarations import binary_document, declare
from tests.helpers.requests import rows_in_body
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())
PARSER = RequestParser(small_contract())
REFUSED = None

Door = Callable[[Path, Any], str | None]


def history_of(file: Path) -> str | None:
    try:
        check = check_history(read_history_file(file, DECLARATION), DECLARATION, START + timedelta(days=30))
    except HistoryFileError:
        return REFUSED
    return check.accepted["train_id"].iloc[0] if len(check.accepted) else REFUSED


def labels_of(file: Path) -> str | None:
    try:
        (label,) = read_labels(file).labels
        return parse_labels(json.dumps({"labels": [label]}).encode(), LabelRules(is_binary=True))[0].key
    except (RefusedDataError, RequestError):
        return REFUSED


def request_of(key: Any) -> str | None:
    try:
        return rows_in_body(PARSER, json.dumps({"instances": [row(key)]}).encode()).keys[0]
    except RequestError:
        return REFUSED


def label_json_of(key: Any) -> str | None:
    try:
        body = json.dumps({"labels": [{"key": key, "label": 1}]}).encode()
        return parse_labels(body, LabelRules(is_binary=True))[0].key
    except RequestError:
        return REFUSED


def written(folder: Path, key: Any, *, history: bool, type_: pyarrow.DataType | None, beside_null: bool) -> Path:
    """A file of one row, and one without a key where ``beside_null``: CSV as Python writes it, or Parquet."""
    if history:
        table = history_table(2)[1:] if not beside_null else history_table(2)[::-1].assign(departure=START)
        name = "train_id"
    else:
        table, name = pd.DataFrame({"label": [1] * (1 + beside_null)}), "key"
    keys = [key, None] if beside_null else [key]
    if type_ is None:
        columns = {**{c: table[c].astype(object).where(table[c].notna(), "").tolist() for c in table}, name: keys}
        with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
        return folder / "a.csv"
    arrow = pyarrow.Table.from_pandas(table.drop(columns=name, errors="ignore"), preserve_index=False)
    pyarrow.parquet.write_table(arrow.append_column(name, pyarrow.array(keys, type=type_)), folder / "a.parquet")
    return folder / "a.parquet"


def by_file(folder: Path, key: Any, type_: pyarrow.DataType | None) -> set[str | None]:
    # Beside a null some types are read as another; of the texts, one stands for all.
    null = (False,) if type_ in TEXTS[1:] else (False, True)
    found = {history_of(written(folder, key, history=True, type_=type_, beside_null=n)) for n in null}
    return found | {labels_of(written(folder, key, history=False, type_=type_, beside_null=False))}


INTEGERS = [pyarrow.int8(), pyarrow.int64(), pyarrow.uint64()]
FLOATS = [pyarrow.float16(), pyarrow.float32(), pyarrow.float64()]
DECIMALS = [pyarrow.decimal128(38, 0), pyarrow.decimal128(38, 2), pyarrow.decimal256(60, 0)]
TEXTS = [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]


def everywhere(folder: Path, number: int) -> dict[str, set[str | None]]:
    """What each door makes of a whole number in every type that holds it, or rounds it."""
    found: dict[str, set[str | None]] = {}
    for type_ in INTEGERS:
        bits, signed = type_.bit_width, str(type_).startswith("int")
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        if low <= number < high:
            found[str(type_)] = by_file(folder, number, type_)
    for type_ in FLOATS:
        held = float(pyarrow.array([number], pyarrow.decimal128(38, 0)).cast(pyarrow.float64())[0].as_py())
        found[str(type_)] = by_file(folder, held, type_)
    for type_ in DECIMALS:
        found[str(type_)] = by_file(folder, Decimal(number), type_)
    for type_ in (None, *TEXTS):
        found[f"digits in {type_ or 'csv'}"] = by_file(folder, str(number), type_)
    for type_ in (None, TEXTS[0]):
        found[f"float in {type_ or 'csv'}"] = by_file(folder, str(float(number)), type_)
        found[f"scientific in {type_ or 'csv'}"] = by_file(folder, f"{number:.5E}", type_)
    for value in (number, str(number), float(number), str(float(number)), f"{number:.5E}"):
        found[f"request {value!r}"] = {request_of(value)}
        found[f"label {value!r}"] = {label_json_of(value)}
    return found


BOUNDARIES = [2**n + d for n in (11, 24, 53) for d in (-1, 0, 1)]


@settings(max_examples=3, deadline=None)
@given(st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 300) | st.sampled_from(BOUNDARIES))
@example(2**11 + 1)
@example(2**24 + 1)
@example(2**53 + 1)
@example(2**63)
def test_a_whole_number_is_one_key_in_every_carrier_or_refused(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = everywhere(Path(folder), number)
    wrong = {carrier: keys for carrier, keys in found.items() if keys - {str(number), REFUSED}}
    assert wrong == {}
    # THEN what holds it exactly is taken, so that the test is not about refusals alone
    assert found["digits in csv"] == found[f"request {number}"] == found[f"label {number}"] == {str(number)}
    assert found["decimal128(38, 0)"] == {str(number)}
    if -(2**53) < number < 2**53:
        assert found["double"] == {str(number)}


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=8) | st.text(alphabet="0123456789.,eE+- \u0301e\u00e9", max_size=6))
def test_a_text_is_one_key_in_every_carrier_or_refused(text: str) -> None:
    keys: set[str | None] = set()
    with tempfile.TemporaryDirectory() as name:
        for written_as in {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}:
            if not any("\ud800" <= c <= "\udfff" for c in written_as):
                keys |= {k for type_ in (None, *TEXTS) for k in by_file(Path(name), written_as, type_)}
            keys |= {request_of(written_as), label_json_of(written_as)}
    assert keys - {REFUSED} in (set(), {unicodedata.normalize("NFC", text)})


@pytest.mark.parametrize("type_", [pyarrow.bool_(), pyarrow.date32(), pyarrow.timestamp("ms"), pyarrow.binary()])
def test_other_types_are_refused_with_what_came(tmp_path: Path, type_: pyarrow.DataType) -> None:
    value = {"bool": True, "binary": b"k"}.get(str(type_), START.date() if type_ == pyarrow.date32() else START)
    assert by_file(tmp_path, value, type_) == {REFUSED}
    with pytest.raises(RefusedDataError, match=r"row 1 has the key .* is .*a key is a string or a whole number"):
        read_labels(written(tmp_path, value, history=False, type_=type_, beside_null=False))


def test_a_prediction_id_is_the_text_that_the_answer_gave(tmp_path: Path) -> None:
    pd.DataFrame({"prediction_id": [1, 2], "label": [1, 0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(RefusedDataError, match="row 1, row 2 have a prediction_id that is not a string"):
        read_labels(tmp_path / "a.parquet")
