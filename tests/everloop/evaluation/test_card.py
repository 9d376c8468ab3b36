"""The card says what is declared, and its dictionary what the contract is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.cli.main import everloop
from everloop.evaluation.card import card, dictionary
from everloop.evaluation.card_page import card_page
from everloop.evaluation.report_page import sections_of
from everloop.model_file.reader import read_model_file
from tests.everloop.evaluation.test_report_page import about, whole
from tests.everloop.model_file.test_tiers import high
from tests.helpers.declarations import binary_document, declare, regression_document

ROOT = Path(__file__).resolve().parents[3]


def test_the_dictionary_is_the_contract() -> None:
    found = {cells[0]: cells[1:4] for cells in dictionary(declare(binary_document()))}
    assert found["train_id"] == ("key", "a unique name for each row", "refused")
    assert found["late"] == ("target", "0 or 1", "until the outcome is known")
    assert found["distance"] == ("number", "from 0 to 5000", "refused")
    assert found["wind"] == ("number", "any number", "allowed")
    assert found["line"] == ("category", "north, south; others are answered and counted", "refused")
    assert found["operator"] == ("category", "any text of up to 64 characters", "allowed")


def test_prices_owners_controls_and_sources_are_in_it() -> None:
    told = card(declare(high()))
    for line in (
        "# late_train",
        "- a false negative costs: 3 USD",
        "- hand-over of alerts: The desk",
        "## Controls (risk tier high)",
        "- approval: a person approves a version before it serves; outside: The credit committee does it, and writes"
        " minutes.",
        "- canary: a new version begins with a part of the requests (`rollout.steps`); by Everloop",
        "- Ticket system: Our own data",
        "- answers within: 1000 ms",
    ):
        assert line in told.splitlines()
    baseline = {"kind": "expression", "expression": "wind > 30"}
    assert "- baseline: expression, expression wind > 30" in card(
        declare(binary_document(problem={"baseline": baseline}))
    )
    assert "- a unit of error costs: 0.5 USD" in card(declare(regression_document())).splitlines()
    bounded = card(declare(regression_document(problem={"interval": {"coverage": 0.9}}))).splitlines()
    assert "- interval: 0.9 of the outcomes lie between low and high" in bounded
    assert not any(line.startswith("- interval") for line in told.splitlines())


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_text_breaks_the_table(description: str) -> None:
    document = binary_document()
    document["data"]["features"][0]["description"] = description
    rows = card(declare(document)).split("## Data dictionary")[1].strip().splitlines()
    assert len(rows) == 2 + 3 + len(document["data"]["features"])
    assert {row.replace("\\|", "").count("|") for row in rows} == {6}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["flight_delay", "mortgage_approval"])
def test_each_worked_example_has_one(model: str) -> None:
    told = CliRunner().invoke(everloop, ["card", model, "--models-directory", str(ROOT / "models"), "--json"])
    found = json.loads(told.output)
    declared = read_model_file(ROOT / "models" / model / "model.yaml")
    assert found["card"] == card(declared)
    assert [row["column"] for row in found["dictionary"]][3:] == [f.name for f in declared.data.features]
    page = CliRunner().invoke(everloop, ["card", model, "--models-directory", str(ROOT / "models")])
    assert page.output == card(declared).rstrip("\n") + "\n"


def test_the_page_of_a_card_stands_alone_and_escapes_what_is_declared() -> None:
    document = high()
    document["data"]["features"][0]["description"] = "<script>alert(1)</script>"
    html = card_page(declare(document))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", html)
    for told in ("Purpose", "Controls (risk tier high)", "Data dictionary", "made from the declaration alone"):
        assert told in html


def test_the_page_has_the_evaluation_of_a_version_by_the_code_of_the_report() -> None:
    report = whole()
    html = card_page(declare(binary_document()), (report, about(report)))
    assert "\n".join(sections_of(report, about(report))) in html
    assert "Evaluation of version 4" in html
    assert "made from the declaration alone" not in html
    assert len(html.encode()) < 2_000_000


def test_a_page_is_written_and_its_options_need_it(tmp_path: Path) -> None:
    arguments = ["card", "mortgage_approval", "--models-directory", str(ROOT / "models")]
    done = CliRunner().invoke(everloop, [*arguments, "--html", str(tmp_path / "card.html"), "--json"])
    assert json.loads(done.output)["bytes"] == len((tmp_path / "card.html").read_bytes())
    refused = CliRunner().invoke(everloop, [*arguments, "--evaluated"])
    assert refused.exit_code == 1
    assert "--html FILE --evaluated" in str(refused.exception)
    gone = CliRunner().invoke(everloop, [*arguments, "--html", str(tmp_path / "no" / "card.html")])
    assert gone.exit_code == 1


def test_what_must_not_be_forgotten_is_in_it() -> None:
    told = card(declare(binary_document(gate={"standing": {"days": 7, "max_increase": 0.02}})))
    assert "- standing set: 7 days of older rows that no training learns from; on them a new version's log_loss" in told
    assert "standing set" not in card(declare(binary_document()))
