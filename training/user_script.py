"""Runs the model's own training script, and refuses what is not a fitted estimator.

The script defines ``train(features, target, *, seed, parameters)`` and returns a fitted scikit-learn estimator
or Pipeline; or anything, where it defines ``export()`` too (:mod:`everloop.training.own_export`). ``features`` is a
DataFrame of the declared features, ``target`` a numpy array (of several classes, of their places in
``problem.classes``), ``seed`` and ``parameters`` are those of the declaration's section ``training``. Where ``train``
takes ``checkpoint`` as well, it is the folder that outlives an interruption of the job, or None.
"""

from __future__ import annotations

import importlib.util
import inspect
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from everloop.model_file.schema import ModelDeclaration, WarmStart
from everloop.model_file.script import EXPORT_FUNCTION, PREDICT_FUNCTION, RULE_FUNCTION, RULE_SIGNATURE, SIGNATURE
from everloop.problem_types import REGRESSION
from everloop.shown import shortened
from everloop.training.channels import Split
from everloop.training.exceptions import UserScriptError
from everloop.training.own_export import OwnModel
from everloop.training.warm_start import learn_on, require_continuable

_TRACEBACK_LINES = 8
_LONGEST_SUMMARY = 400
"""Characters of what an exception says, before its traceback."""


def run_user_script(
    folder: Path,
    declaration: ModelDeclaration,
    split: Split,
    *,
    parameters: Mapping[str, str | float | int | bool] | None = None,
    checkpoint: Path | None = None,
) -> Any:
    """Train.

    Numpy's and Python's own generators are seeded first, so that a script that forgets to hand on ``seed`` still
    gives the same model twice.

    Parameters
    ----------
    folder : Path
        The model's folder; the script may import what lies beside it.
    split : Split
        The training rows.
    parameters : mapping, optional
        In place of the declared ones.
    checkpoint : Path, optional
        The folder that outlives an interruption of the job. A script whose ``train`` has an argument of this name gets
        it, and None where nothing is kept.

    Returns
    -------
    estimator
        Fitted, and known to answer in the right shape; an :class:`OwnModel` where the script exports it itself.

    Raises
    ------
    UserScriptError
        With the script's line and exception, or what was returned and what was expected.
    """
    settings = declaration.training
    script = folder / settings.script
    module = _load(script)
    train = getattr(module, "train", None)
    if not callable(train):
        raise UserScriptError(f"{script.name} defines no function {SIGNATURE}")
    _seed(settings.seed)
    features, target = split.features.copy(), np.array(split.target)
    handed = dict(settings.parameters if parameters is None else parameters)
    kept = {"checkpoint": checkpoint} if _takes_checkpoint(train) else {}
    try:
        estimator = _call(
            script,
            lambda: train(features, target, seed=settings.seed, parameters=handed, **kept),
        )
    except UserScriptError as error:
        raise _with_empty_features(error, split) from error
    export = getattr(module, EXPORT_FUNCTION, None)
    if callable(export):
        return _own_model(script, module, estimator, declaration, split)
    _check(estimator, script, declaration, split)
    return estimator


def _own_model(script: Path, module: ModuleType, model: Any, declaration: ModelDeclaration, split: Split) -> OwnModel:
    predict = getattr(module, PREDICT_FUNCTION, None)
    own = OwnModel(
        script=script.name,
        model=model,
        classification=declaration.problem.type != REGRESSION,
        classes=len(declaration.problem.classes or ()),
        call=lambda action: _call(script, action),
        export=getattr(module, EXPORT_FUNCTION),
        predict_with=predict if callable(predict) else None,
    )
    own.check(split.features.head(16))
    return own


def continue_user_model(
    folder: Path, declaration: ModelDeclaration, load: Callable[[], Any], newer: Split, warm: WarmStart
) -> Any:
    """Continue what the script fitted before, with rows that are newer.

    Parameters
    ----------
    load : callable
        Reads the estimator, once the script's own names are there.

    Raises
    ------
    UserScriptError, ParentError, WarmStartError
        When the script, the estimator or what comes of it can't be used.
    """
    script = folder / declaration.training.script
    _load(script)
    _seed(declaration.training.seed)
    estimator = load()
    require_continuable(estimator)
    learn_on(estimator, newer.features.copy(), np.array(newer.labels), warm)
    _check(estimator, script, declaration, newer)
    return estimator


