"""``everloop backtest``."""

from __future__ import annotations

from pathlib import Path

import click

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.backtest import backtest_file
from everloop.cli.operations.backtest_advice import amount
from everloop.cli.operations.backtest_loop_told import Deployed, candidate_told, probes_told, why_told
from everloop.cli.operations.backtest_page import page
from everloop.cli.operations.backtest_results import Backtest
from everloop.cli.operations.backtest_shape import Knobs
from everloop.cli.operations.backtest_training_days import TrainingDays, loss_name, training_days_rows
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.options import file_format_options, json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.dataset.file_format import FileFormat
from everloop.numbers_of import number_of
from everloop.problem_types import MULTICLASS


@click.command("backtest")
@model_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV or Parquet with the declared columns.",
)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help=("Write a page with pictures to this file.")
)
@click.option("--window-days", type=click.IntRange(1), help="A window's length. [about forty windows, whole weeks]")
@click.option("--history-days", type=click.IntRange(1), help="Days before the first window. [a fifth of all]")
@click.option("--test-days", type=click.IntRange(0), help="Newest days that no model learns from. [none with a refit]")
@click.option("--cooldown-days", type=click.FloatRange(0), help="Minimum time between two trainings. [a window]")
@click.option(
    "--retraining-cost",
    type=click.FloatRange(0, min_open=True),
    help="Cost of a retraining, in the currency of problem.value. [cost.max_training_run_usd]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Decision threshold for counting money. [serving.threshold]",
)
@click.option(
    "--training-days",
    type=click.IntRange(1),
    multiple=True,
    metavar="DAYS",
    help="Also try training on the newest DAYS only; can be repeated. [4, 8 and 16 windows]",
)
@click.option("--rows", type=click.IntRange(1000), default=100_000, show_default=True, help="Maximum rows to use.")
@click.option(
    "--probe-rows", type=click.IntRange(100), default=5_000, show_default=True, help=("Maximum rows of a probe.")
)
@click.option(
    "--deployed/--no-deployed",
    default=True,
    show_default=True,
    help="Also simulate the loop as deployed, next to the policies.",
)
@click.option(
    "--investment/--no-investment",
    default=True,
    show_default=True,
    help="Also simulate it with retraining as an investment, with and without training spans. It makes fresh probes.",
)
@click.option(
    "--request-rows",
    type=click.IntRange(1),
    help="Maximum rows of an hour in one request: canaries are judged by requests. [serving.max_rows]",
)
@click.option("--no-recalibration", is_flag=True, help="Simulate it without recalibration, whatever is declared.")
@click.option("--skip-refused", is_flag=True, help="Leave out bad rows.")
@file_format_options()
@models_directory_option
@json_option
def backtest(
    model: str,
    data: Path,
    html: Path | None,
    window_days: int | None,
    history_days: int | None,
    test_days: int | None,
    cooldown_days: float | None,
    retraining_cost: float | None,
    threshold: float | None,
    training_days: tuple[int, ...],
    rows: int,
    probe_rows: int,
    deployed: bool,
    investment: bool,
    request_rows: int | None,
    no_recalibration: bool,
    skip_refused: bool,
    file_format: FileFormat,
    models_directory: Path,
    as_json: bool,
) -> None:
    """Find out when retraining MODEL would have paid.

    It needs a file of past rows, and no cloud. The file is cut into windows. The model's own program is trained at
    the start of each window, and every model answers all later windows. Each retraining policy is then applied to the
    history, with and without daily recalibration. The loop is also simulated as it is deployed, day by day: with the
    declaration as it stands, with the best schedule, and with retraining as an investment. The newest third of the
    windows is not used to choose the recommendation.
    """
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    if declaration.problem.type == MULTICLASS:
        raise CommandError(
            f"{model} is a {MULTICLASS}, and a backtest compares one score a row",
            remedy=f"everloop replay {model} --data FILE: the loop beside its frozen first model",
        )
    knobs = Knobs(
        window_days,
        history_days,
        test_days,
        cooldown_days,
        retraining_cost,
        threshold,
        most_rows=rows,
        probe_rows=probe_rows,
        deployed=deployed,
        investment=investment,
        recalibration=False if no_recalibration else None,
        request_rows=request_rows,
        training_days=training_days,
    )
    found = backtest_file(
        declaration,
        models_directory / model,
        data,
        file_format,
        knobs=knobs,
        say=output.note,
        skip_refused=skip_refused,
    )
    output.document(found)
    _tell(output, found)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
        output.note(f"the page is {html}")


def _tell(output: Output, found: Backtest) -> None:
    shape = found.shape
    for recalibrated in (True, False):
        ordered = sorted((r for r in found.policies if r.recalibrated == recalibrated), key=lambda r: r.cost)
        output.table(
            f"{number_of(shape.windows, 'window')} of {number_of(shape.window_days, 'day')}, {_scores(recalibrated)}; "
            f"a retraining costs {amount(found.retraining_cost)} {found.unit}",
            ["policy", "retrainings", found.metric, f"cost, {found.unit}", "over hindsight", "held back"],
            [
                (
                    r.policy,
                    r.retrainings,
                    f"{r.metric:.4f}",
                    amount(r.cost),
                    "" if r.over_hindsight is None else f"{r.over_hindsight:.2f}",
                    amount(r.held_back),
                )
                for r in ordered
            ],
        )
    for loop in found.deployed:
        _tell_loop(output, loop)
    if found.training_days is not None:
        _tell_training_days(output, found.training_days, found.metric)
    output.say("For model.yaml:")
    for line in found.recommendation.lines:
        output.say(f"  {line}")
    for reason in found.recommendation.reasons:
        output.say(f"- {reason}")
    output.say("What a backtest can't know:")
    for sentence in found.not_known:
        output.say(f"- {sentence}")
    output.say(f"{found.model}: {found.seconds:.0f} s")


def _tell_loop(output: Output, loop: Deployed) -> None:
    output.table(
        f"{loop.policy}, as deployed: {number_of(loop.windows, 'window')} watched, {loop.calibrations}"
        f" calibrations, loss {loop.metric:.4f} as served, {loop.raw_metric:.4f} with raw scores"
        f"{f'; {probes_told(loop)}' if probes_told(loop) else ''}",
        ["training", "asked for by", "candidate", "why"],
        [(run.at[:10], run.trigger, candidate_told(run), why_told(run)) for run in loop.runs],
    )


def _tell_training_days(output: Output, found: TrainingDays, metric: str) -> None:
    output.table(
        f"Training on the newest days only: {loss_name(metric)} per row, recalibrated daily",
        ["learns from", "chosen on", "held back", "saves there", "95% interval"],
        training_days_rows(found),
    )


def _scores(recalibrated: bool) -> str:
    return "recalibrated daily" if recalibrated else "not recalibrated"
