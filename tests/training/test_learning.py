"""A training that is asked to continue a version: what it does, and why."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from everloop.manifest import sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split, read_split
from everloop.training.exceptions import ParentError, WarmStartError
from everloop.training.kept_estimator import About, KeptEstimator, making_of, pack, read_kept
from everloop.training.learning import learn
from everloop.training.warm_start import trees_of
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.training.scenes import CLASSIFIER, REGRESSOR, rows, write_parts

WARM = {"added_trees": 10, "max_trees": 40}


def declared(**warm: int) -> ModelDeclaration:
    training = {"seed": 7, "parameters": {"trees": 25}, "warm_start": {**WARM, **warm}}
    return declare(binary_document(training=training))


class Scene:
    """A model's folder, a version that learned until day 30, and newer rows: 30 days, then 10 to test."""

    def __init__(self, folder: Path, declaration: ModelDeclaration) -> None:
        self.declaration, self.folder = declaration, folder / "user_model"
        self.folder.mkdir()
        (self.folder / "train.py").write_text(CLASSIFIER, encoding="utf-8")
        self.old = self._split(folder / "old", 3000, 0)
        self.train = self.old.with_later(self._split(folder / "newer", 3000, 30))
        self.test = self._split(folder / "test", 1000, 60)

    def _split(self, folder: Path, count: int, first_day: int) -> Split:
        parts = write_parts(rows(self.declaration, count, first_day, first_day), folder)
        return read_split(parts, self.declaration, labelled=True)

    def packed(self, **making: Any) -> bytes:
        estimator = learn(self.declaration, self.folder, self.old, self.test).estimator
        made: Any = {**making_of(self.declaration, self.folder), **making}
        about: About = {"model": "late_train", "learned_until": self.old.last, "trees": 25, "making": made}
        return pack(estimator, about)

    def parent(self, **making: Any) -> KeptEstimator:
        data = self.packed(**making)
        return read_kept(data, version=4, sha256=sha256_hex(data), model="late_train")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, declared())


def test_a_version_is_continued_from_newer_rows_alone(scene: Scene) -> None:
    parent = scene.parent()
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=parent)
    assert learned.update is not None
    assert (learned.update["kind"], learned.update["rows"]) == ("warm", 3000)
    assert learned.update["parent"] == {"version": 4, "estimator_sha256": parent.sha256, "trees": 25}
    assert trees_of(learned.estimator) == 35
    assert learned.update["reason"]["sentence"].startswith(
        "Version 4 is continued: 10 trees from 3,000 rows later than"
    )
    # What is older makes no difference: it is not read.
    newer = scene.train.only(scene.train.after(scene.old.last))
    again = learn(scene.declaration, scene.folder, newer, scene.test, parent=parent)
    answers = [m.estimator.predict_proba(scene.test.features) for m in (learned, again)]
    np.testing.assert_array_equal(*answers)


def test_a_refit_continues_the_same_version_from_the_test_rows_as_well(scene: Scene) -> None:
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, refit=True, parent=scene.parent())
    assert learned.update is not None
    assert (learned.update["kind"], learned.update["rows"]) == ("warm", 4000)


@pytest.mark.parametrize(
    ("making", "told"),
    [
        ({"packages": {"scikit-learn": "1.8.0"}}, "joblib None"),
        ({"python": "3.9"}, "Python 3.9, and this job has 3."),
        ({"platform": "Plan9-x86"}, "the platform Plan9-x86"),
        ({"code_sha256": "0"}, "other code"),
        ({"parameters": {"trees": 30}}, "other training.parameters"),
        ({"features": [["distance", "number"]]}, "other features"),
        ({"target": "early"}, "another target"),
    ],
    ids=str,
)
def test_what_was_made_of_something_else_is_trained_in_full(scene: Scene, making: Any, told: str) -> None:
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=scene.parent(**making))
    assert learned.update is not None
    assert (learned.update["kind"], learned.update["rows"], learned.update["parent"]) == ("full", 6000, None)
    assert f"not continued: version 4 was trained with {told}" in learned.update["reason"]["sentence"]
    in_full = learn(scene.declaration, scene.folder, scene.train, scene.test)
    answers = [m.estimator.predict_proba(scene.test.features) for m in (learned, in_full)]
    np.testing.assert_array_equal(*answers)


