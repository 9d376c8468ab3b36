"""A training that is interrupted goes on where it was, and comes to what it would have come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from everloop.documents.training import CHECKPOINTS
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from everloop.training.checkpoints import TRIALS, Checkpoints
from everloop.training.learning import Learned, learn
from everloop.training.user_script import run_user_script
from tests.helpers.declarations import binary_document, declare
from tests.training.tuned import SCRIPT, declared, rows

# Ends as a job does whose instance is taken away, which no script can catch; in the fit after `left` others.
INTERRUPTED = """
import os
from pathlib import Path

fits = Path(os.environ["FITS"])


def train(features, target, *, seed, parameters):
    left = int(os.environ["LEFT"])
    fits.write_text(fits.read_text() + f"{parameters['c']}\\n")
    if len(fits.read_text().split()) > left:
        raise KeyboardInterrupt
    return fit(features, target, parameters)
""" + SCRIPT.replace("def train(features, target, *, seed, parameters):", "def fit(features, target, parameters):")

# Counts to five in steps that it keeps, and is interrupted once on the way.
IN_STEPS = """
from sklearn.dummy import DummyClassifier


def train(features, target, *, seed, parameters, checkpoint=None):
    file = None if checkpoint is None else checkpoint / "step"
    begin = int(file.read_text()) if file is not None and file.exists() else 0
    for step in range(begin, 5):
        steps.append(step)
        if file is not None:
            file.write_text(str(step + 1))
        if steps == [0, 1, 2]:
            raise KeyboardInterrupt
    return DummyClassifier().fit(features, target)


steps = __import__("builtins").__dict__.setdefault("steps_of_the_test", [])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FITS", str(tmp_path / "fits"))
    (tmp_path / "train.py").write_text(INTERRUPTED, encoding="utf-8")
    return tmp_path


def searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kept: Checkpoints | None, left: int = 1000, **asked: Any
) -> tuple[Learned | None, list[str]]:
    """What a training learns, None where it was interrupted, and the parameters of its fits."""
    monkeypatch.setenv("LEFT", str(left))
    (folder / "fits").write_text("")
    train: Split = rows(20)
    declaration: ModelDeclaration = declared(trials=4, folds=1, **asked)
    try:
        learned = learn(declaration, folder, train, rows(2), checkpoints=kept)
    except KeyboardInterrupt:
        learned = None
    return learned, (folder / "fits").read_text().split()


def told(learned: Learned | None) -> Any:
    """All that a search found, but for how long it took."""
    assert learned is not None
    assert learned.chosen is not None
    assert learned.chosen.tuning is not None
    found: dict[str, Any] = json.loads(json.dumps(learned.chosen.tuning, default=str))
    for one in (found, *found["trials"]):
        one.pop("seconds")
    return found, learned.chosen.parameters, learned.estimator[-1].coef_.tolist()


def test_an_interrupted_search_finds_what_an_undisturbed_one_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, all_fits = searched(folder, monkeypatch, None)
    kept = Checkpoints(folder / "kept", "same")
    # GIVEN instances that are taken away in the third trial, in the fourth, and in the last fit
    begun = [searched(folder, monkeypatch, kept, left)[1] for left in (2, 1, 1)]
    last, fits = searched(folder, monkeypatch, kept)
    # THEN finished trials are not made again, the interrupted one is
    assert (begun[0], begun[1]) == (all_fits[:3], all_fits[2:4])
    assert (begun[2], fits) == (all_fits[3:5], all_fits[4:])
    # AND all is as without an interruption
    assert told(last) == told(whole)


def test_what_is_kept_of_other_rows_or_is_broken_is_not_taken_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole, all_fits = searched(folder, monkeypatch, Checkpoints(folder / "kept", "these rows"))
    assert whole is not None
    _, fits = searched(folder, monkeypatch, Checkpoints(folder / "kept", "other rows"))
    assert fits == all_fits
    assert "other code or other rows" in caplog.text
    for broken in ('{"making": "this", "trials": [{}]}', "{", "[]", '{"making": "this"}'):
        (folder / "kept" / TRIALS).write_text(broken)
        assert Checkpoints(folder / "kept", "this").trials() == []


def test_failed_trials_and_the_minutes_that_went_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, space = Checkpoints(folder / "kept", "same"), {"c": {"low": 1.0, "high": 99.0}}
    whole, _ = searched(folder, monkeypatch, None, space=space)
    searched(folder, monkeypatch, kept, 3, space=space)
    assert {trial["state"] for trial in kept.trials()} == {"complete", "failed"}
    assert told(searched(folder, monkeypatch, kept, space=space)[0]) == told(whole)
    # GIVEN finished trials that took all the minutes; THEN no other is begun
    (folder / "kept" / TRIALS).unlink()
    trials: list[Any] = told(whole)[0]["trials"][:2]
    kept.keep_trials([trial | {"seconds": 200.0} for trial in trials])
    learned, _ = searched(folder, monkeypatch, kept, space=space)
    assert learned is not None
    assert learned.chosen is not None
    assert learned.chosen.tuning is not None
    assert (learned.chosen.tuning["ended_by"], len(learned.chosen.tuning["trials"])) == ("minutes", 2)
    assert learned.chosen.tuning["seconds"] >= 400


def test_a_script_that_takes_a_checkpoint_goes_on_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(IN_STEPS, encoding="utf-8")
    declaration, kept = declare(binary_document()), Checkpoints(tmp_path / "kept", "same")
    train, steps = rows(20), __import__("builtins").__dict__.setdefault("steps_of_the_test", [])
    steps.clear()
    with pytest.raises(KeyboardInterrupt):
        learn(declaration, tmp_path, train, rows(2), checkpoints=kept)
    learn(declaration, tmp_path, train, rows(2), checkpoints=kept)
    assert steps == [0, 1, 2, 3, 4]
    # THEN another fit has another folder, and one that keeps nothing gets none
    assert kept.of_script({"c": 1.0}) != kept.of_script({"c": 2.0}) != kept.of_script({})
    steps[:] = [9]
    run_user_script(tmp_path, declaration, train)
    assert steps == [9, 0, 1, 2, 3, 4]


def test_a_job_keeps_where_its_pipeline_says(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"code_sha256": "c", "data_sha256": {"train": "t"}}
    assert Checkpoints.read({}, **facts) is None
    kept = Checkpoints.read({CHECKPOINTS: str(tmp_path)}, **facts)
    other = Checkpoints.read({CHECKPOINTS: str(tmp_path)}, code_sha256="c", data_sha256={"train": "u"})
    assert kept is not None
    assert other is not None
    assert kept.folder == tmp_path
    assert kept.making != other.making
    assert kept.trials() == []
