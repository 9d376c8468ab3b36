"""Trains the flight delay model: boosted trees over the timetable and the weather known before departure.

The categories become ordinal numbers: with trees that costs nothing but a few more splits than one column per
value would, and airports or carriers that training never saw share the number -1. Missing weather stays
missing; the trees learn where to send it.

A day's weather is the same for all of its flights, so the rows are far fewer draws than they look. Leaves of at
least two hundred flights, shallow trees and a random half of the columns at each split keep the model from
learning days by heart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

CATEGORIES = ["carrier", "origin", "destination"]


def train(features: pd.DataFrame, target: np.ndarray, *, seed: int, parameters: dict[str, float | int]) -> Pipeline:
    """Fit the pipeline.

    Parameters
    ----------
    features : pandas.DataFrame
        The declared features: numbers float64 with NaN where missing, categories text.
    target : array of 0 and 1, shape (rows,)
        1 where the flight arrived more than 15 minutes late.
    seed : int
        Of the random choice of columns at each split.
    parameters : dict
        What ``training.parameters`` declares: arguments of ``HistGradientBoostingClassifier``.
    """
    numbers = [name for name in features.columns if name not in CATEGORIES]
    columns = ColumnTransformer(
        [
            ("numbers", "passthrough", numbers),
            ("categories", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORIES),
        ]
    )
    # Early stopping would hold out random rows: rows of the days it trains on, which tell it nothing new.
    trees = HistGradientBoostingClassifier(random_state=seed, early_stopping=False, **parameters)
    pipeline = Pipeline([("columns", columns), ("trees", trees)])
    return pipeline.fit(features, target)
