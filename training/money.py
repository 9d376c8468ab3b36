"""What decisions by a candidate, the baseline and the champion cost on the test rows."""

from __future__ import annotations

import numpy as np

from everloop.documents.training import TrainingDocument
from everloop.evaluation.baselines import Answers
from everloop.evaluation.money import Pricing
from everloop.evaluation.report import Money, MoneyBesideChampion
from everloop.evaluation.significance import paired_difference
from everloop.evaluation.threshold_report import ThresholdChoice
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from everloop.training.held_groups import groups_of


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
    candidate : ndarray, shape (rows,), or (rows, classes) of several classes
        Its scores of the rows of ``test``.
    baseline : Answers
        To the same rows; decisions of its own are taken as they are.
    beside, beside_as_served : MoneyBesideChampion or None
        What :func:`money_beside` says of the champion, by raw scores and by served ones.
    """
    pricing, groups = Pricing.of(declaration), groups_of(declaration, test)
    ours = pricing.estimate(test.labels, candidate)
    if baseline.acts is None:
        rule = pricing.estimate(test.labels, baseline.scores)
    else:
        rule = pricing.estimate_of_decisions(test.labels, baseline.acts)
    best = pricing.best
    at_best = None if best is None else best.cost(best.estimate(test.labels, candidate), test.days, groups)
    return Money(
        currency=declaration.problem.value.currency,
        threshold=pricing.threshold,
        candidate=pricing.cost(ours, test.days, groups),
        baseline=pricing.cost(rule, test.days, groups),
        paired_baseline=paired_difference(ours, rule, test.days, groups),
        best_threshold=None if best is None else best.threshold,
        candidate_at_best=at_best,
        champion=beside,
        as_served=beside_as_served,
        decisions=pricing.decisions,
    )


def money_beside(
    declaration: ModelDeclaration, rows: Split, candidate: np.ndarray, champion: np.ndarray
) -> MoneyBesideChampion:
    """What both cost on the rows that the champion has not learned from."""
    pricing, groups = Pricing.of(declaration), groups_of(declaration, rows)
    ours, theirs = pricing.estimate(rows.labels, candidate), pricing.estimate(rows.labels, champion)
    return MoneyBesideChampion(
        pricing.cost(ours, rows.days, groups),
        pricing.cost(theirs, rows.days, groups),
        paired_difference(ours, theirs, rows.days, groups),
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
