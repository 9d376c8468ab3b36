"""Trains the mortgage model: a logistic regression on what a lender knows of the loan and of earlier debts.

Race and sex are declared so that the evaluation can compare the groups. The model does not get them. Neither does it
get what may stand in for them: age, dependents, the vacancies of the neighbourhood. ``columns`` can add all of it, to
see what that does: see the README.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CREDIT = [
    "loan_to_price",
    "housing_share",
    "obligations_share",
    "unverifiable",
    "bankruptcy",
    "accounts_in_order",
    "few_late_payments",
    "many_late_payments",
    "meets_guidelines",
]
GROUPS = ["race", "sex"]
COLUMNS = ("credit", "everything")


def train(
    features: pd.DataFrame, target: np.ndarray, *, seed: int, parameters: dict[str, str | float | int | bool]
) -> Pipeline:
    """Fit the pipeline.

    Parameters
    ----------
    features : pandas.DataFrame
        The declared features: numbers float64 with NaN where missing, categories text.
    target : array of 0 and 1, shape (rows,)
        1 where the application was approved.
    seed : int
        Not used: the fit has one result.
    parameters : dict
        ``C``: the inverse strength of the regularization. ``columns``: ``credit``, or ``everything``, which adds race,
        sex and all other features.
    """
    columns = parameters["columns"]
    if columns not in COLUMNS:
        raise ValueError(f"training.parameters.columns is {columns!r}; it can be {' or '.join(COLUMNS)}")
    numbers = CREDIT if columns == "credit" else [name for name in features.columns if name not in GROUPS]
    steps = [("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers)]
    if columns == "everything":
        steps.append(("groups", OneHotEncoder(handle_unknown="ignore", sparse_output=False), GROUPS))
    regression = LogisticRegression(C=float(parameters["C"]), max_iter=1000)
    return Pipeline([("columns", ColumnTransformer(steps)), ("regression", regression)]).fit(features, target)
