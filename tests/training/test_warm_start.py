"""What trees that are added to a fitted estimator say, by class."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from everloop.model_file.schema import WarmStart
from everloop.training.exceptions import WarmStartError
from everloop.training.onnx_export import ModelInputs, check_parity, export_onnx
from everloop.training.warm_start import learn_on, require_continuable, trees_of
from tests.helpers.present import present

CLASSIFIERS = [
    GradientBoostingClassifier(n_estimators=30, random_state=3),
    GradientBoostingClassifier(n_estimators=30, random_state=3, n_iter_no_change=5),
    HistGradientBoostingClassifier(max_iter=30, random_state=3, early_stopping=False),
    HistGradientBoostingClassifier(max_iter=30, random_state=3, early_stopping=True, max_features=0.5),
    RandomForestClassifier(n_estimators=30, random_state=3, min_samples_leaf=5),
    RandomForestClassifier(n_estimators=30, random_state=3, min_samples_leaf=5, oob_score=True),
]
REGRESSORS = [
    GradientBoostingRegressor(n_estimators=30, random_state=3),
    HistGradientBoostingRegressor(max_iter=30, random_state=3, loss="absolute_error"),
    HistGradientBoostingRegressor(max_iter=30, random_state=3, loss="poisson"),
    RandomForestRegressor(n_estimators=30, random_state=3, min_samples_leaf=5),
]


def rows(count: int, seed: int, *, turned: bool = False, scale: float = 1.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of two numbers and a category; ``turned`` is another world, ``scale`` another range."""
    rng = np.random.default_rng(seed)
    near, far = rng.normal(0, scale, count), rng.normal(0, 1, count)
    line = rng.choice(["north", "south"], count)
    z = 1.5 * near / scale * (-1 if turned else 1) + 0.8 * (line == "north") - 0.4
    target = (rng.random(count) < 1 / (1 + np.exp(-z))).astype(np.int64)
    frame = pd.DataFrame({"near": near, "far": np.where(rng.random(count) < 0.1, np.nan, far), "line": line})
    return frame.fillna(0.0), target


def pipeline(final: Any) -> Pipeline:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("line", encoder, ["line"])], remainder="passthrough")
    return Pipeline([("columns", columns), ("inner", Pipeline([("none", "passthrough"), ("trees", final)]))])


@cache
def fitted_once(final: Any) -> Pipeline:
    """Each of the estimators above is fitted for all tests."""
    return pipeline(clone(final)).fit(*rows(1500, 1))


def fitted(final: Any) -> Pipeline:
    """One of its own, to be learned on."""
    return copy.deepcopy(fitted_once(final))


@pytest.mark.parametrize("final", CLASSIFIERS + REGRESSORS, ids=str)
def test_trees_are_added_and_the_old_ones_stay(final: Any) -> None:
    model, newer = fitted(final), rows(800, 2, turned=True)
    before, trees = model[-1][-1], trees_of(model)
    old = _raw(before, model[:-1].transform(newer[0]), present(trees))
    learn_on(model, *newer, WarmStart(added_trees=20))
    assert trees is not None
    assert trees_of(model) == trees + 20
    np.testing.assert_array_equal(_raw(model[-1][-1], model[:-1].transform(newer[0]), trees), old)


@pytest.mark.parametrize("final", CLASSIFIERS, ids=str)
def test_a_world_that_turned_is_learned_from_newer_rows_alone(final: Any) -> None:
    model = fitted(final)
    newer, later = rows(1500, 2, turned=True), rows(1500, 3, turned=True)
    before = log_loss(later[1], model.predict_proba(later[0])[:, 1])
    learn_on(model, *newer, WarmStart(added_trees=60))
    assert log_loss(later[1], model.predict_proba(later[0])[:, 1]) < before - 0.1


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_the_newest_trees_of_a_histogram_fit_what_its_old_ones_leave_of_rows_in_another_range(loss: str) -> None:
    """With bins made anew, thresholds of old trees would be read as others, and the new trees fit to nonsense."""
    model = pipeline(HistGradientBoostingRegressor(max_iter=40, random_state=3, loss=loss))
    features, _ = rows(1500, 1)
    model.fit(features, 10 * features["near"].to_numpy())
    newer, _ = rows(1500, 2, scale=0.1)
    target = 10 * newer["near"].to_numpy() + 5
    bins = model[-1][-1]._bin_mapper
    learn_on(model, newer, target, WarmStart(added_trees=40))
    assert model[-1][-1]._bin_mapper is bins
    assert float(np.abs(model.predict(newer) - target).mean()) < 1


