"""The worked example: its declaration, its data file, and its training script fit each other."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from everloop.model_file.reader import read_model_file
from everloop.model_file.schema import ModelDeclaration

FOLDER = Path(__file__).parents[2] / "models" / "flight_delay"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"flight_delay_{name}", FOLDER / f"{name}.py")
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
    prepare = load("prepare")
    built: pd.DataFrame = prepare.build(prepare.data_folder())
    return built


def test_every_scheduled_flight_is_a_row_in_order(rows: pd.DataFrame, declaration: ModelDeclaration) -> None:
    assert len(rows) == 336_776
    assert rows["flight_id"].is_unique
    assert rows["scheduled_departure"].is_monotonic_increasing
    assert str(rows["scheduled_departure"].dt.tz) == "UTC"
    data = declaration.data
    assert set(rows.columns) == {data.key, data.time, data.target, *(f.name for f in data.features)}


def test_first_flight_by_hand(rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    assert first["flight_id"] == "2013-01-01-UA1545-EWR"
    assert first["scheduled_departure"] == pd.Timestamp("2013-01-01T10:15:00Z")
    # 5:15 in New York to 8:19 in Houston, an hour behind; 11 minutes late at the gate is not late.
    assert (first["departure_minute"], first["scheduled_minutes"]) == (315, 244)
    assert first["arrived_late"] == 0


def test_cancelled_and_diverted_flights_never_get_a_label(rows: pd.DataFrame) -> None:
    assert rows["arrived_late"].isna().sum() == 9_430
    assert set(rows["arrived_late"].dropna().unique()) == {0.0, 1.0}


def test_weather_is_an_hour_old_and_missing_stays_missing(rows: pd.DataFrame) -> None:
    prepare = load("prepare")
    reports = pd.read_csv(prepare.data_folder() / "weather.csv")
    reports = reports[reports["origin"] == "EWR"]
    temperature = pd.Series(reports["temp"].to_numpy(), index=pd.to_datetime(reports["time_hour"], utc=True))
    sample = rows[rows["origin"] == "EWR"].sample(200, random_state=1)
    for _, row in sample.iterrows():
        hour = row["scheduled_departure"].floor("h") - pd.Timedelta(hours=1)
        expected = temperature.get(hour, np.nan)
        assert row["temperature_f"] == expected or (np.isnan(row["temperature_f"]) and np.isnan(expected))


def test_rows_keep_the_declared_contract(rows: pd.DataFrame, declaration: ModelDeclaration) -> None:
    for feature in declaration.data.features:
        column = rows[feature.name]
        if feature.type == "number":
            assert column.dtype == np.float64
            assert feature.min is None or column.min() >= feature.min
            assert feature.max is None or column.max() <= feature.max
        if feature.missing == "refuse":
            assert column.notna().all()
        months = column.isna().groupby(rows["scheduled_departure"].dt.month).mean()
        assert months.max() <= feature.max_missing_rate


def test_script_trains_what_is_declared_and_twice_the_same(rows: pd.DataFrame, declaration: ModelDeclaration) -> None:
    train = load("train").train
    known = rows[rows["arrived_late"].notna()].iloc[:6_000]
    features = known[[f.name for f in declaration.data.features]]
    target = known["arrived_late"].to_numpy(dtype=int)
    arguments = {"seed": 7, "parameters": dict(declaration.training.parameters) | {"max_iter": 20}}
    first, second = train(features, target, **arguments), train(features, target, **arguments)
    scores = first.predict_proba(features)[:, 1]
    assert np.array_equal(scores, second.predict_proba(features)[:, 1])
    unseen = features.head(1).assign(carrier="??", destination="")
    assert 0 < first.predict_proba(unseen)[0, 1] < 1
