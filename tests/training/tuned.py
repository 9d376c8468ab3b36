"""A model whose parameter ``c`` is searched for, and its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split, moment
from tests.helpers.declarations import binary_document, declare

SCRIPT = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def train(features, target, *, seed, parameters):
    assert "label" not in features, "a script gets features alone"
    if parameters["c"] > 50:
        raise ValueError("c is too large")
    seen.append((len(features), parameters))
    kept = FunctionTransformer(lambda frame: frame[["distance"]] / 1000)
    return make_pipeline(kept, LogisticRegression(C=parameters["c"])).fit(features, target)


seen = []
"""
SPACE = {"c": {"low": 0.001, "high": 10.0, "log": True}}


def rows(days: int, a_day: int = 30) -> Split:
    rng = np.random.default_rng(3)
    count = days * a_day
    distance = rng.uniform(0, 1000, count)
    times = np.datetime64("2013-01-01T06:00", "ms") + np.arange(count) // a_day * np.timedelta64(1, "D")
    target = (rng.random(count) < 1 / (1 + np.exp(2 - distance / 250))).astype(np.int64)
    frame = pd.DataFrame({"distance": distance, "wind": 1.0, "line": "north", "operator": "a"})
    return Split(frame, target, times, moment(times.min()), moment(times.max()))


def declared(*, parameters: dict[str, Any] | None = None, **asked: Any) -> ModelDeclaration:
    searched = {"trials": 6, "minutes": 5, "folds": 2, "fold_days": 4, "space": SPACE, **asked}
    return declare(binary_document(training={"seed": 7, "parameters": parameters or {}, "tuning": searched}))
