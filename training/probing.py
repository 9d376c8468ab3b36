"""The proof that a model answers all that its contract admits, before anything is evaluated.

Without it, a model that has no score for a missing value passes every gate as long as history has none, and fails the
first caller who sends one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from everloop.documents.training import ProbesDocument
from everloop.limits import LARGEST_VALUE
from everloop.numbers_of import number_of
from everloop.serving.contract import NumberField, ServingContract
from everloop.serving.exceptions import UnusableScoreError
from everloop.serving.scorer import SUM_TOLERANCE, ScoresRows
from everloop.training.exceptions import ProbeError
from everloop.training.onnx_export.parity import tolerance_for
from everloop.training.probes import Possibility, base_rows, counted, laid_into, possibilities

CELLS_AT_ONCE = 4_000_000
"""Rows times columns that are scored at once, so that memory does not grow with the possibilities."""

SHOWN = 3
"""Refused possibilities that a message spells out; SageMaker shows its first 1,024 characters."""


@dataclass(frozen=True)
class Probed:
    """What was probed; every score was usable.

    Attributes
    ----------
    possibilities : dict of str to int
        How many of each kind.
    base_rows : int
        Training rows that each was laid into.
    rows : int
        Rows scored: the product of both.
    max_abs_difference : float
        Between the trained and the exported model's scores, over the probes of one feature alone.
    outside_target : int
        Answers beyond the declared ``target_min`` and ``target_max``. They bind labels; a model may extrapolate.
    """

    possibilities: dict[str, int]
    base_rows: int
    rows: int
    max_abs_difference: float
    outside_target: int

    def as_dict(self) -> ProbesDocument:
        """The part ``probes`` of ``parity.json``."""
        return {
            "possibilities": self.possibilities,
            "base_rows": self.base_rows,
            "rows": self.rows,
            "max_abs_difference": self.max_abs_difference,
            "outside_target": self.outside_target,
        }


def check_probes(
    trained_scores: Callable[[pd.DataFrame], np.ndarray],
    scorer: ScoresRows,
    contract: ServingContract,
    features: pd.DataFrame,
    *,
    seed: int,
    target_range: tuple[float | None, float | None] = (None, None),
) -> Probed:
    """Score every possibility with the exported model, and check its answers against the trained one's.

    Parameters
    ----------
    trained_scores : callable
        The fitted estimator's scores [rows] of a features frame, in its own type.
    scorer : ScoresRows
        The exported model, loaded as the prediction function loads it.
    features : DataFrame
        The training rows: numbers float64 with NaN, categories strings with ``""``.
    target_range : pair of float or None
        The declared ``target_min`` and ``target_max``.

    Raises
    ------
    ProbeError
        When a score is no probability, not finite or beyond what monitoring can count, when the trained model raises,
        or when the two differ; with the feature, what was probed, what came and the remedy.
    """
    base, found = base_rows(features, seed), possibilities(contract)
    step = max(1, CELLS_AT_ONCE // base.size)
    parts = [found[start : start + step] for start in range(0, len(found), step)]
    exported = [_exported(scorer, contract, laid_into(base, part)) for part in parts]
    _refuse(_unusable(parts, exported, len(base), contract), contract, features)
    largest = 0.0
    for part, scores in zip(parts, exported, strict=True):
        trained = _trained(trained_scores, part, base, contract, features)
        largest = max(largest, _largest_difference(part, base, trained, scores))
    low, high = target_range
    scores = np.concatenate(exported)
    if contract.is_multiclass:
        return Probed(counted(contract), len(base), len(scores), largest, 0)
    beyond = (scores < (-np.inf if low is None else low)) | (scores > (np.inf if high is None else high))
    return Probed(counted(contract), len(base), len(scores), largest, int(beyond.sum()))


def _arrays(contract: ServingContract, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    num = frame[[f.name for f in contract.numbers]].to_numpy(np.float64)
    cat = frame[[f.name for f in contract.categories]].to_numpy(object)
    return np.ascontiguousarray(num), np.ascontiguousarray(cat)


def _exported(scorer: ScoresRows, contract: ServingContract, frame: pd.DataFrame) -> np.ndarray:
    """The scores; one that cannot be answered is given as it came."""
    num, cat = _arrays(contract, frame)
    try:
        return scorer.score(num, cat)
    except UnusableScoreError as error:
        return error.scores


@dataclass(frozen=True)
class _Refusal:
    possibility: Possibility
    came: str


def _unusable(
    parts: list[list[Possibility]], exported: list[np.ndarray], rows: int, contract: ServingContract
) -> Iterator[_Refusal]:
    for part, scores in zip(parts, exported, strict=True):
        for possibility, own in zip(part, scores.reshape(-1, rows, *scores.shape[1:]), strict=True):
            usable = np.isfinite(own) & (np.abs(own) <= LARGEST_VALUE)
            if contract.is_classification or contract.is_multiclass:
                usable &= (own >= 0) & (own <= 1)
            if contract.is_multiclass:
                with np.errstate(invalid="ignore"):
                    usable = usable.all(axis=1) & (np.abs(own.sum(axis=1) - 1) <= SUM_TOLERANCE)
            if not usable.all():
                first = own[~usable][0]
                told = f"{first:g}" if np.ndim(first) == 0 else str([float(f"{chance:g}") for chance in first])
                yield _Refusal(
                    possibility, f"the model answers {told} in {(~usable).sum()} of {number_of(rows, 'row')}"
                )


def _trained(
    trained_scores: Callable[[pd.DataFrame], np.ndarray],
    part: list[Possibility],
    base: pd.DataFrame,
    contract: ServingContract,
    features: pd.DataFrame,
) -> np.ndarray:
    try:
        return trained_scores(laid_into(base, part))
    except Exception as error:  # the estimator's own refusal, of whatever class
        if len(part) > 1:
            halves = part[: len(part) // 2], part[len(part) // 2 :]
            return np.concatenate([_trained(trained_scores, h, base, contract, features) for h in halves])
        line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        came = f"the trained model raises {type(error).__name__}: {line}, so the exported scores can't be verified"
        _refuse([_Refusal(part[0], came)], contract, features)
        raise AssertionError("unreachable: a refusal raises") from error


def _largest_difference(
    part: list[Possibility], base: pd.DataFrame, trained: np.ndarray, exported: np.ndarray
) -> float:
    """Largest absolute difference; several numbers at their limits may cancel each other out, and are not compared."""
    rows, largest, allowed = len(base), 0.0, tolerance_for(trained)
    trained = trained.astype(np.float64)
    for index, possibility in enumerate(part):
        if possibility.kind == "together":
            continue
        ours, theirs = (scores[index * rows : (index + 1) * rows] for scores in (exported, trained))
        # Of several classes, one probability after another.
        ours, theirs = ours.ravel(), theirs.ravel()
        difference = np.abs(theirs - ours)
        worst = int((difference / np.maximum(1.0, np.abs(theirs))).argmax())
        # Written so that NaN, which is neither above nor below, is no agreement.
        if not difference[worst] / max(1.0, abs(theirs[worst])) <= allowed:
            raise ProbeError(
                f"the exported model differs from the trained one for {possibility.shown}: trained "
                f"{float(theirs[worst])!r}, exported {float(ours[worst])!r} (allowed is {allowed:g})"
            )
        largest = max(largest, float(difference.max()))
    return largest


def _refuse(refusals: Iterator[_Refusal] | list[_Refusal], contract: ServingContract, features: pd.DataFrame) -> None:
    found = list(refusals)
    # What one feature does alone explains what it does together with others.
    alone = {r.possibility.feature for r in found} - {""}
    found = [r for r in found if r.possibility.feature or alone.isdisjoint(r.possibility.values)]
    if not found:
        return
    lines = [f"{r.possibility.shown}: {r.came}. {_remedy(r.possibility, contract, features)}" for r in found[:SHOWN]]
    more = f"\n(and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    raise ProbeError("the declaration allows rows for which the model has no score:\n" + "\n".join(lines) + more)


def _remedy(possibility: Possibility, contract: ServingContract, features: pd.DataFrame) -> str:
    name, kind = possibility.feature, possibility.kind
    number = any(isinstance(f, NumberField) and f.name == name for f in contract.numbers)
    if kind == "missing" and number:
        had = int(features[name].isna().sum())
        return f"{_had(had, len(features))} Put a SimpleImputer before the model, or declare {name!r} missing: refuse."
    if kind == "missing":
        had = int((features[name] == "").sum())
        return f"{_had(had, len(features))} Give its encoder a value for the empty string, or declare missing: refuse."
    if kind in ("unseen", "longest"):
        return (
            f"Give the encoder of {name!r} a value for unknown categories (OneHotEncoder(handle_unknown='ignore')), or "
            "declare its values and unseen: refuse."
        )
    if kind == "value":
        return f"Train with rows that have it, or remove it from the values of {name!r}."
    if kind == "limit":
        return f"Declare the real limits of {name!r}, or scale it."
    if kind == "unlimited":
        return f"Declare a min and a max for {name!r}, or scale it."
    if kind == "mixed":
        return "Let the model handle these values together, or declare missing: refuse or unseen: refuse."
    if kind == "together":
        return "Declare limits, or missing: refuse, for values that cannot occur together."
    return "Some training rows have no score: check the training script."


def _had(count: int, rows: int) -> str:
    return f"{count or 'None'} of the {rows} training rows had it."
