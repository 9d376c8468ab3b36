"""Continues a fitted estimator with newer rows, at the end of a pipeline whose steps stay as they are.

scikit-learn's ``warm_start`` is meant for more trees on the same rows. What follows of other rows is looked at for each
class here, and all other classes are refused by name:

- Gradient boosting computes what its trees say of the new rows, and fits the next ones to what they leave.
- Histogram gradient boosting does so in bins, which it makes anew of the rows it is given: its trees would be read
  with the thresholds of other bins. So the bins stay those of its first training.
- A random forest averages: new trees have as much of a say as they are many.
- Stochastic gradient descent goes on row by row (``partial_fit``), with steps as small as they have become.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline

from everloop.model_file.schema import WarmStart
from everloop.training.exceptions import WarmStartError
from everloop.training.own_export import OwnModel

_GRADIENT = (GradientBoostingClassifier, GradientBoostingRegressor)
_HISTOGRAM = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_FORESTS = (RandomForestClassifier, RandomForestRegressor)
_DESCENT = (SGDClassifier, SGDRegressor)
CONTINUED = (*_GRADIENT, *_HISTOGRAM, *_FORESTS, *_DESCENT)


def require_continuable(estimator: Any) -> None:
    """Refuse what can't be continued, when it is first trained and not when it is to be continued.

    Raises
    ------
    WarmStartError
        Naming its class and those that can.
    """
    if isinstance(estimator, OwnModel):
        raise WarmStartError(
            f"training.warm_start is declared, but {estimator.script} exports its model itself, and nothing knows how"
            " such a one is continued. Leave training.warm_start out, or export()"
        )
    final = _final(estimator)
    if type(final) not in CONTINUED:
        able = ", ".join(kind.__name__ for kind in CONTINUED)
        raise WarmStartError(
            f"training.warm_start is declared, but train() returned {type(final).__name__}, which can't be continued;"
            f" can be, alone or at the end of a Pipeline: {able}. Leave training.warm_start out, or return one of these"
        )
    if type(final) is SGDClassifier and final.class_weight == "balanced":
        raise WarmStartError(
            "training.warm_start is declared, but train() returned SGDClassifier(class_weight='balanced'): such weights"
            " follow from all rows at once, so it can't be continued; give the weights of both classes as numbers"
        )


def trees_of(estimator: Any) -> int | None:
    """How many trees it has; None of a model without."""
    final = _final(estimator)
    if type(final) in _DESCENT:
        return None
    if type(final) in _HISTOGRAM:
        return int(final.n_iter_)
    return len(final.estimators_)


def learn_on(estimator: Any, features: pd.DataFrame, target: np.ndarray, declared: WarmStart) -> None:
    """Continue a fitted estimator, in place.

    Parameters
    ----------
    estimator
        One that :func:`require_continuable` takes.
    features, target
        The newer rows.

    Raises
    ------
    WarmStartError
        When scikit-learn refuses, or has added another number of trees.
    """
    final = _final(estimator)
    try:
        values: Any = features
        for step in _steps(estimator):
            values = step.transform(values)
        if type(final) in _DESCENT:
            _descend(final, values, target, declared.passes)
        else:
            _add_trees(final, values, target, declared.added_trees)
    except (ValueError, TypeError) as error:
        raise WarmStartError(f"{type(final).__name__} can't be continued with the newer rows: {error}") from error


def _descend(final: Any, values: Any, target: np.ndarray, passes: int) -> None:
    if final.early_stopping:
        final.set_params(early_stopping=False)
    for _ in range(passes):
        final.partial_fit(values, target)


def _add_trees(final: Any, values: Any, target: np.ndarray, added: int) -> None:
    before = trees_of(final)
    assert before is not None  # a model without trees goes on in another way
    final.set_params(warm_start=True, **_of_trees(final, before + added))
    with _bins_kept(final):
        final.fit(values, target)
    if trees_of(final) != before + added:
        raise WarmStartError(
            f"{type(final).__name__} came to {trees_of(final)} trees from {before}, where {added} were to be added"
        )


def _of_trees(final: Any, trees: int) -> dict[str, Any]:
    """The options by which a fit ends with so many trees. What rows held out say would be of other rows now."""
    if type(final) in _HISTOGRAM:
        return {"max_iter": trees, "early_stopping": False}
    if type(final) in _GRADIENT:
        return {"n_estimators": trees, "n_iter_no_change": None}
    return {"n_estimators": trees, "oob_score": False}


@contextmanager
def _bins_kept(final: Any) -> Iterator[None]:
    """While a histogram gradient boosting is fitted, with the bins that it has; any other as it is."""
    if type(final) not in _HISTOGRAM:
        yield
        return
    kept = final._bin_mapper

    def bin_data(self: Any, values: np.ndarray, sample_weight: Any, is_training_data: bool) -> np.ndarray:
        self._bin_mapper = kept
        return np.asfortranarray(kept.transform(values))

    final._bin_data = types.MethodType(bin_data, final)
    try:
        yield
    finally:
        del final._bin_data


def _final(estimator: Any) -> Any:
    while type(estimator) is Pipeline:
        estimator = estimator.steps[-1][1]
    return estimator


def _steps(estimator: Any) -> Iterator[Any]:
    """What comes before the final step, in its order."""
    while type(estimator) is Pipeline:
        for _, step in estimator.steps[:-1]:
            if step is not None and step != "passthrough":
                yield step
        estimator = estimator.steps[-1][1]
