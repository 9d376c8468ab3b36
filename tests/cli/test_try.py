"""``everloop try`` runs the jobs and the gate of a training run on the rows of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from everloop.cli.commands.check import check
from everloop.cli.commands.try_ import try_
from everloop.evaluation.report import Report
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.synthesis import write_model
from tests.training.scenes import CLASSIFIER, rows

pytestmark = pytest.mark.xdist_group("try")


def people_s_columns(frame: pd.DataFrame, declaration: ModelDeclaration) -> pd.DataFrame:
    """Rows of the lake under the names that people gave them."""
    data = declaration.data
    renamed = frame.rename(columns={"key": data.key, "time": data.time, "label": data.target})
    return renamed.assign(**{data.target: renamed[data.target].astype(int)})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, binary_document())
    (folder / "late_train" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    declaration = declare(binary_document())
    file = tmp_path_factory.mktemp("data") / "history.csv"
    people_s_columns(rows(declaration, 4000, 0, 1), declaration).to_csv(file, index=False)
    return file


def tried(models: Path, *arguments: Any) -> Result:
    return CliRunner().invoke(try_, ["late_train", *map(str, arguments), "--models-directory", str(models)])


def test_a_candidate_is_trained_evaluated_and_judged(models: Path, history: Path, tmp_path: Path) -> None:
    # WHEN a file is tried
    found = tried(models, "--data", history, "--out", tmp_path / "kept", "--json")
    # THEN the gate judges the newest days, by the report that is kept
    assert found.exit_code == 0, found.output
    trial = json.loads(found.stdout)
    assert trial["rows"] == {"train": 3300, "test": 700, "unlabelled": 0}
    assert trial["verdict"] == "pass"
    report = Report.from_json((tmp_path / "kept" / "report.json").read_bytes())
    assert (report.rows, report.snapshot_hash) == (700, trial["snapshot_hash"])
    assert report.candidate["log_loss"].value == trial["candidate"]["log_loss"]["value"]
    assert (tmp_path / "kept" / "model.onnx").stat().st_size > 0


def test_people_read_what_passed_and_what_failed(models: Path, history: Path, tmp_path: Path) -> None:
    # GIVEN rows in which nothing tells one outcome from the other
    frame = pd.read_csv(history)
    frame["late"] = np.random.default_rng(3).permutation(frame["late"])
    frame.to_csv(tmp_path / "noise.csv", index=False)
    # WHEN they are tried
    found = tried(models, "--data", tmp_path / "noise.csv")
    # THEN the gate refuses, and says by what
    assert found.exit_code == 3, found.output
    assert "FAILED  better_than_baseline" in found.output
    assert "passed  parity_rows" in found.output
    assert "late_train: the gate would refuse it" in found.output


def test_bad_rows_are_told_and_can_be_left_out(models: Path, history: Path, tmp_path: Path) -> None:
    # GIVEN a file with a total below its rows
    (tmp_path / "rows.csv").write_text(history.read_text(encoding="utf-8") + "Total,,,100,,,\n", encoding="utf-8")
    # WHEN it is tried, THEN it is refused, with the way, which goes
    found = tried(models, "--data", tmp_path / "rows.csv")
    assert "leave out the bad rows: --skip-refused" in str(found.exception)
    found = tried(models, "--data", tmp_path / "rows.csv", "--skip-refused")
    assert found.exit_code == 0, found.output
    assert "left out: 1 row" in found.output
    assert "row 4001 (Total)" in found.output


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def train(features, target, *, seed, parameters):\n    raise ValueError('no such line')\n", "no such line"),
        ("from math import sqrt as train\n", "train.py"),
        ("import sklearn.svm as s\ndef train(f, t, **_):\n    return s.SVC().fit(f[['distance']], t)\n", "SVC"),
    ],
)
def test_a_script_that_fails_is_told_as_a_run_would_tell_it(
    models: Path, history: Path, tmp_path: Path, script: str, expected: str
) -> None:
    write_model(tmp_path, binary_document())
    (tmp_path / "late_train" / "train.py").write_text(script, encoding="utf-8")
    found = tried(tmp_path, "--data", history)
    assert found.exit_code == 1
    assert "the training failed" in str(found.exception)
    assert expected in str(found.exception)


def test_a_script_that_can_be_none_is_refused_before_anything_is_trained(history: Path, tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    (tmp_path / "late_train" / "train.py").write_text("def fit():\n    return 1\n", encoding="utf-8")
    found = tried(tmp_path, "--data", history)
    assert found.exit_code == 1
    assert "found train.py, which defines no function train" in str(found.exception)


def test_rows_that_break_the_contract_are_named_before_anything_is_trained(
    models: Path, history: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(history)
    frame.loc[4, "distance"] = -1
    frame.to_csv(tmp_path / "bad.csv", index=False)
    found = tried(models, "--data", tmp_path / "bad.csv")
    assert found.exit_code == 1
    assert "row 5 (t0-4)" in str(found.exception)


def test_a_regression_whose_target_never_differs_is_told_before_anything_is_trained(
    history: Path, tmp_path: Path
) -> None:
    # GIVEN a regression, whose script would fail, and rows of one target
    document = regression_document() | {"model": "late_train"}
    write_model(tmp_path, document)
    (tmp_path / "late_train" / "train.py").write_text(
        "def train(*a, **k):\n    raise KeyError('x')\n", encoding="utf-8"
    )
    frame = pd.read_csv(history).rename(columns={declare(binary_document()).data.target: document["data"]["target"]})
    frame.assign(delay=3.5).to_csv(tmp_path / "same.csv", index=False)
    # WHEN it is tried
    found = tried(tmp_path, "--data", tmp_path / "same.csv")
    # THEN the rows are what is wrong
    assert found.exit_code == 1
    assert "every label of the 4,000 labelled rows is 3.5, so there is nothing to learn" in str(found.exception)


def test_too_few_days_are_told_with_the_number(models: Path, history: Path, tmp_path: Path) -> None:
    pd.read_csv(history).head(500).to_csv(tmp_path / "short.csv", index=False)
    found = tried(models, "--data", tmp_path / "short.csv")
    assert found.exit_code == 1
    assert "in the last 7 days, which are kept for the test" in str(found.exception)


def test_check_tries_the_sample_beside_a_declaration(history: Path, tmp_path: Path) -> None:
    # GIVEN one model whose sample trains, and one whose script does not
    for name, script in (("late_train", CLASSIFIER), ("broken", "def train(*a, **k):\n    raise KeyError('x')\n")):
        folder = write_model(tmp_path, binary_document(model=name))
        (folder / "train.py").write_text(script, encoding="utf-8")
        (folder / "sample.csv").write_bytes(history.read_bytes())
    # WHEN all are checked
    found = CliRunner().invoke(check, ["--models-directory", str(tmp_path), "--json"])
    # THEN each sample was tried
    assert found.exit_code == 1
    results = {result["model"]: result for result in json.loads(found.stdout)}
    assert results["late_train"]["ok"]
    assert results["late_train"]["sample"]["verdict"] == "pass"
    assert not results["broken"]["ok"]
    assert "KeyError" in results["broken"]["sample"]["error"]
    # AND the declarations alone are good
    alone = CliRunner().invoke(check, ["--models-directory", str(tmp_path), "--json", "--no-sample"])
    assert alone.exit_code == 0
