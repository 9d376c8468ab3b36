"""The threshold that prices make: from which chance on acting costs less than not acting.

References
----------
C. Elkan, "The foundations of cost-sensitive learning", IJCAI 17 (2001).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

FROM_COSTS = "from_costs"
"""What ``serving.threshold`` says in place of a number."""

ALLOWED = (
    "a number between 0 and 1, or from_costs with the prices of a binary_classification under problem.value:"
    " false_positive_cost, and false_negative_cost or true_positive_value"
)


def threshold_of_prices(false_positive: float, false_negative: float, true_positive: float) -> float | None:
    """The probability from which acting costs less than not acting, where scores are calibrated; None without costs.

    Acting on a row that is positive with probability p saves ``p`` times the cost of missing it and the value of
    finding it; it costs ``1 - p`` times that of a false alarm.
    """
    gain = false_negative + true_positive
    total = gain + false_positive
    return false_positive / total if total > 0 else None


def with_threshold(document: Any) -> Any:
    """The document of a declaration, with the number in place of ``from_costs``; as it is where prices give none."""
    serving, problem = (document.get(key) if isinstance(document, Mapping) else None for key in ("serving", "problem"))
    if not isinstance(serving, Mapping) or serving.get("threshold") != FROM_COSTS:
        return document
    value = problem.get("value") if isinstance(problem, Mapping) else None
    if not isinstance(problem, Mapping) or not isinstance(value, Mapping):
        return document
    if problem.get("type") != "binary_classification":
        return document
    prices = [
        value.get(f"{name}", 0.0) for name in ("false_positive_cost", "false_negative_cost", "true_positive_value")
    ]
    if not all(_is_price(price) for price in prices):
        return document
    found = threshold_of_prices(*map(float, prices))
    # At 0 or 1 always, or never, acting costs least: the prices are incomplete, and that is told of them.
    if found is None or not 0 < found < 1:
        return document
    return {**document, "serving": {**serving, "threshold": found}}


def _is_price(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def number_only(value: Any) -> Any:
    """Refuses a text that is still there when the threshold is read.

    Raises
    ------
    ValueError
        With what is allowed.
    """
    if isinstance(value, str):
        raise ValueError(ALLOWED)
    return value
