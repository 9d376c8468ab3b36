"""The gate in money: what decisions cost is told with every verdict, and decides where that is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.gate import decide
from everloop.evaluation.money_gate import money_document
from everloop.evaluation.report import Report
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import EXPECTED, labels_and_truth, policy, report_of

LABELS, TRUTH = labels_and_truth(1)
BLURRED = 0.5 * TRUTH + 0.5 * LABELS.mean()
COSTLY = np.where(TRUTH > 0.3, TRUTH, 0.6)
"""Nearly as good a forecast, which acts on many rows that it should leave alone."""


def reasons(report: Report, **gate: Any) -> dict[str, Reason]:
    return {r.code: r for r in decide(report, policy(**gate), EXPECTED).reasons}


def test_what_decisions_cost_is_told_though_it_decides_nothing() -> None:
    found = reasons(report_of(LABELS, COSTLY, TRUTH))["money"]
    assert found.passed
    assert found.sentence.startswith("1,000 decisions, acting from a score of 0.5 on, cost ")
    assert "EUR (95%: " in found.sentence
    assert found.sentence.endswith("It decides nothing, because gate.money is not declared.")


def test_a_candidate_passes_that_costs_less_than_both() -> None:
    found = reasons(report_of(LABELS, TRUTH, np.full(1000, 0.1)), money={"policy": "better"})
    assert found["money_better_than_baseline"].passed
    assert found["money_better_than_champion"].passed
    assert "It decides nothing" not in found["money"].sentence
    assert "EUR better; required is better at all." in found["money_better_than_champion"].sentence


@pytest.mark.parametrize("asked", ["better", "not_worse"])
def test_a_better_forecast_that_decides_at_a_higher_cost_is_refused(asked: str) -> None:
    report = report_of(LABELS, np.minimum(TRUTH, 0.49), TRUTH)
    found = reasons(report, policy="not_worse", margin=1.0, money={"policy": asked, "baseline_margin": 0.0})
    assert found["not_worse_than_champion"].passed
    assert found[f"money_{asked}_than_champion"].passed is False
    assert found["money_better_than_baseline"].passed is False


def test_a_margin_is_money() -> None:
    report = report_of(LABELS, TRUTH, TRUTH)
    assert reasons(report, policy="not_worse", money={"margin": 1.0})["money_not_worse_than_champion"].passed
    refused = reasons(report, policy="not_worse", money={"policy": "better", "margin": 5.0})
    assert refused["money_better_than_champion"].passed is False
    assert "required is better by more than 5 EUR." in refused["money_better_than_champion"].sentence


def test_the_first_champion_needs_to_be_worth_more_than_the_baseline() -> None:
    expected = replace(EXPECTED, champion_version=None)
    report = report_of(LABELS, TRUTH, None)
    codes = [r.code for r in decide(report, policy(money={}), expected).reasons if r.code.startswith("money_")]
    assert codes == ["money_better_than_baseline"]
    assert decide(report, policy(money={}), expected).passed


def test_a_report_without_money_is_refused_where_money_decides() -> None:
    silent = replace(report_of(LABELS, TRUTH, BLURRED), money=None)
    assert "money" not in reasons(silent)
    assert reasons(silent, money={})["money"].passed is False
    money = report_of(LABELS, TRUTH, BLURRED).money
    assert money is not None
    alone = replace(silent, money=replace(money, champion=None))
    found = reasons(alone, money={})["money_not_worse_than_champion"]
    assert found.passed is False
    assert "no comparison with the champion" in found.sentence


def test_the_document_beside_the_verdict_has_all_three() -> None:
    report = report_of(LABELS, TRUTH, BLURRED)
    document = money_document(Report.from_json(report.to_json()), "raw")
    assert document is not None
    assert document == money_document(report, "raw")
    assert (document["currency"], document["threshold"], document["rows"]) == ("EUR", 0.5, 1000)
    beside = document["beside_champion"]
    assert beside is not None
    assert beside["version"] == 3
    for cost in (document["candidate"], document["baseline"], beside["candidate"], beside["champion"]):
        assert cost["value"] is not None
        assert cost["low"] is not None
        assert cost["high"] is not None
        assert cost["low"] < cost["value"] < cost["high"]
    assert document["best_threshold"] == pytest.approx(4 / 36)
    assert money_document(replace(report, money=None), "raw") is None
