"""The search for parameters: what is tried, recorded, chosen, cut off and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.metrics import estimate
from everloop.training.exceptions import TuningError
from everloop.training.tuning import choose_parameters
from everloop.training.user_script import run_user_script
from everloop.training.validation import time_folds
from tests.training.tuned import SCRIPT, declared, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


def test_every_trial_is_recorded_and_the_best_one_is_what_its_parameters_give(folder: Path) -> None:
    # GIVEN a search whose first trial is the declaration's, and one that the script refuses
    space = {"c": {"low": 0.001, "high": 100.0}}
    declaration, train = declared(parameters={"c": 0.5, "kept": "yes"}, space=space), rows(20)
    # WHEN the parameters are chosen
    chosen = choose_parameters(declaration, folder, train, None)
    # THEN all trials are there, in their order
    document = chosen.tuning
    assert document is not None
    trials = document["trials"]
    assert [t["number"] for t in trials] == [0, 1, 2, 3, 4, 5]
    assert trials[0]["parameters"] == {"c": 0.5, "kept": "yes"}
    assert (document["declared"], document["ended_by"], document["metric"]) == (0, "trials", "log_loss")
    failed = [t for t in trials if t["state"] == "failed"]
    assert failed
    assert all(float(t["parameters"]["c"]) > 50 and t["value"] is None for t in failed)
    assert "ValueError: c is too large" in failed[0]["error"]
    # AND the best is no worse than what was declared, and is what anyone gets with its parameters
    best = trials[document["best"]]
    assert chosen.parameters == best["parameters"]
    assert best["value"] == min(t["value"] for t in trials if t["value"] is not None)
    scores = []
    for fold in time_folds(train, folds=2, days=4, classes=2):
        model = run_user_script(folder, declaration, fold.fit, parameters=chosen.parameters)
        answers = model.predict_proba(fold.validate.features)[:, 1]
        scores.append(estimate("log_loss", fold.validate.labels, answers).value)
    assert best["folds"] == scores
    assert best["value"] == pytest.approx(np.mean(scores))


def test_the_same_rows_and_seed_try_the_same_parameters(folder: Path) -> None:
    def told() -> list[Any]:
        document = choose_parameters(declared(), folder, rows(20), None).tuning
        assert document is not None
        return [(t["parameters"], t["value"]) for t in document["trials"]]

    assert told() == told()


def test_a_small_space_is_searched_once(folder: Path) -> None:
    space = {"c": {"values": [0.1, 1.0]}, "depth": {"low": 3, "high": 3 + 1}}
    document = choose_parameters(declared(trials=200, space=space), folder, rows(20), None).tuning
    assert document is not None
    assert document["ended_by"] == "space"
    tried = {json.dumps(t["parameters"], sort_keys=True) for t in document["trials"]}
    assert len(tried) == 4
    assert all(type(t["parameters"]["depth"]) is int for t in document["trials"])


def test_a_trial_that_the_time_runs_out_on_is_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a script that trains once, and then for ever, whatever it catches
    slow = SCRIPT.replace("    seen.append", "    import pathlib, time\n    wait(pathlib, time)\n    seen.append") + (
        "\n\ndef wait(pathlib, time):\n    flag = pathlib.Path(__file__).with_suffix('.flag')\n"
        "    flag.write_text(flag.read_text() + 'x' if flag.exists() else 'x')\n"
        "    while len(flag.read_text()) > 2:\n        try:\n            time.sleep(0.01)\n"
        "        except Exception:\n            pass\n"
    )
    (folder / "train.py").write_text(slow, encoding="utf-8")
    document = choose_parameters(declared(minutes=0.02), folder, rows(20), None).tuning
    assert document is not None
    # THEN the trial before it counts
    assert [t["state"] for t in document["trials"]] == ["complete", "cut_off"]
    assert (document["ended_by"], document["best"]) == ("minutes", 0)


def test_no_trial_at_all_is_refused_with_what_went_wrong(folder: Path) -> None:
    with pytest.raises(TuningError, match=r"none of 6 trials .* the first that failed: train.py line 10: ValueError"):
        choose_parameters(declared(space={"c": {"low": 60, "high": 90}}), folder, rows(20), None)
    with pytest.raises(TuningError, match=r"no trial of training\.tuning came to an end within 1e-05 minutes"):
        choose_parameters(declared(minutes=0.00001), folder, rows(20), None)
