"""Parameters that a training chooses by itself, on validation parts of its own rows: what does without a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everloop.manifest import sha256_hex
from everloop.training import tuning
from everloop.training.channels import Split, moment
from everloop.training.exceptions import TuningError
from everloop.training.learning import learn
from everloop.training.tuning import Chosen, choose_parameters
from everloop.training.validation import time_folds
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.training.tuned import SCRIPT, SPACE, declared, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


def test_validation_parts_are_the_newest_days_each_behind_all_that_it_is_judged_by() -> None:
    train = rows(20)
    old, new = time_folds(train, folds=2, days=4, classes=2)
    assert (len(old.fit), len(old.validate), len(new.fit), len(new.validate)) == (360, 120, 480, 120)
    for fold in (old, new):
        assert fold.fit.last < fold.validate.first
    assert (new.validate.last, new.validate.first, old.validate.last) == (
        train.last,
        moment(np.datetime64("2013-01-17T06:00")),
        moment(np.datetime64("2013-01-16T06:00")),
    )


@pytest.mark.parametrize(
    ("train", "folds", "says"),
    [
        (rows(8), 2, "the rows before the validation part after 2012-12-31T06:00:00.000 up to .* has 0 rows"),
        (rows(20, 5), 2, "the validation part after .* has 20 rows, and needs 50"),
        (rows(3), 20, "fewer or other training.tuning.folds"),
    ],
)
def test_too_few_days_or_rows_are_refused_with_the_part_and_its_count(train: Split, folds: int, says: str) -> None:
    with pytest.raises(TuningError, match=says):
        time_folds(train, folds=folds, days=4, classes=2)


def test_a_validation_part_of_one_class_is_refused_and_of_one_value_is_not() -> None:
    train = rows(20)
    train.labels[train.times > np.datetime64("2013-01-16T06:00")] = 0
    with pytest.raises(TuningError, match=r"after 2013-01-16T06:00:00.000 up to .* has 120 rows of one class only"):
        time_folds(train, folds=2, days=4, classes=2)
    assert len(time_folds(train, folds=2, days=4, classes=0)) == 2


def test_rows_to_fit_on_have_every_class_or_the_answers_columns_would_be_of_others() -> None:
    train = rows(20)
    train.labels[(train.labels == 1) & (train.times > np.datetime64("2013-01-16T06:00"))] = 2
    with pytest.raises(TuningError, match=r"the rows before the validation part .* has 360 rows of 2 of 3 classes"):
        time_folds(train, folds=2, days=4, classes=3)
    train.labels[:2] = 2
    assert len(time_folds(train, folds=2, days=4, classes=3)) == 2


def test_a_refit_takes_the_parameters_that_were_chosen_before_and_searches_none(folder: Path, tmp_path: Path) -> None:
    declaration, train = declared(parameters={"c": 0.5}), rows(20)
    with pytest.raises(TuningError, match="was not handed them"):
        learn(declaration, folder, train, rows(2), refit=True)
    before = tmp_path / "before"
    before.mkdir()
    record = json.dumps(_record({"c": 0.25})).encode()
    (before / "training.json").write_bytes(record)
    learned = learn(declaration, folder, train, rows(2), refit=True, tuned=before)
    assert learned.chosen == Chosen({"c": 0.25}, None, sha256_hex(record))
    assert learned.estimator[-1].C == 0.25


def test_without_a_search_optuna_is_not_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)  # an import would fail
    plain = declare(binary_document(training={"parameters": {"c": 1.0}}))
    assert choose_parameters(plain, folder, rows(20), None) == Chosen({"c": 1.0})
    with pytest.raises(TuningError, match="needs the package optuna, which is not installed here"):
        choose_parameters(declared(), folder, rows(20), None)
    assert not hasattr(tuning, "optuna")


@pytest.mark.parametrize(
    ("asked", "at", "says"),
    [
        ({"space": {"c": {"low": 2.0, "high": 1.0}}}, "high", "more than 2"),
        ({"space": {"c": {"low": 0.0, "high": 1.0, "log": True}}}, "low", "more than 0"),
        ({"space": {"c": {"low": 1, "high": 2.5}}}, "high", "of the same kind as low"),
        ({"space": {"c": {"low": 1}}}, "high", "a number"),
        ({"space": {"c": {"values": [1], "low": 1}}}, "low", "no 'low' beside 'values'"),
        ({"space": {"c": {"low": float("nan"), "high": 2.0}}}, "low", "a finite number"),
        ({"space": {}}, "space", ""),
        ({"minutes": 30}, "minutes", "less than 30"),
        ({"trials": 1}, "trials", ""),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_at_its_key(asked: dict[str, Any], at: str, says: str) -> None:
    with pytest.raises(Exception, match=f"(?s){at}.*{says}"):
        declared(**asked)


def test_folds_that_leave_nothing_to_learn_from_are_refused_at_the_door() -> None:
    document = regression_document(training={"tuning": {"folds": 3, "fold_days": 7, "space": SPACE}})
    document["data"]["training_window_days"] = 28
    with pytest.raises(Exception, match=r"(?s)tuning.folds.*fewer than 3"):
        declare(document)
    document["data"]["training_window_days"] = 29
    assert declare(document).training.tuning is not None


def _record(parameters: dict[str, Any]) -> dict[str, Any]:
    when = "2013-01-01T00:00:00.000Z"
    return {
        "model": "late_train",
        "refit": False,
        "rows": {"train": 1, "test": 1},
        "time_range": [when, when],
        "script": "train.py",
        "seed": 7,
        "parameters": parameters,
        "baseline": {"kind": "prior", "value": 0.5, "by": None, "groups": {}},
        "code_sha256": "0",
        "python": "3.12.1",
        "platform": "Linux-x86_64",
        "packages": {},
    }
