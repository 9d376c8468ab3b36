"""The disturbances that people are shown: of each kind those that hurt most."""

from __future__ import annotations

from everloop.evaluation.robustness_report import KINDS, Disturbance, Robustness

MOST_SHOWN = 4
"""Of a kind."""

HEADERS = ["change", "loss", "score moves by", "another decision", "refused by the contract"]


def disturbed(found: Robustness) -> list[list[str]]:
    """A row of texts for each of them, below :data:`HEADERS`."""
    rows = []
    for kind in KINDS:
        ordered = sorted((one for one in found.disturbances if one.kind == kind), key=_increase, reverse=True)
        rows += [_row(one) for one in ordered[:MOST_SHOWN]]
    return rows


def _increase(one: Disturbance) -> float:
    return float("-inf") if one.increase is None else one.increase


def _row(one: Disturbance) -> list[str]:
    refused = f"{100 * one.refused:.3g}%" if one.refused else ""
    if one.unanswered:
        refused += f"{'; ' if refused else ''}no score for {100 * one.unanswered:.3g}%"
    if one.increase is None or one.moved is None:
        return [one.told, "", "", "", refused]
    interval = "" if one.low is None or one.high is None else f" ({one.low:+.3g} to {one.high:+.3g})"
    flipped = "" if one.flipped is None else f"{100 * one.flipped:.3g}%"
    return [one.told, f"{one.increase:+.3g}{interval}", f"{one.moved:.3g}", flipped, refused]
