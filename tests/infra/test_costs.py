"""What the synthesized templates cost: nothing of them is unknown, and an idle model costs at most a dollar."""

from __future__ import annotations

import pytest

from everloop.cli.operations.costs import Costs, costs_of
from everloop.cost.free import FREE
from everloop.cost.parts import PLATFORM, USES
from everloop.cost.work import SECONDS, Traffic
from everloop.model_file.schema import ModelDeclaration
from everloop.names import FUNCTIONS, PROBE_FUNCTION
from tests.helpers.declarations import binary_document, declare, everything_document
from tests.helpers.synthesis import Assembly

IDLE_USD = 1.00
"""The most that a model may cost a month that nobody asks."""

DECLARED = {
    "late_train": binary_document(),
    "delay_minutes": everything_document(serving={"authorization": "none"}),
}


def costs(assembly: Assembly, model: str, traffic: Traffic) -> Costs:
    declaration: ModelDeclaration = declare(DECLARED[model])
    return costs_of(declaration, assembly.folder, traffic, region="us-east-1")


def test_every_type_of_all_templates_is_in_the_tables(assembly: Assembly) -> None:
    types = {resource["Type"] for _, _, resource in assembly.resources()}
    assert types - {*USES, *FREE, *PLATFORM} == set()


def test_every_function_has_a_duration() -> None:
    assert set(SECONDS) == {*FUNCTIONS, PROBE_FUNCTION}


@pytest.mark.parametrize("model", DECLARED)
def test_nothing_of_an_idle_model_is_unknown(assembly: Assembly, model: str) -> None:
    found = costs(assembly, model, Traffic(0))
    assert list(found.model.unknown) == []


@pytest.mark.parametrize("model", DECLARED)
def test_nothing_of_a_busy_model_is_unknown(assembly: Assembly, model: str) -> None:
    found = costs(assembly, model, Traffic(1e6))
    assert list(found.model.unknown) == []
    assert any(line.counted == "firehose conversion" and line.usd for line in found.model.lines)


@pytest.mark.parametrize("model", DECLARED)
def test_an_idle_model_costs_at_most_a_dollar_beside_the_instances_of_an_endpoint(
    assembly: Assembly, model: str
) -> None:
    found = costs(assembly, model, Traffic(0)).model
    on_endpoint = found.usd_by_part().get("SageMaker endpoint", 0.0)
    assert found.usd - on_endpoint <= IDLE_USD
    assert on_endpoint == pytest.approx(0 if model == "late_train" else 84, abs=1)


def test_what_all_models_share_costs_two_keys(assembly: Assembly) -> None:
    shared = costs(assembly, "late_train", Traffic(0)).shared
    assert (shared.unknown, round(shared.usd, 2)) == ([], 2.00)


def test_a_prediction_is_traced_where_its_caller_asks_for_that(assembly: Assembly) -> None:
    idle, busy = (costs(assembly, "late_train", Traffic(n)).model for n in (0, 1e6))
    traces = [next(line.quantity for line in found.lines if line.counted == "traces") for found in (idle, busy)]
    # The calibrations and the monitor's runs alone, which are some a day.
    assert max(traces) < 0.001
    functions = assembly.of_type("EverloopModel-late-train", "AWS::Lambda::Function").values()
    modes = {f["FunctionName"].rsplit("-", 1)[1]: f["TracingConfig"]["Mode"] for f in functions}
    assert {name for name, mode in modes.items() if mode == "PassThrough"} == {"predict", "labels"}


def test_more_predictions_cost_more(assembly: Assembly) -> None:
    sums = [costs(assembly, "late_train", Traffic(n)).model.usd for n in (0, 1e3, 1e6, 1e9)]
    assert sums == sorted(sums)
