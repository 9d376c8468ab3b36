"""The gate in money: what decisions cost, told with every verdict, and judged where ``gate.money`` is declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.documents.money import CostDocument, MoneyDocument
from everloop.evaluation.compared import Terms, better, not_worse, where_compared
from everloop.evaluation.report import COST, MetricValue, Money, MoneyBesideChampion, Report
from everloop.reasons import Reason, checked
from everloop.recalibration.declared import Scores

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate


DECIDED = {"likeliest": "the likeliest class", "least_cost": "least expected cost"}
"""How one of several classes is decided for, in words."""


def in_money(report: Report, policy: Gate, champion_version: int | None, scores: Scores) -> Iterator[Reason]:
    """What decisions cost, and whether that is what ``gate.money`` asks for."""
    money, asked = report.money, policy.money
    if money is not None:
        yield checked("money", True, _told(money, scores, judged=asked is not None))
    if asked is None:
        return
    if money is None:
        yield checked("money", False, "The report does not say what decisions cost, and gate.money is declared.")
        return
    terms = Terms(COST, policy.confidence, "cost of 1,000 decisions", "money_", f" {money.currency}")
    yield from better(terms, "baseline", money.paired_baseline, asked.baseline_margin)
    if champion_version is None or report.champion_rows == 0:
        # Without a champion there is nothing to compare with; without rows, the check of the rows says so already.
        return
    beside = compared_by(money, scores)
    judged = better if asked.policy == "better" else not_worse
    paired = None if beside is None else beside.paired
    yield from judged(terms, "champion", paired, asked.margin, where_compared(scores))


def compared_by(money: Money, scores: Scores) -> MoneyBesideChampion | None:
    """The comparison with the champion by the scores that decide."""
    return money.champion if scores == "raw" else money.as_served


def money_document(report: Report, scores: Scores) -> MoneyDocument | None:
    """The money of a report, as the registry keeps it beside the verdict; None where nothing is priced."""
    money = report.money
    if money is None:
        return None
    beside = compared_by(money, scores)
    found: MoneyDocument = {
        "currency": money.currency,
        "threshold": money.threshold,
        "rows": report.rows,
        "days": report.days,
        "candidate": _cost(money.candidate),
        "baseline": _cost(money.baseline),
        "best_threshold": money.best_threshold,
        "candidate_at_best": None if money.candidate_at_best is None else _cost(money.candidate_at_best),
        "beside_champion": None
        if beside is None or report.champion_version is None
        else {
            "version": report.champion_version,
            "rows": report.champion_rows or 0,
            "scores": scores,
            "candidate": _cost(beside.candidate),
            "champion": _cost(beside.champion),
        },
    }
    return {**found, "decisions": money.decisions} if money.decisions else found


def _cost(found: MetricValue) -> CostDocument:
    return {"value": found.value, "low": found.low, "high": found.high, "reason": found.reason}


def _told(money: Money, scores: Scores, *, judged: bool) -> str:
    """What 1,000 decisions cost, in one sentence or two."""
    acted = "" if money.threshold is None else f", acting from a score of {money.threshold:g} on,"
    if money.decisions:
        acted = f", by {DECIDED[money.decisions]},"
    told = (
        f"1,000 decisions{acted} cost {told_cost(_cost(money.candidate), money.currency)} with the candidate and"
        f" {told_cost(_cost(money.baseline), money.currency)} with the baseline."
    )
    beside = compared_by(money, scores)
    if beside is not None:
        told += (
            f" On the rows that the champion has not learned from{', as served' if scores == 'served' else ''}: "
            f"{told_cost(_cost(beside.candidate), money.currency)} with the candidate,"
            f" {told_cost(_cost(beside.champion), money.currency)} with the champion."
        )
    return told if judged else f"{told} It decides nothing, because gate.money is not declared."


def told_cost(found: CostDocument, currency: str) -> str:
    """A cost with its interval, in words: ``-12.50 USD (95%: -20.00 to -5.00)``."""
    if found["value"] is None:
        return f"an unknown amount ({found['reason']})"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:,.2f} {currency} (no interval: {found['reason']})"
    return f"{found['value']:,.2f} {currency} (95%: {found['low']:,.2f} to {found['high']:,.2f})"
