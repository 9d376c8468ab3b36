"""What a replay's decisions cost in the declaration's money, with the loop and without."""

from __future__ import annotations

import numpy as np
import pandas as pd

from everloop.cli.replay.summary import MODELS, MoneyFacts, scores_of
from everloop.evaluation.money import PER, best_threshold, row_costs
from everloop.model_file.schema import ModelDeclaration
from everloop.problem_types import MULTICLASS


def money(predictions: pd.DataFrame, declaration: ModelDeclaration) -> MoneyFacts | None:
    """What the labelled decisions cost; None where no answer has a label, and of several classes."""
    labelled = predictions[predictions["label"].notna()]
    if labelled.empty or declaration.problem.type == MULTICLASS:
        return None
    threshold = _threshold(declaration)
    best = None if threshold is None else best_threshold(declaration.problem.value)
    return {
        "currency": declaration.problem.value.currency,
        "rows": len(labelled),
        "threshold": threshold,
        "cost": _of_a_thousand(labelled, declaration, threshold),
        "best_threshold": best,
        "cost_at_best": None if best is None else _of_a_thousand(labelled, declaration, best),
    }


def money_saved(predictions: pd.DataFrame, declaration: ModelDeclaration) -> pd.DataFrame | None:
    """What was decided cheaper than with the frozen model, added up: one row for each labelled day; None as above.

    Columns are ``date`` (UTC midnight), ``raw`` and ``loop``.
    """
    labelled = predictions[predictions["label"].notna()]
    if labelled.empty or declaration.problem.type == MULTICLASS:
        return None
    costs = {model: _costs(labelled, declaration, model, _threshold(declaration)) for model in MODELS}
    days = labelled["time"].dt.floor("D").dt.tz_localize(None)
    less = pd.DataFrame({"date": days, **{m: costs["frozen"] - costs[m] for m in MODELS if m != "frozen"}})
    daily = less.groupby("date", sort=True).sum().cumsum()
    return daily.reset_index()


def _threshold(declaration: ModelDeclaration) -> float | None:
    return declaration.serving.threshold if declaration.problem.type == "binary_classification" else None


def _of_a_thousand(labelled: pd.DataFrame, declaration: ModelDeclaration, threshold: float | None) -> dict[str, float]:
    return {m: round(PER * float(_costs(labelled, declaration, m, threshold).mean()), 4) for m in MODELS}


def _costs(labelled: pd.DataFrame, declaration: ModelDeclaration, model: str, threshold: float | None) -> np.ndarray:
    scores = scores_of(labelled, model, declaration.problem.type)
    return row_costs(labelled["label"].to_numpy(), scores, declaration.problem.value, threshold)
