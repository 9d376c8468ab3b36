"""Learns a model from a job's rows: in full, by the model's own script, or by continuing a version that was kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from everloop.documents.training import ParentDocument, UpdateDocument
from everloop.model_file.schema import ModelDeclaration
from everloop.reasons import Reason
from everloop.retraining.update import Parent, Rows, decide, trained_in_full
from everloop.training.channels import Split
from everloop.training.checkpoints import Checkpoints
from everloop.training.exceptions import ParentError, TuningError, WarmStartError
from everloop.training.kept_estimator import KeptEstimator, difference, making_of, told
from everloop.training.tuning import Chosen, choose_parameters
from everloop.training.user_script import continue_user_model, run_user_script
from everloop.training.warm_start import require_continuable

logger = logging.getLogger("everloop.training")


@dataclass(frozen=True)
class Learned:
    """A fitted estimator.

    Attributes
    ----------
    update : UpdateDocument or None
        Of a training that was asked to continue a version.
    chosen : Chosen or None
        The parameters it was fitted with; None of one that continues a version.
    """

    estimator: Any
    update: UpdateDocument | None = None
    chosen: Chosen | None = None


def learn(
    declaration: ModelDeclaration,
    folder: Path,
    train: Split,
    test: Split,
    *,
    refit: bool = False,
    parent: KeptEstimator | None = None,
    tuned: Path | None = None,
    checkpoints: Checkpoints | None = None,
) -> Learned:
    """Learn from ``train``, and of a refit from ``test`` as well.

    Whether ``parent`` can be continued follows from the same rows in a refit as in the training before it.

    Parameters
    ----------
    folder : Path
        The model's folder.
    tuned : Path, optional
        What an earlier training made, whose parameters this one takes (:func:`choose_parameters`). A refit has to:
        the labels of the test part choose no parameter.
    checkpoints : Checkpoints, optional
        What outlives an interruption of the job. A search goes on behind its finished trials; the script is handed a
        folder for its own where it takes a ``checkpoint``. A warm start keeps nothing: it is short.

    Raises
    ------
    TuningError, UserScriptError, WarmStartError
        When no parameters can be chosen, or the script gives no estimator that can be used, or kept in its turn.
    """
    whole = train.with_later(test) if refit else train
    warm = declaration.training.warm_start
    if parent is None or warm is None:
        if refit and declaration.training.tuning is not None and tuned is None:
            raise TuningError("a refit takes the parameters that the training before it chose, and was not handed them")
        chosen = choose_parameters(declaration, folder, whole, tuned, checkpoints)
        kept = None if checkpoints is None else checkpoints.of_script(chosen.parameters)
        estimator = run_user_script(folder, declaration, whole, parameters=chosen.parameters, checkpoint=kept)
        if warm is not None:
            require_continuable(estimator)
        return Learned(estimator, chosen=chosen)
    logger.info("asked to continue: %s", told(parent))
    estimator, reason = continued_or_not(declaration, folder, train, test, parent, refit=refit)
    if estimator is None:
        why = trained_in_full(reason)
        logger.info("%s", why.sentence)
        full = learn(declaration, folder, train, test, refit=refit, tuned=tuned, checkpoints=checkpoints)
        update: UpdateDocument = {"kind": "full", "reason": why.as_dict(), "rows": len(whole), "parent": None}
        return Learned(full.estimator, update, full.chosen)
    logger.info("%s", reason.sentence)
    continued: ParentDocument = {
        "version": parent.version,
        "estimator_sha256": parent.sha256,
        "trees": parent.about["trees"],
    }
    rows = int(_after(whole, parent).sum())
    return Learned(estimator, {"kind": "warm", "reason": reason.as_dict(), "rows": rows, "parent": continued})


def continued_or_not(
    declaration: ModelDeclaration,
    folder: Path,
    train: Split,
    test: Split,
    parent: KeptEstimator,
    *,
    refit: bool = False,
) -> tuple[Any | None, Reason]:
    """The estimator that continues ``parent``, and why; None and why not where something is in the way.

    Raises
    ------
    UserScriptError
        When what is continued gives no answers that can be used.
    """
    warm = declaration.training.warm_start
    if warm is None:
        return None, Reason("warm_start_undeclared", "training.warm_start is not declared.")
    update = decide(*facts_of(declaration, folder, train, test, parent), warm)
    if not update.warm:
        return None, update.reason
    whole = train.with_later(test) if refit else train
    newer = whole.only(_after(whole, parent))
    try:
        return continue_user_model(folder, declaration, parent.load, newer, warm), update.reason
    except (ParentError, WarmStartError) as error:
        # A model whose trainings are warm starts by the evidence would never be trained again.
        return None, Reason("warm_start_failed", f"{error}.")


def facts_of(
    declaration: ModelDeclaration, folder: Path, train: Split, test: Split, kept: KeptEstimator
) -> tuple[Parent, Rows]:
    """What decides whether a version can be continued."""
    about = kept.about
    newer = _after(train, kept)
    rarest = None
    if declaration.problem.type == "binary_classification":
        positive = int(train.labels[newer].sum())
        rarest = min(positive, int(newer.sum()) - positive)
    elif declaration.problem.classes:
        rarest = int(np.bincount(train.labels[newer], minlength=len(declaration.problem.classes)).min())
    unlike = difference(about["making"], making_of(declaration, folder))
    parent = Parent(kept.version, about["trees"], about["learned_until"], unlike)
    return parent, Rows(int(newer.sum()), rarest, len(test), len(test) - int(_after(test, kept).sum()))


def _after(split: Split, kept: KeptEstimator) -> np.ndarray:
    """Which rows are newer than all that it has learned from, bool [rows]."""
    return split.after(kept.about["learned_until"])