def run_user_rule(script: Path, features: pd.DataFrame) -> np.ndarray:
    """What the rule in force answers: the function ``rule(features)`` of a file in the model's folder.

    Parameters
    ----------
    features : DataFrame
        The declared features of the rows.

    Returns
    -------
    ndarray of float64, shape (rows,)
        True as 1 and false as 0.

    Raises
    ------
    UserScriptError
        With the script's line and exception, or what was returned and what was expected.
    """
    rule = getattr(_load(script, "user_rule_in_force"), RULE_FUNCTION, None)
    if not callable(rule):
        raise UserScriptError(f"{script.name} defines no function {RULE_SIGNATURE}")
    answer = np.asarray(_call(script, lambda: rule(features.copy())))
    if answer.shape != (len(features),) or answer.dtype.kind not in "biuf":
        raise UserScriptError(
            f"{script.name}: {RULE_FUNCTION}() returned {answer.dtype} of the shape {answer.shape}; expected: numbers,"
            f" or true and false, of the shape {(len(features),)}"
        )
    values = answer.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserScriptError(f"{script.name}: {RULE_FUNCTION}() returned values that are not finite numbers")
    return values


def _takes_checkpoint(train: Callable[..., Any]) -> bool:
    try:
        return "checkpoint" in inspect.signature(train).parameters
    except (TypeError, ValueError):  # a callable that tells no signature
        return False


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _load(script: Path, name: str = "user_training_script") -> ModuleType:
    if not script.is_file():
        raise UserScriptError(f"the script {script.name} is not in the model's folder")
    folder = str(script.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise UserScriptError(f"{script.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    loader = spec.loader
    _call(script, lambda: loader.exec_module(module))
    return module


def _call(script: Path, action: Callable[[], Any]) -> Any:
    """Run a piece of the user's code; whatever it raises becomes a message with its place."""
    try:
        return action()
    except (Exception, SystemExit) as error:
        raise UserScriptError(_message(script, error)) from error


def _message(script: Path, error: BaseException) -> str:
    """The exception and its place first: SageMaker shows the first 1,024 characters of a failure."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name} line {error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename).is_relative_to(script.parent)]
        place = f"{Path(own[-1].filename).name} line {own[-1].lineno}" if own else script.name
    what = shortened(" ".join(_said_by(error).split()), _LONGEST_SUMMARY)
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    tail = "\n".join(lines[-_TRACEBACK_LINES:])
    return f"{place}: {what}\n{tail}"


def _said_by(error: BaseException) -> str:
    """What an exception says, without its place and its notes; scikit-learn's are many lines that end with a link."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return traceback.format_exception_only(error)[0]


def _with_empty_features(error: UserScriptError, split: Split) -> UserScriptError:
    """The error, with the features that no row has: estimators fail at them in words that name no column."""
    empty = [name for name in split.features if (split.features[name].isin(["", np.nan])).all()]
    if not empty:
        return error
    what, _, rest = str(error).partition("\n")
    hint = (
        f"{', '.join(map(repr, empty))} has no value in any of the {len(split)} training rows: leave it out of the"
        " script until history or callers have values"
    )
    return UserScriptError(f"{what}\n{hint}\n{rest}")


def _check(estimator: Any, script: Path, declaration: ModelDeclaration, split: Split) -> None:
    classification = declaration.problem.type != REGRESSION
    places = [*range(len(declaration.problem.classes or (0, 1)))]
    method = "predict_proba" if classification else "predict"
    wanted = f"a fitted scikit-learn {'classifier' if classification else 'regressor'} or Pipeline"
    returned = f"{script.name}: train() returned {type(estimator).__name__}"
    if isinstance(estimator, type) or not callable(getattr(estimator, method, None)):
        raise UserScriptError(f"{returned}, which has no {method}; expected: {wanted}")
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise UserScriptError(f"{returned}, which is not fitted; expected: {wanted}") from error
    rows = split.features.head(16)
    answer = np.asarray(_call(script, lambda: getattr(estimator, method)(rows)))
    shape = (len(rows), len(places)) if classification else (len(rows),)
    if answer.shape != shape:
        raise UserScriptError(
            f"{returned}, whose {method} answers {len(rows)} rows with the shape {answer.shape}; expected: {shape}"
        )
    if answer.dtype.kind not in "fiu" or not np.isfinite(answer.astype(np.float64)).all():
        raise UserScriptError(f"{returned}, whose {method} gives values that are not finite numbers")
    classes = np.asarray(estimator.classes_).tolist() if classification else places
    if classes != places:
        expected = f"{', '.join(map(str, places[:-1]))} and {places[-1]}"
        raise UserScriptError(f"{returned} with the classes {classes}; expected: {expected}")
