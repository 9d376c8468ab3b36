"""The worked example about people: its files fit each other, and the gate refuses what treats a group worse."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from everloop.evaluation.gate import Expected, Verdict, decide
from everloop.model_file.reader import read_model_file
from everloop.model_file.schema import ModelDeclaration
from everloop.training.candidate import candidate_of
from everloop.training.channels import read_split
from everloop.training.evaluate import evaluate
from everloop.training.refit_check import Run
from everloop.training.train import Job
from everloop.training.train import run as train

FOLDER = Path(__file__).parents[2] / "models" / "mortgage_approval"
DATA = Path(__file__).with_name("loanapp.csv.bz2")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mortgage_approval_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def declaration() -> ModelDeclaration:
    return read_model_file(FOLDER / "model.yaml")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    built: pd.DataFrame = load("prepare").build(DATA)
    return built


def test_every_application_is_a_row_and_keeps_the_contract(rows: pd.DataFrame, declaration: ModelDeclaration) -> None:
    data = declaration.data
    assert set(rows.columns) == {data.key, data.time, data.target, *(f.name for f in data.features)}
    assert len(rows) == rows["application_id"].nunique() == 1_989
    assert rows["decided_at"].is_monotonic_increasing
    approved = rows.groupby("race")["approved"].mean().round(2)
    assert approved.to_dict() == {"black": 0.68, "hispanic": 0.77, "white": 0.91}
    for feature in data.features:
        column = rows[feature.name]
        assert column.isna().mean() <= (0 if feature.missing == "refuse" else feature.max_missing_rate)
        if feature.type == "number":
            assert column.dtype == np.float64
            assert feature.min <= column.min() <= column.max() <= feature.max
        else:
            assert set(column.dropna()) == set(feature.values or [])


def test_the_invented_days_are_no_order_of_the_file(rows: pd.DataFrame) -> None:
    place = rows["application_id"].str[-4:].astype(int)
    assert abs(np.corrcoef(place, np.arange(len(rows)))[0, 1]) < 0.05
    assert rows.groupby(rows["decided_at"].dt.date).size().iloc[:-1].eq(20).all()


def judged(folder: Path, declaration: ModelDeclaration, rows: pd.DataFrame) -> Verdict:
    """What the gate says of a candidate that both jobs made of the rows."""
    code = folder / "code"
    shutil.copytree(FOLDER, code / "user_model", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "declaration.json").write_text(declaration.model_dump_json(), encoding="utf-8")
    (code / "requirements.txt").write_text("", encoding="utf-8")
    data = declaration.data
    table = rows.rename(columns={data.key: "key", data.time: "time", data.target: "label"})
    first_tested = table["time"].max().floor("D") - pd.Timedelta(days=data.split.test_days - 1)
    newest = table["time"] >= first_tested
    for name, part in {
        "train": table[~newest],
        "test": table[newest],
        "test_features": table[newest].drop(columns="label"),
    }.items():
        (folder / name).mkdir()
        part.to_parquet(folder / name / "rows.parquet", index=False)
    train(Job(code, folder / "train", folder / "test_features", folder / "model"))
    files = {file.name: file.read_bytes() for file in (folder / "model").iterdir()}
    test = read_split(folder / "test", declaration, labelled=True)
    report = evaluate(declaration, candidate_of(files), None, test, Run("train-1", "abc"), folder / "evaluated")
    return decide(report, declaration.gate, Expected(declaration.model, "train-1", "abc", len(test), None))


@pytest.mark.slow
def test_the_gate_lets_the_model_pass_that_does_not_know_the_groups(
    rows: pd.DataFrame, declaration: ModelDeclaration, tmp_path: Path
) -> None:
    verdict = judged(tmp_path, declaration, rows)
    assert [reason.sentence for reason in verdict.reasons if not reason.passed] == []
    compared = {reason.code for reason in verdict.reasons if reason.code.startswith("fairness_")}
    assert compared == {"fairness_selection_rate_ratio", "fairness_true_positive_rate_gap"}


@pytest.mark.slow
def test_the_gate_refuses_the_model_that_knows_them_though_it_ranks_better(
    rows: pd.DataFrame, declaration: ModelDeclaration, tmp_path: Path
) -> None:
    parameters = {**declaration.training.parameters, "columns": "everything"}
    unfair = declaration.model_copy(
        update={"training": declaration.training.model_copy(update={"parameters": parameters})}
    )
    verdict = judged(tmp_path, unfair, rows)
    refused = [reason for reason in verdict.reasons if not reason.passed]
    assert [reason.code for reason in refused] == ["fairness_selection_rate_ratio", "fairness_true_positive_rate_gap"]
    assert all("black (lowest)" in reason.sentence for reason in refused)


def test_other_columns_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"columns is 'race'; it can be credit or everything"):
        load("train").train(pd.DataFrame(), np.array([]), seed=7, parameters={"columns": "race", "C": 1.0})
