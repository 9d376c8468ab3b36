"""What could be done about what a champion loses, cheapest first, each with expected gain, cost and reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.documents.investment import RemedyDocument, RemedyName
from everloop.documents.probe import ProbeDocument
from everloop.evaluation.money import best_threshold
from everloop.numbers_of import number_of
from everloop.recalibration.declared import declared_groups
from everloop.retraining.investment import Facts, Investment, leads
from everloop.retraining.probe.serving import Serving, own_rows
from everloop.retraining.probe.spans import losses_by_span
from everloop.retraining.probe.warm import both_losses, warm_lead
from everloop.retraining.probe.worth import Worth

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

RECENT_WINDOWS = 4
"""Newest windows over which a probe of recent rows is compared with that of all."""

NOTED_DISTANCE = 0.005
"""Of the declared threshold from the one that costs least."""


def remedies(
    declaration: ModelDeclaration,
    worth: Worth,
    facts: Facts,
    decided: Investment,
    documents: Sequence[ProbeDocument],
    raw_less_served: float | None,
    serving: Serving,
) -> list[RemedyDocument]:
    """The table.

    Parameters
    ----------
    serving : Serving
        The champion, and which versions may come back.
    documents : sequence of ProbeDocument
        Of the labelled windows, the newest one last.
    raw_less_served : float or None
        What a row lost less because its score was recalibrated.
    """
    newest = documents[-1]
    older = _older_version(worth, newest, decided, serving)
    return [
        _recalibrate(declaration, worth, raw_less_served),
        _threshold(declaration, worth, newest),
        older,
        _retrain(facts, decided),
        _retrain_on_window(declaration, worth, facts, documents),
        _warm_start(declaration, worth, facts, decided, documents),
    ]


def _recalibrate(declaration: ModelDeclaration, worth: Worth, saved: float | None) -> RemedyDocument:
    if declaration.recalibration is None:
        reason = "recalibration: none is declared, so raw scores are served."
        return {"remedy": "recalibrate", "gain": None, "cost": 0.0, "proposed": False, "reason": reason}
    reason = "Done at every window with labels; the champion's loss here is what remains after it."
    by = declared_groups(declaration)
    if by is not None:
        reason += (
            f" The champion's is by {by.feature}. Probes and older versions are recalibrated for all rows together,"
            " so what groups gain counts for the champion."
        )
    # It is known per row and in the metric; in money nobody counted it.
    gain = None if worth.money or saved is None else saved
    return {"remedy": "recalibrate", "gain": gain, "cost": 0.0, "proposed": False, "reason": reason}


def _threshold(declaration: ModelDeclaration, worth: Worth, newest: ProbeDocument) -> RemedyDocument:
    best = best_threshold(declaration.problem.value)
    if declaration.problem.type != "binary_classification" or best is None:
        reason = "problem.value gives no prices of right and wrong decisions, so no best threshold can be computed."
        return {"remedy": "threshold", "gain": None, "cost": None, "proposed": False, "reason": reason}
    declared = declaration.serving.threshold
    if abs(best - declared) <= NOTED_DISTANCE:
        reason = f"serving.threshold is {declared:g}, which costs least at the prices of problem.value."
        return {"remedy": "threshold", "gain": 0.0, "cost": 0.0, "proposed": False, "reason": reason}
    reason = (
        f"At the prices of problem.value, a threshold of {best:.2f} costs least; serving.threshold is {declared:g}."
    )
    own, gain = newest["champion"], None
    if worth.money and own is not None and own["best_threshold_money"] is not None:
        now = worth.of_window(own["losses"], own["rows"], newest)
        then = worth.of_window({"loss": [], "money": own["best_threshold_money"]}, own["rows"], newest)
        gain = now - then
        reason += f" In the newest labelled window that would have saved {gain:.3g} {worth.unit}; declare it to use it."
    proposed = gain is not None and gain > 0
    return {"remedy": "threshold", "gain": gain, "cost": 0.0, "proposed": proposed, "reason": reason}


def _older_version(worth: Worth, newest: ProbeDocument, decided: Investment, serving: Serving) -> RemedyDocument:
    own = own_rows(newest, serving.version)
    if own is None:
        return _not_known("older_version", f"Version {serving.version} answered less than half of the newest window.")
    scored = [version for version in own["versions"] if version["version"] in serving.restorable]
    if not scored:
        reason = "No other version that has served, and may come back, was scored on the newest labelled window."
        return _not_known("older_version", reason)
    champion = np.array(worth.by_day(own["losses"], own["rows"], newest))
    less = {v["version"]: champion - np.array(worth.by_day(v["losses"], own["rows"], newest)) for v in scored}
    sure = {version: leads(days) for version, days in less.items()}
    best = max(less, key=lambda version: (sure[version], float(less[version].sum())))
    gain = float(less[best].sum())
    if not sure[best]:
        told, rest = ("less", "which may be chance") if gain > 0 else ("more", "and no other did better")
        reason = (
            f"Version {best} would have lost {abs(gain):.3g} {worth.unit} {told} in the newest labelled window, {rest}."
        )
        return {"remedy": "older_version", "gain": gain, "cost": 0.0, "proposed": False, "reason": reason}
    reason = (
        f"Version {best} would have lost {gain:.3g} {worth.unit} less than version {serving.version} in the newest "
        "labelled window, beyond chance."
    )
    return {
        "remedy": "older_version",
        "version": best,
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
    if declaration.data.training_spans:
        return _not_known("retrain_on_window", "Each training chooses its span by evidence: data.training_spans.")
    if days is None:
        reason = "Not measured: data.training_spans or retraining.investment.recent_days has probes trained that tell."
        return _not_known("retrain_on_window", reason)
    less = []
    for document in documents:
        by_span = losses_by_span(document)
        if None in by_span and days in by_span:
            of_all, of_recent = (
                np.array(worth.by_day(by_span[span], document["rows"], document)) for span in (None, days)
            )
            less.append(of_all - of_recent)
    known = less[-RECENT_WINDOWS:]
    if not known:
        return _not_known(
            "retrain_on_window", f"No probe of the newest {number_of(days, 'day')} alone has been measured yet."
        )
    saved, sure = float(np.concatenate(known).sum()) / len(known), leads(np.concatenate(known)) > 0
    told = f"{abs(saved):.3g} {worth.unit} a window {'less' if saved >= 0 else 'more'}"
    reason = (
        f"A probe of the newest {number_of(days, 'day')} alone lost {told} than one of all rows, over"
        f" {number_of(len(known), 'window')}{', significantly: declare data.training_window_days' if sure else ''}."
    )
    return {"remedy": "retrain_on_window", "gain": saved, "cost": facts.cost, "proposed": sure, "reason": reason}


def _warm_start(
    declaration: ModelDeclaration, worth: Worth, facts: Facts, decided: Investment, documents: Sequence[ProbeDocument]
) -> RemedyDocument:
    """As a training is weighed, and what continuing saves beside it. Its cost is not known apart from a training's."""
    if declaration.training.warm_start is None:
        return _not_known("warm_start", "Not measured: training.warm_start declares it.")
    saved = [
        worth.of_window(both[0], d["rows"], d) - worth.of_window(both[1], d["rows"], d)
        for d, both in ((d, both_losses(d)) for d in documents)
        if both is not None
    ][-RECENT_WINDOWS:]
    left_out = next((why for what, why in documents[-1]["left_out"].items() if what.startswith("warm start")), None)
    not_in_the_newest = f"Not measured in the newest window: {left_out.rstrip('.')}." if left_out else ""
    if not saved:
        return _not_known("warm_start", not_in_the_newest or "No warm start has been measured yet.")
    mean, sure = math.fsum(saved) / len(saved), warm_lead(documents).is_sure()
    told = f"{abs(mean):.3g} {worth.unit} {'less' if mean >= 0 else 'more'}"
    reason = (
        f"What served, continued with newer rows, would have lost {told} than a new model, on average over"
        f" {number_of(len(saved), 'window')}{', beyond chance: trainings are warm starts' if sure else ''}. Its jobs"
        " take less time; how much that saves is not measured."
    )
    if not_in_the_newest:
        # What older windows said goes on counting: who reads it has to know that it is of older ones.
        reason = f"{reason} {not_in_the_newest}"
    gain = decided.next_regret + mean
    return {
        "remedy": "warm_start",
        "gain": gain,
        "cost": facts.cost,
        "proposed": sure and decided.retrain,
        "reason": reason,
    }


def _not_known(remedy: RemedyName, reason: str) -> RemedyDocument:
    return {"remedy": remedy, "gain": None, "cost": None, "proposed": False, "reason": reason}
