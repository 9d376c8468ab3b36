"""XGBoost's scikit-learn estimators. Their trees compare float32, and are read from the booster's own JSON.

They also add up in float32, so their answers have seven digits; the exported sum has sixteen.
XGBoost itself is not imported: the fitted estimator brings it. See
https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from everloop.training.onnx_export.forest import through_float32
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble, constant_tree
from everloop.training.onnx_export.values import Numbers, Place

_IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")
_LOG = ("count:poisson", "reg:gamma", "reg:tweedie")


def xgboost_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """XGBClassifier with the objective binary:logistic or multi:softprob."""
    learner = _learner(estimator, place)
    name = learner["objective"]["name"]
    if name == "multi:softprob":
        return graph.add("Softmax", [_sums(learner, lambda base: base, features, graph, place)], axis=1)
    if name != "binary:logistic":
        raise place.refuse(f"objective={name!r}", "objective='binary:logistic' or 'multi:softprob'")
    return graph.add("Sigmoid", [_sums(learner, lambda base: np.log(base / (1 - base)), features, graph, place)])


def xgboost_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """XGBRegressor with an objective whose link is the identity or the logarithm."""
    learner = _learner(estimator, place)
    name = learner["objective"]["name"]
    if name in _LOG:
        return graph.add("Exp", [_sums(learner, np.log, features, graph, place)])
    if name not in _IDENTITY:
        raise place.refuse(f"objective={name!r}", "objective=" + ", ".join(_IDENTITY + _LOG))
    return _sums(learner, lambda base: base, features, graph, place)


def _learner(estimator: Any, place: Place) -> dict[str, Any]:
    booster = estimator.get_booster()
    best = booster.attr("best_iteration")
    if best is not None:
        booster = booster[: int(best) + 1]
    learner: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise place.refuse(f"booster={kind!r}", "booster='gbtree'")
    missing = estimator.missing
    if not (missing is None or np.isnan(missing)):
        raise place.refuse(f"missing={missing!r}", "missing=numpy.nan")
    if int(learner["learner_model_param"].get("num_target", 1)) > 1:
        raise place.refuse("several targets", "one target")
    return learner


def _sums(learner: dict[str, Any], link: Any, features: Numbers, graph: Graph, place: Place) -> str:
    model = learner["gradient_booster"]["model"]
    groups = max(1, int(learner["learner_model_param"]["num_class"]))
    written = json.loads(learner["learner_model_param"]["base_score"])
    start = np.ravel(link(np.broadcast_to(np.asarray(written, dtype=np.float64), (groups,))))
    trees: list[list[Tree]] = [[constant_tree(float(value))] for value in start]
    for tree, group in zip(model["trees"], model["tree_info"], strict=True):
        trees[group].append(_tree(tree, place))
    narrow = through_float32(graph, features.tensor)
    return concatenate(graph, [add_tree_ensemble(graph, narrow, group) for group in trees])


def _tree(tree: dict[str, Any], place: Place) -> Tree:
    if any(tree["split_type"]):
        raise place.refuse("it splits on sets of categories", "categories encoded before it")
    left = np.array(tree["left_children"])
    leaf = left == -1
    values = np.array(tree["split_conditions"], dtype=np.float32)
    return Tree(
        is_leaf=leaf,
        feature=np.array(tree["split_indices"]),
        # XGBoost asks for "below", the operator for "at or below".
        threshold=np.nextafter(values, np.float32(-np.inf)).astype(np.float64),
        left=left,
        right=np.array(tree["right_children"]),
        missing_left=np.array(tree["default_left"]).astype(bool),
        value=values.astype(np.float64),
    )
