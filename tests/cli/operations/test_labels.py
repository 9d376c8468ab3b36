"""A file of labels is sent whole, or refused whole with the rows that are wrong."""

from __future__ import annotations

import pandas as pd
import pytest

from cli.exceptions import RefusedDataError
from cli.operations.labels import BATCH, read_labels, send_labels


class RecordingHttp:
    """Takes what is posted, and accepts all of it."""

    def __init__(self):
        self.posted = []

    def post(self, url, body):
        self.posted.append((url, body))
        return {"accepted": len(body["labels"])}


class Model:
    labels_url = "https://api.example/models/m/labels"


def write(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    return file


def test_labels_are_read_by_prediction_id_and_by_key(tmp_path):
    assert read_labels(write(tmp_path, "prediction_id,label\na-0,1\na-1,0\n")) == [
        {"prediction_id": "a-0", "label": 1.0},
        {"prediction_id": "a-1", "label": 0.0},
    ]
    assert read_labels(write(tmp_path, "label,key\n2.5,0042\n")) == [{"key": "0042", "label": 2.5}]


def test_parquet_is_read_alike(tmp_path):
    file = tmp_path / "labels.parquet"
    pd.DataFrame({"key": ["k"], "label": [1]}).to_parquet(file)
    assert read_labels(file) == [{"key": "k", "label": 1.0}]


def test_the_same_label_twice_is_one(tmp_path):
    assert len(read_labels(write(tmp_path, "key,label\nk,1\nk,1\n"))) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key,label\nk,1\nk,0\n", "gives one key two values"),
        ("key,label\nk,\n", "line 2 has an empty value"),
        ("key,label\na,1\nb,late\n", "line 3 has a label that is not a number"),
        ("key,outcome\nk,1\n", "the columns are key, outcome"),
        ("key,prediction_id,label\nk,p,1\n", "the columns are"),
        ("key,label,extra\nk,1,2\n", "the columns are"),
    ],
)
def test_a_wrong_file_is_refused_and_says_where(tmp_path, text, says):
    with pytest.raises(RefusedDataError, match=says):
        read_labels(write(tmp_path, text))


def test_labels_go_in_batches_and_all_of_them():
    http = RecordingHttp()
    labels = [{"key": str(i), "label": 1.0} for i in range(2 * BATCH + 3)]
    assert send_labels(http, Model, labels) == len(labels)
    assert [len(body["labels"]) for _, body in http.posted] == [BATCH, BATCH, 3]
    assert [entry for _, body in http.posted for entry in body["labels"]] == labels
