"""What decisions cost, as lines for people."""

from __future__ import annotations

from everloop.documents.money import MoneyDocument
from everloop.documents.window import WindowMoneyDocument
from everloop.evaluation.money_gate import DECIDED, told_cost
from everloop.numbers_of import number_of


def money_sentence(money: MoneyDocument) -> str:
    """What 1,000 decisions cost by the evaluation, in a line."""
    return f"1,000 decisions cost {'; '.join(f'{cost} {who}' for who, cost in costs_of(money))}"


def window_money_sentence(money: WindowMoneyDocument) -> str:
    """What 1,000 decisions cost in the latest labelled windows, in a line."""
    said = told_cost(money["champion"], money["currency"])
    told = f"1,000 decisions cost {said}, on {money['rows']:,} rows of {number_of(money['windows'], 'window')}"
    if money["nobody"] is None or money["everybody"] is None:
        return told
    return (
        f"{told}; acting on nobody {money['nobody']:,.2f} {money['currency']}, on everybody {money['everybody']:,.2f}"
        f" {money['currency']}"
    )


def costs_of(money: MoneyDocument) -> list[tuple[str, str]]:
    """Whose decisions cost what, with intervals: one pair for each."""
    currency, beside = money["currency"], money["beside_champion"]
    found = [
        ("with this version", told_cost(money["candidate"], currency)),
        ("with the baseline", told_cost(money["baseline"], currency)),
    ]
    if beside is not None:
        by = " as served" if beside["scores"] == "served" else ""
        rows = f"on {beside['rows']:,} rows{by}"
        found += [
            (f"with this version {rows}", told_cost(beside["candidate"], currency)),
            (f"with version {beside['version']} {rows}", told_cost(beside["champion"], currency)),
        ]
    best, at_best = money["best_threshold"], money["candidate_at_best"]
    if best is not None and at_best is not None and best != money["threshold"]:
        found.append((f"with this version acting from {best:.3g} on", told_cost(at_best, currency)))
    if money.get("decisions") == "likeliest" and at_best is not None:
        found.append((f"with this version deciding by {DECIDED['least_cost']}", told_cost(at_best, currency)))
    return found
