"""What a risk tier makes mandatory is there, or is said to be done elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.tiers import CONTROLS, TIERS, tier_table
from tests.helpers.declarations import as_yaml, binary_document, declare

ROOT = Path(__file__).resolve().parents[3]
OUTSIDE = {c.name: "The credit committee does it, and writes minutes." for c in CONTROLS if not c.built}
STANDARD: dict[str, Any] = {"affected": "Passengers with a booked seat"}
SOURCES = [{"name": "Ticket system", "licence": "Our own data"}]


def mistakes(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        declare(document)
    return {".".join(map(str, e["loc"])): str(e["ctx"]["error"]) for e in refused.value.errors()}


def high() -> dict[str, Any]:
    """A declaration that has all that the highest tier asks for."""
    document = binary_document(
        risk={"tier": "high", "done_outside": OUTSIDE},
        problem={**STANDARD, "acceptable_latency_ms": 1000},
        owner={"hand_overs": dict.fromkeys(("data", "labels", "promotion", "alerts", "retirement"), "The desk")},
        data={"sources": SOURCES},
        gate={"money": {}, "fairness": {"by": [{"by": "line"}], "max_selection_rate_gap": 0.3}},
        rollout={"bake_minutes": 1440, "shadow": {"minutes": 1440, "max_disagreement": 0.1}},
        recalibration="none",
    )
    for feature in document["data"]["features"]:
        feature["description"] = "What it is, in metres"
    return document


def test_a_light_model_needs_none_of_them() -> None:
    assert declare(binary_document()).risk.tier == "light"


def test_a_standard_model_is_told_all_that_it_lacks() -> None:
    document = binary_document(risk={"tier": "standard"}, rollout={"steps": []}, serving={"authorization": "none"})
    found = mistakes(document)
    assert set(found) == {"problem.affected", "data.sources", "rollout.steps", "serving.authorization"}
    assert all(told.endswith("(risk.tier is standard)") for told in found.values())
    declare(binary_document(risk={"tier": "standard"}, problem=STANDARD, data={"sources": SOURCES}))


def test_a_high_model_is_told_all_that_it_lacks_and_all_that_everloop_lacks() -> None:
    found = mistakes(binary_document(risk={"tier": "high"}, recalibration={}))
    assert {f"risk.done_outside.{c.name}" for c in CONTROLS if not c.built} <= set(found)
    assert "Everloop does not have it yet" in found["risk.done_outside.approval"]
    assert {
        "owner.hand_overs.alerts",
        "data.features.0.description",
        "gate.money",
        "gate.fairness",
        "recalibration",
    } <= set(found)
    assert {"problem.acceptable_latency_ms", "rollout.bake_minutes", "problem.affected", "data.sources"} <= set(found)
    declare(high())


def test_scores_of_a_high_model_are_frozen_unless_it_declares_otherwise() -> None:
    document = high()
    del document["recalibration"]
    assert declare(document).recalibration is None
    assert declare(
        binary_document(risk={"tier": "standard"}, problem=STANDARD, data={"sources": SOURCES})
    ).recalibration
    found = mistakes(document | {"recalibration": {}})
    assert "`recalibration: none`, or groups (by) with a limit" in found["recalibration"]


@pytest.mark.parametrize("control", [c.name for c in CONTROLS if not c.built])
def test_no_missing_control_of_a_high_model_goes_unsaid(control: str) -> None:
    document = high()
    document["risk"]["done_outside"] = {n: text for n, text in OUTSIDE.items() if n != control}
    assert list(mistakes(document)) == [f"risk.done_outside.{control}"]


def test_what_everloop_does_is_not_done_outside() -> None:
    document = binary_document(risk={"tier": "light", "done_outside": {"canary": "We look at it for a whole day."}})
    assert "a control that Everloop lacks: approval" in mistakes(document)["risk.done_outside.canary"]
    document["risk"]["done_outside"] = {"approval": "tbd"}
    assert "a sentence of at least 5" in mistakes(document)["risk.done_outside.approval"]


def test_a_recalibration_of_people_has_fairness_limits() -> None:
    document = high()
    document["recalibration"] = {"by": "line", "fairness": {"max_calibration_gap": 0.1}}
    declare(document)
    for unlimited in ({}, {"by": "line"}, {"by": "line", "fairness": {}}):
        document["recalibration"] = unlimited
        assert list(mistakes(document)) == ["recalibration"]


def test_no_limit_of_latency_is_wider_than_what_callers_accept() -> None:
    document = binary_document(problem={"acceptable_latency_ms": 700}, gate={"max_latency_ms": 701})
    assert set(mistakes(document)) == {"gate.max_latency_ms", "rollout.guardrail.max_p99_latency_ms"}
    declare(binary_document(problem={"acceptable_latency_ms": 800}, gate={"max_latency_ms": 800}))


def test_a_declaration_of_before_is_told_what_to_add_and_where() -> None:
    document = binary_document()
    del document["risk"]
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    (mistake,) = refused.value.mistakes
    assert (mistake.path, mistake.found) == ("risk", "nothing")
    assert "`risk: {tier: light}` for a model that harms nobody" in mistake.allowed


def test_the_docs_have_the_table() -> None:
    assert tier_table() in (ROOT / "docs" / "risk.md").read_text(encoding="utf-8")


def test_a_higher_tier_asks_for_all_that_a_lower_one_does() -> None:
    asked = [{c.name for c in CONTROLS if c.asked_by(tier)} for tier in TIERS]
    assert asked[0] < asked[1] < asked[2]
    assert all(c.built for c in CONTROLS if c.asked_by("standard"))
