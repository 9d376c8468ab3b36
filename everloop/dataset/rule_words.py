"""The rules that each row keeps for itself, in words: they are told alike whoever counted the rows that break them."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "missing, and required"
NOT_FINITE = "not a finite number"
CONTROL_CHARACTER = "a string with a control character"
NOTHING_SEEN = "a string without any visible character"
DUPLICATE_KEY = "the key of an earlier row; each key must be unique"


def out_of_range(low: float | None, high: float | None) -> str:
    """The rule of a number between inclusive limits."""
    return f"out of range: allowed is {number_range(low, high)}"


def number_range(low: float | None, high: float | None) -> str:
    """The range in words, e.g. ``from 0 to 5000``."""
    return " ".join(f"{word} {limit:g}" for word, limit in (("from", low), ("to", high)) if limit is not None)


def too_long(limit: int) -> str:
    """The rule of a text's length."""
    return f"longer than {limit} characters"


def not_allowed(values: Sequence[str]) -> str:
    """The rule of a category with declared values."""
    return f"not one of the allowed values {', '.join(values[:10])}"


def not_binary(there: Sequence[float]) -> str:
    """The rule for labels that are neither 0 nor 1, with what to write instead of those that are there.

    Parameters
    ----------
    there : sequence of float
        The finite values among the labels, in rising order; no more than three are looked at.
    """
    shown = [f"{value:g}" for value in there[:3]]
    if len(shown) > 2:
        return (
            "neither 0 nor 1; write 1 for the outcome that is predicted and 0 for all others, or declare "
            "problem.type: regression if it is a quantity"
        )
    if len(shown) < 2:
        return "neither 0 nor 1; write 1 for the outcome that is predicted and 0 for all others"
    low, high = shown
    return f"neither 0 nor 1; write 1 for the outcome that is predicted (pandas: .map({{{low}: 0, {high}: 1}}))"


def no_class(classes: Sequence[object]) -> str:
    """The rule for labels that are none of the declared classes."""
    return f"not one of problem.classes: {', '.join(map(str, classes))}"


def in_rows(count: int, rule: str) -> str:
    """That so many rows break a rule."""
    return f"in {count} {'row' if count == 1 else 'rows'} it is {rule}"
