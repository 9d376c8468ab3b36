"""A replay of several classes keeps places inside, sends names, and compares all probabilities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from everloop.cli.commands.backtest import backtest
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.labels import read_labels, require_allowed
from everloop.cli.replay import summary
from everloop.cli.replay.answers import Answers, chance_column
from everloop.cli.replay.evidence import with_losses
from everloop.cli.replay.money import money, money_saved
from everloop.evaluation.metrics import estimate
from everloop.problem_types import MULTICLASS
from everloop.serving.labels import LabelRules
from everloop.serving.protocols.predictions import Prediction
from tests.helpers.declarations import CLASSES, as_yaml, declare, multiclass_document

AT = datetime(2013, 3, 1, tzinfo=UTC)
RULES = LabelRules(False, classes=tuple(CLASSES))


def answered(rows: int = 60) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The predictions file of ``rows`` answers over six days, and their labels and probabilities."""
    rng = np.random.default_rng(1)
    chances, labels = rng.dirichlet([2, 1, 1], rows), rng.integers(0, 3, rows)
    answers = Answers(classes=tuple(CLASSES))
    for row in range(rows):
        at, each = AT + timedelta(hours=2 * row), chances[row].tolist()
        said: Prediction = {
            "prediction_id": f"p{row}",
            "prediction": CLASSES[int(np.argmax(each))],
            "probability": max(each),
            "probabilities": dict(zip(CLASSES, each, strict=True)),
        }
        answers.add(at, [f"k{row}"], {"model": "m", "version": 1, "calibration": None, "predictions": [said]})
        answers.add_label(f"k{row}", float(labels[row]), at)
    frame = answers.to_frame()
    for place in range(3):
        frame[chance_column("frozen", place)] = 1 / 3
    return frame, labels, chances


def test_the_loop_is_compared_with_the_frozen_model_over_all_classes() -> None:
    frame, labels, chances = answered()
    assert frame["prediction"].tolist() == chances.argmax(axis=1).astype(float).tolist()
    np.testing.assert_array_equal(summary.scores_of(frame, "loop", MULTICLASS), chances)
    np.testing.assert_array_equal(summary.scores_of(frame, "raw", MULTICLASS), chances)
    found = summary.quality(frame, MULTICLASS)
    assert found["loop"]["log_loss"]["value"] == pytest.approx(estimate("log_loss", labels, chances).value)
    assert found["frozen"]["log_loss"]["value"] == pytest.approx(np.log(3))
    assert found["loop"]["macro_f1"]["low"] is not None
    assert len(summary.by_day(frame, MULTICLASS)) > 2
    assert summary.saved(frame, MULTICLASS)["loop"].notna().all()
    declaration = declare(multiclass_document())
    assert (money(frame, declaration), money_saved(frame, declaration)) == (None, None)


def test_a_window_has_the_loss_of_both() -> None:
    frame, labels, chances = answered()
    windows = pd.DataFrame({"labelled_start": ["2013-03-01T00:00:00Z"], "labelled_end": ["2013-04-01T00:00:00Z"]})
    found = with_losses(windows, frame, declare(multiclass_document())).iloc[0]
    assert found["loop_loss"] == pytest.approx(estimate("log_loss", labels, chances).value)
    assert found["frozen_loss"] == pytest.approx(np.log(3))


def test_labels_of_a_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("key,label\nk1,late\nk2,cancelled\n")
    read = read_labels(file, classes=RULES.classes)
    assert [one["label"] for one in read.labels] == ["late", "cancelled"]
    require_allowed(file, read, RULES)


def test_a_label_outside_the_classes_is_refused_with_its_row(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("key,label\nk1,late\nk2,diverted\n")
    with pytest.raises(CommandError, match="row 2: 'label' is 'diverted', which is not one of the classes on_time"):
        require_allowed(file, read_labels(file, classes=RULES.classes), RULES)


def test_labels_that_are_whole_numbers_are_read_as_such(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("key,label\nk1,3\nk2,1\n")
    rules = LabelRules(False, classes=(3, 1, 2))
    read = read_labels(file, classes=rules.classes)
    require_allowed(file, read, rules)
    assert [one["label"] for one in read.labels] == [3.0, 1.0]


def test_a_backtest_is_refused_at_the_door(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "late_train"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(as_yaml(multiclass_document()))
    (folder / "train.py").write_text("def train(features, target, *, seed, parameters): ...\n")
    data = tmp_path / "a.csv"
    data.write_text("train_id\n")
    result = CliRunner().invoke(backtest, ["late_train", "--data", str(data), "--models-directory", str(folder.parent)])
    assert isinstance(result.exception, CommandError)
    assert "a backtest compares one score a row" in result.exception.message
    assert "everloop replay late_train" in result.exception.remedy
