"""Trains the flight outcome model: boosted trees over the timetable and the weather known before departure.

``target`` holds the place of each flight's outcome in ``problem.classes``: 0 on time, 1 late, 2 cancelled. Three in a
hundred flights are cancelled, most of them on a few days of snow or storm. So the leaves are large and the trees few:
a cancelled flight says little that the others of its day don't.
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
    target : array of 0, 1 and 2, shape (rows,)
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
    # Early stopping would hold out random rows of the days it trains on, which tell it nothing new.
    trees = HistGradientBoostingClassifier(random_state=seed, early_stopping=False, **parameters)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features, target)
