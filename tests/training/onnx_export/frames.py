"""Random features with everything production sends: NaN, empty and unseen categories."""

from __future__ import annotations

import numpy as np
import pandas as pd

from everloop.problem_types import ProblemType
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.training.onnx_export import ModelInputs

INPUTS = ModelInputs(
    columns=("wind", "carrier", "distance", "origin", "seats"),
    numbers=("wind", "distance", "seats"),
    categories=("carrier", "origin"),
)


def random_frame(rows: int, seed: int, *, production: bool = False) -> pd.DataFrame:
    """Training rows, or with ``production`` rows with categories that training never saw."""
    rng = np.random.default_rng(seed)
    carriers = ["AA", "UA", "Zürich", "", *(["new", " AA"] if production else [])]
    numbers = {
        "wind": rng.normal(10, 4, rows),
        "distance": rng.integers(80, 5000, rows).astype(np.float64),
        "seats": rng.choice([50.0, 100.0, 149.0, 189.0], rows),
    }
    for values in numbers.values():
        values[rng.random(rows) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "wind": numbers["wind"],
            "carrier": pd.Series(rng.choice(carriers, rows).tolist(), dtype=object),
            "distance": numbers["distance"],
            "origin": pd.Series(rng.choice(["EWR", "JFK", "LGA"], rows).tolist(), dtype=object),
            "seats": numbers["seats"],
        }
    )


def labels_of(frame: pd.DataFrame, seed: int) -> np.ndarray:
    """0/1 labels that depend on a number, on a missing value and on a category."""
    rng = np.random.default_rng(seed)
    z = 0.3 * (frame["wind"].fillna(14) - 10) + (frame["carrier"] == "AA") - frame["seats"].isna() * 1.0
    values: np.ndarray = (rng.random(len(frame)) < 1 / (1 + np.exp(-z))).astype(np.int64)
    return values


def values_of(frame: pd.DataFrame, seed: int) -> np.ndarray:
    """Positive targets for regressions."""
    rng = np.random.default_rng(seed)
    return np.exp(0.1 * frame["wind"].fillna(12).to_numpy() + rng.normal(0, 0.3, len(frame)))


def contract_of(inputs: ModelInputs, problem_type: ProblemType) -> ServingContract:
    """A serving contract with these inputs and nothing refused."""
    return ServingContract(
        model="delay",
        problem_type=problem_type,
        key="id",
        target="late",
        threshold=0.5,
        max_rows=100,
        numbers=tuple(NumberField(name, missing="allow") for name in inputs.numbers),
        categories=tuple(CategoryField(name, missing="allow") for name in inputs.categories),
    )
