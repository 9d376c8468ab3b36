"""Several classes on the test rows: what was answered for which, and how sure it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.multiclass_report import ClassFacts, Multiclass
from everloop.problem_types import Class
from everloop.training.channels import Split


def likeliest(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row, 1 where its likeliest class came and else 0, and that class's probability; both float64 [rows].

    Whether the two agree is the confidence calibration of C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of
    modern neural networks", ICML 34 (2017).

    Parameters
    ----------
    labels : ndarray, shape (rows,)
        Places of classes.
    scores : ndarray, shape (rows, classes)
    """
    return (scores.argmax(axis=1) == labels).astype(np.float64), scores.max(axis=1)


def multiclass_of(
    classes: Sequence[Class] | None,
    test: Split,
    scores: np.ndarray,
    champion: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> Multiclass | None:
    """What a report says of each class; None where there are none.

    Parameters
    ----------
    champion : tuple or None
        Whose first entry says which test rows the champion is compared on, bool [rows].
    """
    if not classes:
        return None
    count, labels, answers = len(classes), test.labels, scores.argmax(axis=1)
    confusion = np.bincount(labels * count + answers, minlength=count * count).reshape(count, count)
    facts = tuple(
        ClassFacts(
            name=str(name),
            rows=int(confusion[place].sum()),
            days=len(np.unique(test.days[labels == place])),
            answered=int(confusion[:, place].sum()),
            right=int(confusion[place, place]),
            mean_probability=float(scores[:, place].mean()),
        )
        for place, name in enumerate(classes)
    )
    compared = None if champion is None else int(np.bincount(labels[champion[0]], minlength=count).min())
    return Multiclass(facts, tuple(tuple(row) for row in confusion.tolist()), compared)
