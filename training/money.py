"""What decisions by a candidate, the baseline and the champion cost on the test rows."""

from __future__ import annotations

import numpy as np

from everloop.documents.training import TrainingDocument
from everloop.evaluation.baselines import Answers
from everloop.evaluation.money import Pricing
from everloop.evaluation.report import Money, MoneyBesideChampion
from everloop.evaluation.significance import paired_difference
from everloop.evaluation.threshold_report import ThresholdChoice
from everloop.model_file import ModelDeclaration
from everloop.training.channels import Split


def money_of(
    declaration: ModelDeclaration,
    test: Split,
    candidate: np.ndarray,
    baseline: Answers,
    *,
    beside: MoneyBesideChampion | None,
    beside_as_served: MoneyBesideChampion | None,
) -> Money:
    """The money of a report.

    Parameters
    ----------
    candidate : ndarray, shape (rows,)
        Its scores of the rows of ``test``.
    baseline : Answers
        To the same rows; decisions of its own are taken as they are.
    beside, beside_as_served : MoneyBesideChampion or None
        What :func:`money_beside` says of the champion, by raw scores and by served ones.
    """
    pricing = Pricing.of(declaration)
    ours = pricing.estimate(test.labels, candidate)
    if baseline.acts is None:
        rule = pricing.estimate(test.labels, baseline.scores)
    else:
        rule = pricing.estimate_of_decisions(test.labels, baseline.acts)
    best = pricing.best
    at_best = None if best is None else best.cost(best.estimate(test.labels, candidate), test.days)
    return Money(
        currency=declaration.problem.value.currency,
        threshold=pricing.threshold,
        candidate=pricing.cost(ours, test.days),
        baseline=pricing.cost(rule, test.days),
        paired_baseline=paired_difference(ours, rule, test.days),
        best_threshold=None if best is None else best.threshold,
        candidate_at_best=at_best,
        champion=beside,
        as_served=beside_as_served,
    )


def money_beside(
    declaration: ModelDeclaration, rows: Split, candidate: np.ndarray, champion: np.ndarray
) -> MoneyBesideChampion:
    """What both cost on the rows that the champion has not learned from."""
    pricing = Pricing.of(declaration)
    ours, theirs = pricing.estimate(rows.labels, candidate), pricing.estimate(rows.labels, champion)
    return MoneyBesideChampion(
        pricing.cost(ours, rows.days), pricing.cost(theirs, rows.days), paired_difference(ours, theirs, rows.days)
    )


def threshold_choice_in(
    declaration: ModelDeclaration, training: TrainingDocument, test: Split, candidate: np.ndarray
) -> ThresholdChoice | None:
    """The threshold that the training job found cheapest, beside the one that serves; None where it found none."""
    curve, pricing = training.get("learning_curve"), Pricing.of(declaration)
    if curve is None or curve.threshold is None or pricing.threshold is None:
        return None
    chosen = Pricing(pricing.value, curve.threshold)
    difference = paired_difference(
        chosen.estimate(test.labels, candidate), pricing.estimate(test.labels, candidate), test.days
    )
    return ThresholdChoice(pricing.threshold, curve.threshold, curve.validation_rows, difference)
