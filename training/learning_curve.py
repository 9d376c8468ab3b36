"""Learns the model from fewer rows, to see whether more would help.

The newest fifth of the training days validates. Of the rows before, the models learn from a half, a quarter and so on,
drawn with the seed, each the half of the one before. The test rows are not in the job with their labels.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.evaluation.learning_report import LearningCurve, LearningPoint
from everloop.evaluation.metrics import Estimate, estimate
from everloop.evaluation.money import cheapest_threshold
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.training.channels import Split
from everloop.training.exceptions import UserScriptError
from everloop.training.onnx_export import trained_scores
from everloop.training.user_script import run_user_script

VALIDATION = 0.2
"""Share of the training days, the newest."""

FEWEST_OF_A_CLASS = 10
FEWEST_ROWS = 30

logger = logging.getLogger("everloop.training")


def learning_curve(declaration: ModelDeclaration, folder: Path, train: Split) -> LearningCurve | None:
    """The curve that ``training.learning_curve`` asks for; None where it asks for none.

    Parameters
    ----------
    folder : Path
        The model's folder, with its script.
    train : Split
        The rows that the candidate learns from.
    """
    count = declaration.training.learning_curve
    if count is None:
        return None
    metric, every = declaration.gate.metric, np.unique(train.days)
    newest = train.days > every[max(0, len(every) - 1 - max(1, round(VALIDATION * len(every))))]
    if len(every) < 2:
        return LearningCurve(metric, 0, (), None, None, None, ("all training rows are of one day",))
    held = HeldGroups.of(declaration)
    apart = None if held is None else held_rows(held.for_validation(), train.features[held.column])
    judged, learned_from = newest, ~newest
    if apart is not None:
        judged, learned_from = newest & apart, ~newest & ~apart
    if not judged.any() or not learned_from.any():
        lacking = "no training row is left for validation, or none to learn from, with groups held out"
        return LearningCurve(metric, 0, (), None, None, None, (lacking,))
    validation, before = train.only(judged), train.only(learned_from)
    order = np.random.default_rng(declaration.training.seed).permutation(len(before))
    points: list[LearningPoint] = []
    found: list[tuple[int, Estimate]] = []
    left_out: list[str] = []
    threshold = None
    for halvings in reversed(range(count)):
        rows = len(before) >> halvings
        chosen = np.zeros(len(before), dtype=bool)
        chosen[order[:rows]] = True
        made = _loss(declaration, folder, before, chosen, validation)
        if isinstance(made, str):
            left_out.append(f"from {number_of(rows, 'row')}: {made}")
            continue
        learned, scores = made
        value = metric_value(learned, validation.days)
        points.append(LearningPoint(rows, learned.value, value.low, value.high))
        found.append((halvings, learned))
        if not halvings and declaration.problem.type == "binary_classification":
            threshold = cheapest_threshold(validation.labels, scores, declaration.problem.value)
        logger.info("learned from %d rows: %s %.4f on %d later ones", rows, metric, learned.value, len(validation))
    change = low = high = None
    if [halvings for halvings, _ in found[-2:]] == [1, 0]:
        difference = paired_difference(found[-1][1], found[-2][1], validation.days)
        change, low, high = difference.difference, difference.low, difference.high
    return LearningCurve(metric, len(validation), tuple(points), change, low, high, tuple(left_out), threshold)


def _loss(
    declaration: ModelDeclaration, folder: Path, before: Split, chosen: np.ndarray, validation: Split
) -> tuple[Estimate, np.ndarray] | str:
    """The loss of the model that learns from the chosen rows, with its scores, or why there is none."""
    if chosen.sum() < FEWEST_ROWS:
        return f"fewer than {FEWEST_ROWS}"
    part, problem_type = before.only(chosen), declaration.problem.type
    if problem_type == "binary_classification":
        ones = int(part.labels.sum())
        if min(ones, len(part) - ones) < FEWEST_OF_A_CLASS:
            return f"fewer than {FEWEST_OF_A_CLASS} of a class"
    try:
        scores = trained_scores(run_user_script(folder, declaration, part), validation.features, problem_type)
    except UserScriptError as error:
        return str(error).splitlines()[0]
    scores = scores.astype(np.float64)
    return estimate(declaration.gate.metric, validation.labels, scores), scores
