"""A file of labels is sent whole, or refused whole with the rows that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from everloop.cli.account import DeployedModel
from everloop.cli.exceptions import ApiRefusedError, CommandError, RefusedDataError
from everloop.cli.operations.labels import BATCH, import_labels, read_labels, send_labels
from everloop.dataset.file_format import FileFormat
from everloop.serving.labels import LabelRules
from everloop.typed_json import JsonObject

BINARY = LabelRules(is_binary=True)


class RecordingHttp:
    """Takes what is posted and accepts all of it, up to the batch it is told to fail at."""

    def __init__(self, fails_at: int | None = None, error: ApiRefusedError | None = None) -> None:
        self.posted: list[tuple[str, Any]] = []
        self._fails_at, self._error = fails_at, error

    def post(self, url: str, body: JsonObject) -> JsonObject:
        if self._error is not None and len(self.posted) == self._fails_at:
            raise self._error
        labels: Any = body["labels"]
        self.posted.append((url, body))
        return {"accepted": len(labels)}


MODEL = DeployedModel("m", "", "", "", "", "https://api.example/models/m/labels", "", "", "", "")


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    return file


def many(tmp_path: Path, count: int, label: Callable[[int], object] = lambda i: i % 2) -> Path:
    return write(tmp_path, "key,label\n" + "".join(f"k{i},{label(i)}\n" for i in range(count)))


def test_labels_are_read_by_prediction_id_and_by_key(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, "prediction_id,label\na-0,1\na-1,0\n")).labels == [
        {"prediction_id": "a-0", "label": 1.0},
        {"prediction_id": "a-1", "label": 0.0},
    ]
    assert read_labels(write(tmp_path, "label,key\n2.5,0042\n1,NA\n")).labels == [
        {"key": "0042", "label": 2.5},
        {"key": "NA", "label": 1.0},
    ]


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("TRUE", "FALSE"), ("1.0", "0.0")])
def test_outcomes_of_two_classes_may_be_said_in_words(tmp_path: Path, words: tuple[str, str]) -> None:
    yes, no = words
    labels = read_labels(write(tmp_path, f"key,label\nTrue,{yes}\nb,{no}\n")).labels
    assert labels == [{"key": "True", "label": 1.0}, {"key": "b", "label": 0.0}]


def test_a_spreadsheets_labels_are_read_as_they_are_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes("label;key\r\n2,5;Österreich\r\n-3,25;0042\r\n".encode("cp1252"))
    with pytest.raises(RefusedDataError, match=r"add --encoding windows-1252 --delimiter ';' --decimal ,; nothing was"):
        read_labels(file)
    assert read_labels(file, FileFormat(";", ",", "windows-1252")).labels == [
        {"key": "Österreich", "label": 2.5},
        {"key": "0042", "label": -3.25},
    ]


@pytest.mark.parametrize("text", ["key,label\n", "prediction_id,label", "label,key\n\n"])
def test_a_file_without_labels_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedDataError, match="has no rows"):
        read_labels(write(tmp_path, text))


def test_words_for_missing_are_told_and_refuse(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(RefusedDataError, match="row 2 has no value"):
        read_labels(write(tmp_path, "key,label\na,1\nb,NULL\n"), note=notes.append)
    assert notes == ["label: 'NULL' in 1 row counts as missing"]


@pytest.mark.parametrize("index", [[0, 1], [7, 3], ["a", "b"]])
def test_parquet_is_read_alike_whatever_its_index(tmp_path: Path, index: list[Any]) -> None:
    file = tmp_path / "labels.parquet"
    pd.DataFrame({"key": ["k", "l"], "label": [1, 0]}, index=index).to_parquet(file)
    assert read_labels(file).labels == [{"key": "k", "label": 1.0}, {"key": "l", "label": 0.0}]


def test_the_same_label_twice_is_one_and_rows_stay_those_of_the_file(tmp_path: Path) -> None:
    read = read_labels(write(tmp_path, "key,label\nk,1\nk,1\nl,0\n"))
    assert [entry["key"] for entry in read.labels] == ["k", "l"]
    assert read.rows == [1, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key,label\nk,1\nk,0\n", "row 1, row 2 have two values for one key"),
        ("key,label\nk,\n", "row 1 has no value"),
        ("key,label\n,1\n", "row 1 has no value"),
        ("key,label\na,1\nb,late\n", "row 2 has 'late', a label that is not a number"),
        ("key,label\na,NaN\n", "row 1 has no value"),
        ("key,outcome\nk,1\n", "missing: 'label'; not declared: 'outcome'; a file of labels takes label and one of"),
        ("key,prediction_id,label\nk,p,1\n", "one of 'prediction_id' and 'key' is required, and only one"),
        ("label\n1\n", "one of 'prediction_id' and 'key' is required, and only one"),
        (
            "key,label,extra\nk,1,2\n",
            "not declared: 'extra'; a file of labels takes label and one of 'prediction_id' and 'key'",
        ),
        ("", "can't be read"),
        ("key,label\nk,1\nl,1,2,3\n", "can't be read"),
        ('key,label\n"k,1\n', "can't be read"),
    ],
)
def test_a_wrong_file_is_refused_and_says_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RefusedDataError, match=says):
        read_labels(write(tmp_path, text))


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    latin = tmp_path / "labels.csv"
    latin.write_bytes("key,label\nMünchen,1\n".encode("latin-1"))
    parquet = tmp_path / "labels.parquet"
    parquet.write_text("key,label\nk,1\n")
    for file in (latin, parquet):
        with pytest.raises(RefusedDataError, match="can't be read"):
            read_labels(file)


def test_an_instant_is_no_label(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    pd.DataFrame({"key": ["k"], "label": [pd.Timestamp("2020-01-01")]}).to_parquet(file)
    with pytest.raises(RefusedDataError, match="not a number"):
        read_labels(file)


def test_labels_go_in_batches_and_all_of_them() -> None:
    http = RecordingHttp()
    labels: list[JsonObject] = [{"key": str(i), "label": 1.0} for i in range(2 * BATCH + 3)]
    assert send_labels(http, MODEL, labels) == len(labels)
    assert [len(body["labels"]) for _, body in http.posted] == [BATCH, BATCH, 3]
    assert [entry for _, body in http.posted for entry in body["labels"]] == labels


@pytest.mark.parametrize(("value", "says"), [("2", "'label' is 2; send 0 or 1"), ("inf", "not a finite number")])
def test_a_label_that_is_not_allowed_refuses_the_file_before_anything_is_sent(
    tmp_path: Path, value: str, says: str
) -> None:
    # GIVEN a file whose third batch has a label that the model can't have
    bad = 2 * BATCH + 100
    file = many(tmp_path, 3 * BATCH, lambda i: value if i == bad else 1)
    http = RecordingHttp()
    # WHEN it is imported, THEN its row is named and nothing was sent
    with pytest.raises(RefusedDataError, match=f"row {bad + 1}: .*{says}.*nothing was sent"):
        import_labels(http, MODEL, BINARY, file)
    assert http.posted == []


def test_an_import_that_breaks_off_says_how_far_it_came(tmp_path: Path) -> None:
    body: JsonObject = {"error": {"code": "labels_not_stored", "message": "the stream is full", "index": 3}}
    http = RecordingHttp(fails_at=2, error=ApiRefusedError(503, body, "try again"))
    with pytest.raises(CommandError) as raised:
        import_labels(http, MODEL, BINARY, many(tmp_path, 3 * BATCH))
    assert f"{2 * BATCH:,} labels were accepted, up to row {2 * BATCH}" in raised.value.message
    assert "the stream is full" in raised.value.message
    assert f"(row {2 * BATCH + 3 + 1})" in raised.value.message
    assert raised.value.remedy.startswith("try again; then import the file again")


def test_an_import_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    result = import_labels(RecordingHttp(), MODEL, BINARY, many(tmp_path, BATCH + 1), lambda *t: told.append(t))
    assert told == [(BATCH, BATCH + 1), (BATCH + 1, BATCH + 1)]
    assert (result.accepted, result.batches) == (BATCH + 1, 2)
