"""Counts of several classes in process, by the same rules as the query in :mod:`everloop.monitoring.profile_query`.

A window keeps the share of each class among the answers, and of its labelled rows how the likeliest class fared: as an
outcome of two kinds, that it came or did not, beside the probability that it was said to have. So the level of a window
is accuracy beside what the model said of it, and all that is known of a probability and an outcome holds. The loss
is the gate's, over all classes.

References
----------
C. Gupta, A. Ramdas, "Top-label calibration and multiclass-to-binary reductions", ICLR (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from everloop.evaluation.multiclass_metrics import losses
from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.counting import count, count_outcomes
from everloop.monitoring.profile import Outcomes
from everloop.problem_types import Class


def class_bins(classes: Sequence[Class]) -> CategoryBins:
    """A bin for each class, in the declared order."""
    return CategoryBins(tuple(map(str, classes)))


def answered(classes: Sequence[Class], scores: np.ndarray) -> list[str]:
    """The name of the likeliest class of each row of scores [rows, classes]."""
    return [str(classes[place]) for place in scores.argmax(axis=1).tolist()]


def class_outcomes(classes: Sequence[Class], scores: np.ndarray, labels: np.ndarray, *, metric: str) -> Outcomes:
    """The sums over labelled rows.

    Parameters
    ----------
    scores : float64 array, shape (rows, classes)
    labels : array, shape (rows,)
        Places of classes.
    metric : str
        The gate's.
    """
    bins, places = class_bins(classes), scores.argmax(axis=1)
    came = (places == labels).astype(np.float64)
    sums = count_outcomes(None, scores.max(axis=1), came, metric="log_loss", classification=True)
    each = losses(metric, labels, scores) if len(labels) else np.zeros(0)
    ones, zeros = (count(bins, answered(classes, scores[came == kind])).counts for kind in (1, 0))
    return replace(sums, loss=float(each.sum()), loss_squares=float((each**2).sum()), ones=ones, zeros=zeros)
