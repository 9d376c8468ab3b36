"""LightGBM's scikit-learn estimators. Their trees compare float64, and are read from the booster's own dump.

LightGBM itself is not imported: the fitted estimator brings it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble
from everloop.training.onnx_export.values import Numbers, Place

_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
_LOG = ("poisson", "gamma", "tweedie")


def lightgbm_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LGBMClassifier with the objective binary or multiclass."""
    dump = estimator.booster_.dump_model()
    name, _, rest = dump["objective"].partition(" ")
    sums = _sums(dump, features, graph, place)
    if name == "multiclass":
        return graph.add("Softmax", [sums], axis=1)
    if name != "binary":
        raise place.refuse(f"objective={dump['objective']!r}", "objective='binary' or 'multiclass'")
    steepness = float(dict(part.split(":") for part in rest.split())["sigmoid"])
    return graph.add("Sigmoid", [graph.add("Mul", [sums, graph.constant(np.array([[steepness]]))])])


def lightgbm_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LGBMRegressor with an objective whose link is the identity or the logarithm."""
    dump = estimator.booster_.dump_model()
    objective = dump["objective"]
    name = objective.split()[0]
    if "sqrt" in objective.split() or name not in (*_IDENTITY, *_LOG):
        raise place.refuse(f"objective={objective!r}", "objective=" + ", ".join(_IDENTITY + _LOG))
    sums = _sums(dump, features, graph, place)
    return graph.add("Exp", [sums]) if name in _LOG else sums


def _sums(dump: dict[str, Any], features: Numbers, graph: Graph, place: Place) -> str:
    groups = int(dump["num_tree_per_iteration"])
    trees = [_tree(info["tree_structure"], place) for info in dump["tree_info"]]
    if not trees:
        raise place.refuse("it has no tree", "an estimator with a tree")
    sums = [add_tree_ensemble(graph, features.tensor, trees[number::groups]) for number in range(groups)]
    joined = concatenate(graph, sums)
    if not dump["average_output"]:
        return joined
    return graph.add("Div", [joined, graph.constant(np.array([[len(trees) / groups]]))])


def _tree(root: dict[str, Any], place: Place) -> Tree:
    rows: list[dict[str, Any]] = []

    def place_node(node: dict[str, Any]) -> int:
        row = len(rows)
        rows.append({"leaf": "leaf_value" in node, "feature": 0, "threshold": 0.0, "left": 0, "right": 0})
        if rows[row]["leaf"]:
            rows[row] |= {"value": float(node["leaf_value"]), "missing_left": False}
            return row
        if node["decision_type"] != "<=":
            raise place.refuse("it splits on sets of categories", "categories encoded before it")
        if node["missing_type"] == "Zero":
            raise place.refuse("zero_as_missing=True", "zero_as_missing=False")
        threshold = float(node["threshold"])
        # Where training had no missing value, one is taken as 0.
        missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
        rows[row] |= {"feature": int(node["split_feature"]), "threshold": threshold, "missing_left": missing_left}
        rows[row] |= {"value": 0.0, "left": place_node(node["left_child"]), "right": place_node(node["right_child"])}
        return row

    place_node(root)
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Tree(
        is_leaf=column["leaf"].astype(bool),
        feature=column["feature"],
        threshold=column["threshold"].astype(np.float64),
        left=column["left"],
        right=column["right"],
        missing_left=column["missing_left"].astype(bool),
        value=column["value"].astype(np.float64),
    )
