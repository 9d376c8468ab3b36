"""Trains the loaves an hour: boosted trees over hour, price and rain, for each shop."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(features: pd.DataFrame, target: np.ndarray, *, seed: int, parameters: dict[str, float | int]) -> Pipeline:
    """The fitted pipeline.

    Parameters
    ----------
    features : pandas.DataFrame
        The declared columns, in the declared order.
    target : array of float64, shape (rows,)
        The loaves that were sold.
    parameters : dict
        What ``training.parameters`` of model.yaml declares.
    """
    shops = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("shops", shops, ["shop"]), ("numbers", "passthrough", ["hour", "price", "rain"])])
    # Early stopping would hold out random rows: hours of the days it trains on.
    trees = HistGradientBoostingRegressor(random_state=seed, early_stopping=False, **parameters)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features, target)
