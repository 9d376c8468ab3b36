"""Which class is written by which function, and the walk through the estimators that hold others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from everloop.numbers_of import number_of
from everloop.training.onnx_export import (
    binning,
    boosting,
    calibration,
    encoders,
    forest,
    functions,
    indicators,
    lightgbm_trees,
    linear,
    perceptron,
    preprocessing,
    stacking,
    voting,
    xgboost_trees,
)
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inner import Inner
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Frame, Numbers, Place, Texts, Value, gather, numbers_only

_TRANSFORMERS: dict[type, Callable[[Any, Value, Graph, Place], Numbers | Texts]] = {
    SimpleImputer: preprocessing.imputer,
    MissingIndicator: indicators.missing_indicator,
    StandardScaler: preprocessing.standard_scaler,
    MinMaxScaler: preprocessing.min_max_scaler,
    RobustScaler: preprocessing.robust_scaler,
    QuantileTransformer: binning.quantile_transformer,
    KBinsDiscretizer: binning.k_bins_discretizer,
    FunctionTransformer: functions.function_transformer,
    OneHotEncoder: encoders.one_hot_encoder,
    OrdinalEncoder: encoders.ordinal_encoder,
}

_OnNumbers = Callable[[Any, Numbers, Graph, Place], str]
_OnAny = Callable[[Any, Value, Graph, Place], str]
_OfOthers = Callable[[Any, Value, Graph, Place, Inner], str]


@dataclass(frozen=True)
class _Kind:
    """The predictors of one kind: those that take numbers, those that choose themselves, and those made of others."""

    on_numbers: Mapping[type, _OnNumbers]
    on_any: Mapping[type, _OnAny]
    of_others: Mapping[type, _OfOthers]
    foreign: Mapping[str, _OnNumbers] = field(default_factory=dict)
    """Classes of packages that need not be installed, by module and name."""

    def of(self, estimator: Any) -> _OnNumbers | None:
        """What writes an estimator that takes numbers; None where nothing does."""
        kind = type(estimator)
        return self.on_numbers.get(kind) or self.foreign.get(f"{kind.__module__}.{kind.__name__}")

    @property
    def known(self) -> list[type]:
        return [*self.on_any, *self.on_numbers, *self.of_others]

    @property
    def names(self) -> str:
        return ", ".join([_names(self.known), *(name.rpartition(".")[2] for name in self.foreign)])


_CLASSIFIERS = _Kind(
    on_numbers={
        GradientBoostingClassifier: boosting.gradient_classifier,
        RandomForestClassifier: forest.forest_classifier,
        ExtraTreesClassifier: forest.forest_classifier,
        DecisionTreeClassifier: forest.tree_classifier,
        LogisticRegression: linear.logistic_regression,
        SGDClassifier: linear.sgd_classifier,
        MLPClassifier: perceptron.mlp_classifier,
    },
    on_any={HistGradientBoostingClassifier: boosting.hist_classifier},
    of_others={
        CalibratedClassifierCV: calibration.calibrated_classifier,
        VotingClassifier: voting.voting_classifier,
        StackingClassifier: stacking.stacking_classifier,
    },
    foreign={
        "lightgbm.sklearn.LGBMClassifier": lightgbm_trees.lightgbm_classifier,
        "xgboost.sklearn.XGBClassifier": xgboost_trees.xgboost_classifier,
    },
)
_DECISIONS = _Kind(
    on_numbers={
        GradientBoostingClassifier: boosting.gradient_decision,
        LogisticRegression: linear.logistic_decision,
        SGDClassifier: linear.sgd_decision,
        LinearSVC: linear.linear_svc_decision,
    },
    on_any={HistGradientBoostingClassifier: boosting.hist_decision},
    of_others={},
)
_REGRESSORS = _Kind(
    on_numbers={
        GradientBoostingRegressor: boosting.gradient_regressor,
        RandomForestRegressor: forest.forest_regressor,
        ExtraTreesRegressor: forest.forest_regressor,
        DecisionTreeRegressor: forest.tree_regressor,
        LinearRegression: linear.linear_regression,
        Ridge: linear.ridge,
        RidgeCV: linear.ridge,
        Lasso: linear.lasso,
        ElasticNet: linear.lasso,
        SGDRegressor: linear.sgd_regressor,
        MLPRegressor: perceptron.mlp_regressor,
    },
    on_any={HistGradientBoostingRegressor: boosting.hist_regressor},
    of_others={
        VotingRegressor: voting.voting_regressor,
        StackingRegressor: stacking.stacking_regressor,
    },
    foreign={
        "lightgbm.sklearn.LGBMRegressor": lightgbm_trees.lightgbm_regressor,
        "xgboost.sklearn.XGBRegressor": xgboost_trees.xgboost_regressor,
    },
)


@dataclass(frozen=True)
class Writer:
    """Writes estimators into a graph, those inside others too.

    Attributes
    ----------
    graph : Graph
    problem_type : str
        For messages.
    """

    graph: Graph
    problem_type: str

    def regression(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str:
        """The predicted value [N, 1].

        Raises
        ------
        ExportRefusedError
            For anything that is not known, as the other methods do.
        """
        return self._predicted(_REGRESSORS, *self._through(estimator, value, path))

    def probabilities(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str:
        """Of two classes the probability of the second [N, 1], else that of each class [N, classes]."""
        return self._predicted(_CLASSIFIERS, *self._through(estimator, value, path))

    def decision(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str | None:
        """What ``decision_function`` gives, [N, 1] or [N, classes]; None where the estimator has none."""
        if not hasattr(estimator, "decision_function"):
            return None
        return self._predicted(_DECISIONS, *self._through(estimator, value, path))

    def _through(self, estimator: Any, value: Value, path: tuple[str, ...]) -> tuple[Any, Value, tuple[str, ...]]:
        """The last step, what it gets, and where it is."""
        while type(estimator) in (Pipeline, FrozenEstimator):
            if type(estimator) is FrozenEstimator:
                estimator = estimator.estimator
                continue
            _check_pipeline(estimator, path)
            value = _steps(estimator.steps[:-1], value, self.graph, path)
            name, estimator = estimator.steps[-1]
            path = (*path, name)
        return estimator, value, path

    def _predicted(self, kind: _Kind, estimator: Any, value: Value, path: tuple[str, ...]) -> str:
        place, found = place_of(path, estimator), type(estimator)
        if found not in kind.known and kind.of(estimator) is None:
            raise place.refuse(
                f"it is not a known predictor for {self.problem_type}{_subclass(estimator, kind.known)}",
                f"{kind.names}; or export() of train.py writes it itself",
            )
        _require_fitted(estimator, place)
        if found in kind.of_others:
            return kind.of_others[found](estimator, value, self.graph, place, self)
        if found in kind.on_any:
            return kind.on_any[found](estimator, _fitting(estimator, value, place), self.graph, place)
        features = numbers_only(value, self.graph, place)
        _fitting(estimator, features, place)
        write = kind.of(estimator)
        if write is None:
            raise AssertionError("unreachable: a known predictor is of one of the three kinds")
        return write(estimator, features, self.graph, place)


def last_step(estimator: Any) -> tuple[tuple[str, ...], Any]:
    """The predictor at the end of nested pipelines, and the way to it."""
    path: tuple[str, ...] = ()
    while type(estimator) in (Pipeline, FrozenEstimator):
        if type(estimator) is FrozenEstimator:
            estimator = estimator.estimator
            continue
        name, estimator = estimator.steps[-1]
        path = (*path, name)
    return path, estimator


def place_of(path: tuple[str, ...], estimator: Any) -> Place:
    """Where an estimator, or the word in its place, stands."""
    return Place(path, repr(estimator) if isinstance(estimator, str) else type(estimator).__name__)


def _fitting(estimator: Any, value: Value, place: Place) -> Value:
    width = len(value.columns) if isinstance(value, Frame) else value.width
    if estimator.n_features_in_ != width:
        raise place.refuse(
            f"it was fitted on {number_of(estimator.n_features_in_, 'column')}, but gets {width}",
            "an estimator fitted on the features frame that it was given",
        )
    return value


def _transform(estimator: Any, value: Value, graph: Graph, path: tuple[str, ...]) -> Value:
    if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
        return value
    place = place_of(path, estimator)
    kind = type(estimator)
    if kind is FunctionTransformer and estimator.func is None:
        return value
    if kind is Pipeline:
        _check_pipeline(estimator, path)
        return _steps(estimator.steps, value, graph, path)
    if kind is FeatureUnion:
        return _feature_union(estimator, value, graph, place, path)
    if kind is ColumnTransformer:
        return _column_transformer(estimator, value, graph, place, path)
    convert = _TRANSFORMERS.get(kind)
    if convert is None:
        raise place.refuse(
            f"it is not a known transformer{_subclass(estimator, _TRANSFORMERS)}",
            f"Pipeline, ColumnTransformer, FeatureUnion, 'passthrough', {_names(_TRANSFORMERS)}",
        )
    _require_fitted(estimator, place)
    return convert(estimator, value, graph, place)


def _steps(steps: list[tuple[str, Any]], value: Value, graph: Graph, path: tuple[str, ...]) -> Value:
    for name, step in steps:
        value = _transform(step, value, graph, (*path, name))
    return value


def _check_pipeline(pipeline: Any, path: tuple[str, ...]) -> None:
    check_options(
        pipeline,
        place_of(path, pipeline),
        handled=("steps",),
        training_only=("memory", "transform_input", "verbose"),
    )


def _feature_union(estimator: Any, value: Value, graph: Graph, place: Place, path: tuple[str, ...]) -> Numbers | Texts:
    check_options(
        estimator,
        place,
        handled=("transformer_list", "transformer_weights"),
        training_only=("n_jobs", "verbose", "verbose_feature_names_out"),
    )
    require(place, "transformer_weights", estimator.transformer_weights, [None])
    blocks = [
        gather(_transform(step, value, graph, (*path, name)), graph, place_of((*path, name), step))
        for name, step in estimator.transformer_list
        if not (isinstance(step, str) and step == "drop")
    ]
    return _side_by_side(blocks, graph, place)


def _column_transformer(
    estimator: Any, value: Value, graph: Graph, place: Place, path: tuple[str, ...]
) -> Numbers | Texts:
    check_options(
        estimator,
        place,
        handled=("remainder", "transformer_weights", "transformers"),
        training_only=("n_jobs", "sparse_threshold", "verbose", "verbose_feature_names_out"),
    )
    require(place, "transformer_weights", estimator.transformer_weights, [None])
    _require_fitted(estimator, place)
    if not isinstance(value, Frame):
        raise place.refuse("it picks columns after another step", "a ColumnTransformer on the features frame")
    blocks: list[Numbers | Texts] = []
    for name, transformer, columns in estimator.transformers_:
        chosen = _chosen(columns, estimator, value, place)
        if not chosen or (isinstance(transformer, str) and transformer == "drop"):
            continue
        inner = (*path, name)
        result = _transform(transformer, Frame(chosen, value.inputs), graph, inner)
        blocks.append(gather(result, graph, place_of(inner, transformer)))
    return _side_by_side(blocks, graph, place)


def _side_by_side(blocks: list[Numbers | Texts], graph: Graph, place: Place) -> Numbers | Texts:
    if not blocks:
        raise place.refuse("it keeps no column", "at least one column")
    kinds = {type(b) for b in blocks}
    if len(kinds) > 1:
        raise place.refuse("some of its output columns are numbers, some are strings", "an encoder for each category")
    tensor = preprocessing.concatenate(graph, [b.tensor for b in blocks])
    return blocks[0].__class__(tensor, sum(b.width for b in blocks))


def _chosen(columns: Any, estimator: Any, value: Frame, place: Place) -> tuple[str, ...]:
    """The names of the columns that ``columns``, a specification of scikit-learn's, picks."""
    if isinstance(columns, str):
        raise place.refuse(f"the column {columns!r} is picked as a vector", f"a list of names: [{columns!r}]")
    fitted = getattr(estimator, "feature_names_in_", None)
    if isinstance(columns, slice) or fitted is None:
        raise place.refuse(f"columns picked as {columns!r}", "a list of column names of the features frame")
    names = [str(n) for n in fitted]
    items = list(columns)
    if items and all(isinstance(i, bool) or type(i).__name__ == "bool_" for i in items):
        chosen = [n for n, keep in zip(names, items, strict=True) if keep]
    else:
        chosen = [str(i) if isinstance(i, str) else names[int(i)] for i in items]
    for name in chosen:
        if name not in value.columns:
            raise place.refuse(f"the column {name!r} is not a feature here", ", ".join(value.columns))
    return tuple(chosen)


def _require_fitted(estimator: Any, place: Place) -> None:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise place.refuse("it is not fitted", "a fitted estimator") from None


def _subclass(estimator: Any, known: Iterable[type]) -> str:
    """A hint for a class derived from a known one, whose changes the exporter cannot see."""
    base = next((k.__name__ for k in known if isinstance(estimator, BaseEstimator) and isinstance(estimator, k)), "")
    return f": it derives from {base}, and its changes are not known" if base else ""


def _names(known: Iterable[type]) -> str:
    return ", ".join(k.__name__ for k in known)