@pytest.mark.parametrize(
    ("final", "kind"),
    [*((f, "binary_classification") for f in CLASSIFIERS), *((f, "regression") for f in REGRESSORS)],
    ids=str,
)
def test_what_was_continued_is_exported_to_the_last_bit(final: Any, kind: Any) -> None:
    model = fitted(final)
    learn_on(model, *rows(800, 2, turned=True, scale=3.0), WarmStart(added_trees=20))
    inputs = ModelInputs(("near", "far", "line"), ("near", "far"), ("line",))
    assert export_onnx(model, inputs, kind).graph.node
    later, _ = rows(500, 4, turned=True)
    found = _parity(model, later, inputs, kind)
    assert found.label_flips == 0
    assert found.max_abs_difference < 1e-9


@pytest.mark.parametrize("final", CLASSIFIERS + REGRESSORS, ids=str)
def test_the_same_rows_give_the_same_trees(final: Any) -> None:
    later, _ = rows(500, 4)
    answers = []
    for _ in range(2):
        model = fitted(final)
        learn_on(model, *rows(800, 2, turned=True), WarmStart(added_trees=20))
        answers.append(model.predict(later))
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("final", [Ridge(), ExtraTreesClassifier(n_estimators=5)], ids=str)
def test_what_can_not_be_continued_is_refused_by_name(final: Any) -> None:
    model = pipeline(final).fit(*rows(300, 1))
    with pytest.raises(WarmStartError, match=f"returned {type(final).__name__}.*GradientBoostingClassifier.*Leave"):
        require_continuable(model)


@pytest.mark.parametrize(
    "final",
    [
        SGDClassifier(loss="log_loss", random_state=3),
        SGDClassifier(loss="log_loss", random_state=3, early_stopping=True, average=True),
        SGDRegressor(random_state=3),
    ],
    ids=str,
)
def test_a_model_without_trees_learns_on_row_by_row(final: Any) -> None:
    model, newer, later = fitted(final), rows(1500, 2, turned=True), rows(1500, 3, turned=True)
    require_continuable(model)
    assert trees_of(model) is None

    before = model.predict(later[0])
    learn_on(model, *newer, WarmStart(passes=1))
    once = model.predict(later[0])
    learn_on(model, *newer, WarmStart(passes=20))
    # What it knew is not gone at once, and gives way.
    distance = [float(np.abs(answer - later[1]).mean()) for answer in (before, once, model.predict(later[0]))]
    assert distance[0] > distance[1] >= distance[2]


def test_weights_that_follow_from_all_rows_are_refused_by_name() -> None:
    model = fitted(SGDClassifier(loss="log_loss", class_weight="balanced"))
    with pytest.raises(WarmStartError, match=r"class_weight='balanced'.*give the weights of both classes as numbers"):
        require_continuable(model)


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    class Own(RandomForestClassifier):  # type: ignore[misc]  # scikit-learn publishes no types
        pass

    with pytest.raises(WarmStartError, match="returned Own"):
        require_continuable(Own(n_estimators=3).fit([[0.0], [1.0]], [0, 1]))


def test_a_class_that_newer_rows_lack_is_refused() -> None:
    model, (features, target) = fitted(CLASSIFIERS[0]), rows(300, 2)
    with pytest.raises(WarmStartError, match="GradientBoostingClassifier can't be continued with the newer rows"):
        learn_on(model, features, np.zeros_like(target), WarmStart(added_trees=5))


def _raw(final: Any, values: Any, trees: int) -> np.ndarray:
    """What the first trees say."""
    if hasattr(final, "_predictors"):
        raw = np.zeros((len(values), 1))
        final._predict_iterations(np.asarray(values, dtype=np.float64), final._predictors[:trees], raw, False, 1)
        return raw[:, 0]
    given = np.asarray(values, dtype=np.float32)
    return np.asarray(sum(np.ravel(tree.predict(given)) for tree in np.ravel(final.estimators_)[:trees]))


def _parity(model: Any, later: pd.DataFrame, inputs: ModelInputs, kind: Any) -> Any:
    from everloop.serving.contract import CategoryField, NumberField, ServingContract
    from everloop.serving.scorer import Scorer

    contract = ServingContract(
        model="m",
        problem_type=kind,
        key="key",
        target="late",
        threshold=0.5,
        max_rows=500,
        numbers=tuple(NumberField(name=n, min=None, max=None, missing="allow", median=0.0) for n in inputs.numbers),
        categories=(CategoryField(name="line", missing="allow", unseen="accept", max_length=9, values=("north",)),),
    )
    scorer = Scorer.from_bytes(export_onnx(model, inputs, kind).SerializeToString(), contract)
    return check_parity(model, scorer, later, inputs=inputs, problem_type=kind, threshold=0.5)