def test_a_pickle_of_other_packages_is_not_even_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: KeptEstimator) -> Any:
        raise AssertionError("it was unpickled")

    monkeypatch.setattr(KeptEstimator, "load", never)
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=scene.parent(python="3.9"))
    assert learned.update is not None
    assert learned.update["kind"] == "full"


def test_test_rows_that_the_version_knows_are_no_test(scene: Scene) -> None:
    learned = learn(scene.declaration, scene.folder, scene.train, scene.old, parent=scene.parent())
    assert learned.update is not None
    assert learned.update["reason"]["code"] == "warm_start_test_seen"


def test_a_world_of_one_class_since_is_no_lesson(scene: Scene) -> None:
    newer = scene.train.after(scene.old.last)
    target = np.where(newer, 0, scene.train.labels)
    alike = dataclasses.replace(scene.train, target=target)
    learned = learn(scene.declaration, scene.folder, alike, scene.test, parent=scene.parent())
    assert learned.update is not None
    assert learned.update["reason"]["code"] == "warm_start_few_of_a_class"


@pytest.mark.parametrize("pickled", [b"", b"no pickle", b"cos\nno_such_name\n."])
def test_what_can_not_be_read_is_trained_in_full(scene: Scene, pickled: bytes) -> None:
    broken = dataclasses.replace(scene.parent(), pickled=pickled)
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=broken)
    assert learned.update is not None
    assert (learned.update["kind"], learned.update["reason"]["code"]) == ("full", "warm_start_failed")
    assert "not continued: the estimator of version 4 can't be read: " in learned.update["reason"]["sentence"]
    assert trees_of(learned.estimator) == 25


def test_what_can_not_be_continued_after_all_is_trained_in_full(scene: Scene) -> None:
    other = dataclasses.replace(scene.parent(), pickled=pickle.dumps(Ridge().fit([[0.0], [1.0]], [0.0, 1.0])))
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=other)
    assert learned.update is not None
    assert (learned.update["kind"], learned.update["reason"]["code"]) == ("full", "warm_start_failed")


def test_the_cap_on_trees_holds(tmp_path: Path) -> None:
    scene = Scene(tmp_path, declared(max_trees=34))
    learned = learn(scene.declaration, scene.folder, scene.train, scene.test, parent=scene.parent())
    assert learned.update is not None
    assert learned.update["reason"]["code"] == "warm_start_many_trees"
    assert trees_of(learned.estimator) == 25


def test_a_model_that_no_training_could_continue_is_refused_at_its_first(tmp_path: Path) -> None:
    declaration = declare(regression_document(training={"warm_start": {}}))
    (tmp_path / "train.py").write_text(REGRESSOR, encoding="utf-8")
    frame = rows(declaration, 500, 0, 1)
    split = read_split(write_parts(frame, tmp_path / "rows"), declaration, labelled=True)
    with pytest.raises(WarmStartError, match="train\\(\\) returned Ridge, which can't be continued"):
        learn(declaration, tmp_path, split, split)


class TestKept:
    def test_the_same_estimator_gives_the_same_bytes(self, scene: Scene) -> None:
        assert scene.packed() == scene.packed()

    def test_another_hash_is_refused_before_anything_is_read(self) -> None:
        with pytest.raises(ParentError, match="the registry says ab: it was replaced"):
            read_kept(b"no archive", version=4, sha256="ab", model="late_train")

    @pytest.mark.parametrize("data", [b"", b"no archive"])
    def test_what_is_no_archive_is_refused(self, data: bytes) -> None:
        with pytest.raises(ParentError, match="can't be read"):
            read_kept(data, version=4, sha256=sha256_hex(data), model="late_train")

    def test_another_models_is_refused(self, scene: Scene) -> None:
        data = scene.packed()
        with pytest.raises(ParentError, match="is of 'late_train', not of other"):
            read_kept(data, version=4, sha256=sha256_hex(data), model="other")
