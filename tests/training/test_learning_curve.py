"""Models that learn from fewer rows, beside the candidate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from everloop.evaluation.learning_report import LearningCurve
from everloop.model_file.schema import ModelDeclaration
from everloop.training.learning_curve import learning_curve
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present
from tests.training.scenes import rows, split_of

SCRIPT = """
from sklearn.dummy import DummyClassifier


def train(features, target, *, seed, parameters):
    if len(target) < parameters["fewest"]:
        raise ValueError("too few")
    print("learned", len(target))
    return DummyClassifier(strategy="prior").fit(features, target)
"""


def declared(points: int | None, fewest: int = 0) -> ModelDeclaration:
    training = {"seed": 7, "parameters": {"fewest": fewest}}
    return declare(binary_document(training=training | ({} if points is None else {"learning_curve": points})))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


def learned(folder: Path, points: int | None, count: int = 1000, **changes: int) -> LearningCurve | None:
    declaration = declared(points, **changes)
    return learning_curve(declaration, folder, split_of(rows(declaration, count, 0, 1)))


def test_each_model_learns_from_twice_as_many_rows_as_the_one_before(folder: Path) -> None:
    curve = present(learned(folder, 3))
    # Ten days of 100 rows: the newest two validate.
    assert curve.validation_rows == 200
    assert [one.rows for one in curve.points] == [200, 400, 800]
    assert curve.change == pytest.approx(curve.points[2].loss - curve.points[1].loss)
    assert present(curve.low) <= present(curve.change) <= present(curve.high)
    assert 0 < present(curve.threshold) < 1
    assert learned(folder, 3) == curve


def test_none_is_learned_where_none_is_declared(folder: Path) -> None:
    assert learned(folder, None) is None


def test_what_can_not_be_learned_is_said(folder: Path) -> None:
    curve = learned(folder, 6)
    assert [one.rows for one in present(curve).points] == [50, 100, 200, 400, 800]
    assert present(curve).left_out == ("from 25 rows: fewer than 30",)
    curve = learned(folder, 2, fewest=500)
    assert [one.rows for one in present(curve).points] == [800]
    assert (present(curve).change, present(curve).low) == (None, None)
    assert present(curve).left_out[0].startswith("from 400 rows:")
    assert present(learned(folder, 2, count=100)).left_out == ("all training rows are of one day",)


def test_one_class_is_not_learned(folder: Path) -> None:
    declaration = declared(2)
    frame = rows(declaration, 1000, 0, 1).assign(label=np.int64(0))
    curve = present(learning_curve(declaration, folder, split_of(frame)))
    assert curve.points == ()
    assert curve.left_out == ("from 400 rows: fewer than 10 of a class", "from 800 rows: fewer than 10 of a class")
