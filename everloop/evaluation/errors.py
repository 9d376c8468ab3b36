"""Error analysis: the worst rows, the confusion at the threshold, permutation importance and partial dependence.

Correlated features share their importance: dealing out one of them hurts little while the other is left. Partial
dependence also makes rows that never occur, such as a short flight of 5,000 miles. Both are of the model, and no
causes.

References
----------
L. Breiman, "Random forests", Machine Learning 45 (2001): permutation importance.
J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29 (2001): partial
dependence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np

from everloop.evaluation.error_report import Confusion, Dependence, Errors, Importance, WorstRow
from everloop.evaluation.metrics import estimate, row_losses
from everloop.evaluation.robustness import Rows, Score
from everloop.evaluation.significance import paired_difference
from everloop.serving.contract import ServingContract

WORST = 20
DEALS = 2
MOST_ROWS = 2_000
FEWEST_ROWS = 50
MOST_SCORED = 400_000
"""Scores that importance takes: with more features fewer rows are dealt."""

DEPENDENCES = 6
MOST_CURVES = 24
"""Of all classes together: with more classes fewer features are shown."""
POINTS = 11
COMMONEST = 10
MASKED, MISSING = "masked", "missing"


def errors_of(
    contract: ServingContract,
    score: Score,
    rows: Rows,
    scores: np.ndarray,
    *,
    metric: str,
    seed: int,
    personal: Collection[str] = (),
) -> Errors:
    """Analyse the errors.

    Parameters
    ----------
    rows : Rows
        Labelled test rows, ``days`` as datetime64[D].
    scores : ndarray, shape (rows,), or (rows, classes) of several classes
        The candidate's.
    metric : str
        A loss; of ``rmse`` the rows' losses are squared errors.
    seed : int
        Of the rows that are drawn and of the deals.
    personal : collection of str
        Features whose values are not shown.
    """
    names = [*(field.name for field in contract.numbers), *(field.name for field in contract.categories)]
    rng = np.random.default_rng(seed)
    count = int(np.clip(MOST_SCORED // max(1, DEALS * len(names)), FEWEST_ROWS, MOST_ROWS))
    some, before = rows, scores
    if len(rows.labels) > count:
        places = np.sort(rng.choice(len(rows.labels), count, replace=False))
        some, before = rows.at(places), scores[places]
    found = [_importance(contract, score, some, before, place, name, metric, rng) for place, name in enumerate(names)]
    ordered = sorted(found, key=lambda one: one.increase, reverse=True)
    most = max(1, min(DEPENDENCES, MOST_CURVES // max(1, len(contract.classes))))
    shown = [one.feature for one in ordered[:most] if one.feature not in personal]
    return Errors(
        metric=metric,
        rows=len(some.labels),
        confusion=_confusion(contract, rows, scores),
        worst=_worst(contract, rows, scores, metric, personal),
        importance=tuple(ordered),
        dependence=tuple(one for name in shown for one in _dependences(contract, score, some, names.index(name), name)),
    )


def _confusion(contract: ServingContract, rows: Rows, scores: np.ndarray) -> Confusion | None:
    if not contract.is_classification:
        return None
    acts, ones = scores >= contract.threshold, rows.labels == 1
    return Confusion(
        contract.threshold,
        int((acts & ones).sum()),
        int((acts & ~ones).sum()),
        int((~acts & ones).sum()),
        int((~acts & ~ones).sum()),
    )


def _worst(
    contract: ServingContract, rows: Rows, scores: np.ndarray, metric: str, personal: Collection[str]
) -> tuple[WorstRow, ...]:
    losses = row_losses(metric, rows.labels, scores)
    # Stable, so that equal losses keep the rows' order on every machine.
    places = np.argsort(-losses, kind="stable")[:WORST]
    return tuple(
        WorstRow(
            str(rows.days[place]),
            float(rows.labels[place]),
            float(scores[place, int(rows.labels[place])] if contract.is_multiclass else scores[place]),
            float(losses[place]),
            _shown(contract, rows, int(place), personal),
            *_named(contract, int(rows.labels[place]), scores[place]),
        )
        for place in places
    )


def _named(contract: ServingContract, outcome: int, score: np.ndarray) -> tuple[str, str]:
    """What came and what was answered, by name; empty where classes have none."""
    if not contract.is_multiclass:
        return "", ""
    return str(contract.classes[outcome]), str(contract.classes[int(score.argmax())])


def _shown(contract: ServingContract, rows: Rows, place: int, personal: Collection[str]) -> dict[str, str]:
    numbers = {field.name: _number(rows.num[place, at]) for at, field in enumerate(contract.numbers)}
    categories = {field.name: str(rows.cat[place, at]) or MISSING for at, field in enumerate(contract.categories)}
    return {name: MASKED if name in personal else text for name, text in {**numbers, **categories}.items()}


def _number(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.6g}"


def _importance(
    contract: ServingContract,
    score: Score,
    rows: Rows,
    before: np.ndarray,
    place: int,
    name: str,
    metric: str,
    rng: np.random.Generator,
) -> Importance:
    undealt = estimate(metric, rows.labels, before)
    differences = []
    for _ in range(DEALS):
        order = rng.permutation(len(rows.labels))
        after = score(*_set(contract, rows, place, order))
        # A dealt row that has no score is one that never occurs: it keeps its own.
        known = np.asarray(np.isfinite(after).reshape(len(after), -1).all(axis=1))
        after = np.where(known if after.ndim == 1 else known[:, None], after, before)
        differences.append(paired_difference(estimate(metric, rows.labels, after), undealt, rows.days))
    mean = float(np.mean([one.difference for one in differences]))
    return Importance(name, mean, differences[0].low, differences[0].high)


def _set(
    contract: ServingContract, rows: Rows, place: int, values: np.ndarray | float | str
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with one feature's values in another order, or with one value in all of them."""
    num, cat = rows.num, rows.cat
    at = place - len(contract.numbers)
    if at < 0:
        num = num.copy()
        num[:, place] = num[values, place] if isinstance(values, np.ndarray) else values
    else:
        cat = cat.copy()
        cat[:, at] = cat[values, at] if isinstance(values, np.ndarray) else values
    return num, cat


def _dependences(contract: ServingContract, score: Score, rows: Rows, place: int, name: str) -> tuple[Dependence, ...]:
    at = place - len(contract.numbers)
    values: list[float] | list[str]
    if at < 0:
        present = rows.num[:, place][np.isfinite(rows.num[:, place])]
        grid = np.quantile(present, np.linspace(0, 1, POINTS), method="inverted_cdf") if len(present) else present
        values = [float(value) for value in np.unique(grid)]
        texts = [f"{value:.6g}" for value in values]
    else:
        counted = Counter(str(value) for value in rows.cat[:, at])
        values = sorted(value for value, _ in counted.most_common(COMMONEST))
        texts = [value or MISSING for value in values]
    scores = [score(*_set(contract, rows, place, value)) for value in values]
    if not contract.is_multiclass:
        return (Dependence(name, tuple(texts), tuple(_mean(found) for found in scores)),)
    return tuple(
        Dependence(name, tuple(texts), tuple(_mean(found[:, at]) for found in scores), str(called))
        for at, called in enumerate(contract.classes)
    )


def _mean(scores: np.ndarray) -> float | None:
    """Of those that there are."""
    known = scores[np.isfinite(scores)]
    return float(known.mean()) if len(known) else None
