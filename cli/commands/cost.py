"""``everloop cost``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.costs import Costs, costs_of, measured_of
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.project import synthesize_project
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.cost.free import NOT_COUNTED
from everloop.cost.report import Cost
from everloop.cost.templates import count_types
from everloop.cost.work import ASSUMED, JOB_SECONDS, SECONDS, Assumption, Measured, Traffic

_ANY = click.FloatRange(min=0)


@click.command()
@model_argument
@click.option("--predictions", type=_ANY, required=True, metavar="N", help="Rows answered in a month; 0 is idle.")
@click.option("--rows-per-request", type=click.FloatRange(min=1), default=1.0, help="Rows of one request. [1]")
@click.option("--labelled", type=click.FloatRange(0, 1), default=1.0, help="Share of rows that get a label. [1]")
@click.option("--trainings", type=_ANY, help="Training runs in a month. [those of retraining.schedule_days]")
@click.option("--history-rows", type=_ANY, default=0.0, help="Imported rows. [0]")
@click.option("--months", type=_ANY, default=12.0, help="For how long rows and records have been kept. [12]")
@click.option("--models", type=click.IntRange(min=1), default=1, help="So many models like this one. [1]")
@click.option("--region", default="us-east-1", help="Whose prices. [us-east-1]")
@click.option("--deployed", is_flag=True, help="Take the account's durations of functions and jobs, of 30 days.")
@models_directory_option
@json_option
def cost(
    model: str,
    predictions: float,
    rows_per_request: float,
    labelled: float,
    trainings: float | None,
    history_rows: float,
    months: float,
    models: int,
    region: str,
    deployed: bool,
    models_directory: Path,
    as_json: bool,
) -> None:
    """What MODEL costs a month, by part, before it is deployed.

    It is computed from the synthesized templates and a table of prices, each with its source. No account is needed.
    The free tier is not taken off. What the table does not know is named, and is not in the sum.

    How long functions and jobs run is assumed; with --deployed it is read from the account.
    """
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    traffic = Traffic(predictions, rows_per_request, labelled, trainings, history_rows, months)
    account = Account() if deployed else None
    measured = Measured() if account is None else measured_of(account, model, account.now())
    assembly = synthesize_project(output.note, models_directory)
    costs = costs_of(declaration, assembly, traffic, region=region, models=models, measured=measured)
    assumed = _assumed(measured)
    output.document(
        {
            "model": model,
            "models": models,
            "region": region,
            "traffic": traffic,
            "usd_per_month": costs.model.usd + costs.shared.usd,
            "usd_by_part": costs.model.usd_by_part(),
            "own": {
                "usd_per_month": costs.model.usd,
                "lines": costs.model.lines,
                "resources": count_types(costs.own),
            },
            "platform": {
                "usd_per_month": costs.shared.usd,
                "lines": costs.shared.lines,
                "resources": count_types(costs.platform),
            },
            "unknown": [*costs.model.unknown, *costs.shared.unknown],
            "not_counted": NOT_COUNTED,
            "assumed": assumed,
            "measured": measured,
        }
    )
    _say(output, model, models, region, costs)
    seconds = ", ".join(f"{name} {one.value:g}" for name, one in assumed.items() if name in SECONDS)
    if seconds:
        output.say(f"assumed seconds of an invocation (--deployed measures them, --json has all): {seconds}")


def _say(output: Output, model: str, models: int, region: str, costs: Costs) -> None:
    own = f"{model}" if models == 1 else f"{models:,} models like {model}"
    output.table(f"{own}: {_usd(costs.model)} a month, prices of {region}", _COLUMNS, _rows(costs.model))
    output.table(f"Shared by all models: {_usd(costs.shared)} a month", _COLUMNS, _rows(costs.shared))
    for sentence in (*costs.model.unknown, *costs.shared.unknown):
        output.say(f"not in the sum: {sentence}")
    old = {line.counted: line.read for line in (*costs.model.old, *costs.shared.old)}
    if old:
        said = ", ".join(f"{counted} ({read})" for counted, read in old.items())
        output.say(f"prices that are old, for nothing newer was found (--json has their sources): {said}")
    for sentence in NOT_COUNTED:
        output.say(f"not counted: {sentence}")


_COLUMNS = ["part", "what", "quantity", "unit", "USD"]


def _usd(cost: Cost) -> str:
    return f"{'at least ' if cost.unknown else ''}${cost.usd:,.2f}"


def _rows(cost: Cost) -> list[list[str]]:
    """What is used at all."""
    return [
        [
            line.part,
            line.counted,
            f"{line.quantity:,.4g}",
            line.unit,
            "unknown" if line.usd is None else f"{line.usd:,.4f}",
        ]
        for line in cost.lines
        if line.quantity
    ]


def _assumed(measured: Measured) -> Mapping[str, Assumption]:
    """What stands for something that was not measured."""
    durations = {name: one for name, one in SECONDS.items() if name not in measured.seconds}
    jobs = {} if measured.job_seconds is not None else {"job": JOB_SECONDS}
    return {**durations, **jobs, **ASSUMED}
