"""What could be done about what a champion loses, cheapest first, each with expected gain, cost and reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.documents.investment import RemedyDocument, RemedyName
from everloop.documents.probe import ProbeDocument
from everloop.numbers_of import number_of
from everloop.retraining.backtest.money import best_threshold
from everloop.retraining.investment import Facts, Investment, leads
from everloop.retraining.probe.worth import Worth

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

RECENT_WINDOWS = 4
"""Newest windows over which a probe of recent rows is held against that of all."""

NOTED_DISTANCE = 0.005
"""Of the declared threshold from the one that costs least."""


def remedies(
    declaration: ModelDeclaration,
    worth: Worth,
    facts: Facts,
    decided: Investment,
    documents: Sequence[ProbeDocument],
    raw_less_served: float | None,
) -> list[RemedyDocument]:
    """The table.

    Parameters
    ----------
    documents : sequence of ProbeDocument
        Of the labelled windows, the newest one last.
    raw_less_served : float or None
        What a row lost less because its score was recalibrated.
    """
    newest = documents[-1]
    older = _older_version(worth, newest, decided)
    return [
        _recalibrate(declaration, worth, raw_less_served),
        _threshold(declaration, worth, newest),
        older,
        _retrain(facts, decided),
        _retrain_on_window(declaration, worth, facts, documents),
        _not_known("warm_start", "Not there: train() gets rows, and no earlier model to start from."),
    ]


def _recalibrate(declaration: ModelDeclaration, worth: Worth, saved: float | None) -> RemedyDocument:
    if declaration.recalibration is None:
        reason = "recalibration: none is declared, so that scores stay as the model says them."
        return {"remedy": "recalibrate", "gain": None, "cost": 0.0, "proposed": False, "reason": reason}
    reason = "Done at every window with labels; what the champion lost here is what was left after it."
    # It is known per row and in the metric; in money nobody counted it.
    gain = None if worth.money or saved is None else saved
    return {"remedy": "recalibrate", "gain": gain, "cost": 0.0, "proposed": False, "reason": reason}


def _threshold(declaration: ModelDeclaration, worth: Worth, newest: ProbeDocument) -> RemedyDocument:
    best = best_threshold(declaration.problem.value)
    if declaration.problem.type != "binary_classification" or best is None:
        reason = "problem.value gives no prices of right and wrong decisions, from which a threshold would follow."
        return {"remedy": "threshold", "gain": None, "cost": None, "proposed": False, "reason": reason}
    declared = declaration.serving.threshold
    if abs(best - declared) <= NOTED_DISTANCE:
        reason = f"serving.threshold is {declared:g}, which costs least by problem.value."
        return {"remedy": "threshold", "gain": 0.0, "cost": 0.0, "proposed": False, "reason": reason}
    reason = f"By problem.value, acting from {best:.2f} on costs least; serving.threshold is {declared:g}."
    own, gain = newest["champion"], None
    if worth.money and own is not None and own["best_threshold_money"] is not None:
        now = worth.of_window(own["losses"], own["rows"], newest)
        then = worth.of_window({"loss": [], "money": own["best_threshold_money"]}, own["rows"], newest)
        gain = now - then
        reason += (
            f" In the newest labelled window that would have saved {gain:.3g} {worth.unit}; declare it to have it."
        )
    proposed = gain is not None and gain > 0
    return {"remedy": "threshold", "gain": gain, "cost": 0.0, "proposed": proposed, "reason": reason}


def _older_version(worth: Worth, newest: ProbeDocument, decided: Investment) -> RemedyDocument:
    own = newest["champion"]
    if own is None or not own["versions"]:
        reason = "No older version that has served was scored on the newest labelled window."
        return {"remedy": "older_version", "gain": None, "cost": None, "proposed": False, "reason": reason}
    champion = np.array(worth.by_day(own["losses"], own["rows"], newest))
    less = {v["version"]: champion - np.array(worth.by_day(v["losses"], own["rows"], newest)) for v in own["versions"]}
    sure = {version: leads(days) for version, days in less.items()}
    best = max(less, key=lambda version: (sure[version], float(less[version].sum())))
    gain = float(less[best].sum())
    if not sure[best]:
        told, rest = ("less", "which may be chance") if gain > 0 else ("more", "and no other did better")
        reason = (
            f"Version {best}, as it was registered, would have lost {abs(gain):.3g} {worth.unit} {told} in the newest "
            f"labelled window, {rest}."
        )
        return {"remedy": "older_version", "gain": gain, "cost": 0.0, "proposed": False, "reason": reason}
    reason = f"Version {best} would have lost {gain:.3g} {worth.unit} less in the newest labelled window."
    return {
        "remedy": "older_version",
        "gain": gain,
        "cost": 0.0,
        # A training is better than any of them where it pays.
        "proposed": not decided.retrain,
        "reason": reason,
    }


def _retrain(facts: Facts, decided: Investment) -> RemedyDocument:
    gain = decided.next_regret
    reason = (
        f"A new model would save {gain:.3g} {facts.unit} in the next window; the best cycle of trainings costs "
        f"{decided.rate:.3g} a window."
    )
    return {"remedy": "retrain", "gain": gain, "cost": facts.cost, "proposed": decided.retrain, "reason": reason}


def _retrain_on_window(
    declaration: ModelDeclaration, worth: Worth, facts: Facts, documents: Sequence[ProbeDocument]
) -> RemedyDocument:
    """Held over the newest windows, by days: one window of one kind is no evidence for a shorter memory."""
    investment = declaration.retraining.investment
    days = None if investment is None else investment.recent_days
    if days is None:
        reason = "Not measured: retraining.investment.recent_days has a second probe trained that tells."
        return _not_known("retrain_on_window", reason)
    less = []
    for document in documents:
        recent = document["recent"]
        if recent is not None and recent["days"] == days:
            of_all, of_recent = (
                np.array(worth.by_day(losses, document["rows"], document))
                for losses in (document["fresh"], recent["losses"])
            )
            less.append(of_all - of_recent)
    known = less[-RECENT_WINDOWS:]
    if not known:
        return _not_known(
            "retrain_on_window", f"No probe of the newest {number_of(days, 'day')} alone was measured yet."
        )
    saved, sure = float(np.concatenate(known).sum()) / len(known), leads(np.concatenate(known)) > 0
    told = f"{abs(saved):.3g} {worth.unit} a window {'less' if saved >= 0 else 'more'}"
    reason = (
        f"A probe of the newest {number_of(days, 'day')} alone lost {told} than one of all rows, over "
        f"{number_of(len(known), 'window')}"
        f"{', beyond chance: declare data.training_window_days' if sure else ''}."
    )
    return {"remedy": "retrain_on_window", "gain": saved, "cost": facts.cost, "proposed": sure, "reason": reason}


def _not_known(remedy: RemedyName, reason: str) -> RemedyDocument:
    return {"remedy": remedy, "gain": None, "cost": None, "proposed": False, "reason": reason}
