"""The kinds of problem that a model may have, and what an answer to each is.

The request path reads this, so nothing is imported that it does not have.
"""

from __future__ import annotations

from typing import Literal

ProblemType = Literal["binary_classification", "multiclass_classification", "regression"]

BINARY: ProblemType = "binary_classification"
"""A label is 0 or 1, and a score is the probability of 1."""

MULTICLASS: ProblemType = "multiclass_classification"
"""A label is one of the declared classes, three or more, and a score has a probability for each of them. Inside, a
class is its place among the declared ones, from 0: in the lake, in training, in the model. Its name is said at the
doors."""

REGRESSION: ProblemType = "regression"
"""A label is a number, and so is a score."""

PROBLEM_TYPES: tuple[ProblemType, ...] = (BINARY, MULTICLASS, REGRESSION)

Class = str | int
"""What a class is called."""

FEWEST_CLASSES, MOST_CLASSES = 3, 20
"""With two, declare binary_classification. Monitoring keeps a count for each class."""
