"""``everloop try``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.trial import Trial, try_file
from everloop.cli.options import file_format_options, json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.dataset.file_format import FileFormat
from everloop.evaluation.report import MetricValue
from everloop.instants import format_instant


@click.command("try")
@model_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV or Parquet with the declared columns.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the jobs' files in this folder.")
@click.option("--skip-refused", is_flag=True, help="Leave out bad rows and try the model on the good ones.")
@file_format_options()
@models_directory_option
@json_option
def try_(
    model: str,
    data: Path,
    out: Path | None,
    skip_refused: bool,
    file_format: FileFormat,
    models_directory: Path,
    as_json: bool,
) -> None:
    """Train MODEL on the rows of a file and let the gate judge it: on this machine, without any cloud.

    The newest days of the file are the test part, as in a training run, and the same code runs. Exit status 0 when
    the candidate would be a first champion, 3 when the gate refuses it, 1 when it does not come that far.
    """
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    folder = models_directory / model
    trial = try_file(declaration, folder, data, file_format, say=output.note, out=out, skip_refused=skip_refused)
    output.document(trial)
    _tell(output, trial)
    if trial.verdict != "pass":
        sys.exit(3)


def _tell(output: Output, trial: Trial) -> None:
    names = [name for name in trial.candidate if name in trial.baseline]
    output.table(
        f"{trial.rows['test']:,} test rows after {format_instant(trial.boundary)}",
        ["metric", "candidate [95% interval]", "baseline [95% interval]"],
        [(name, _shown(trial.candidate[name]), _shown(trial.baseline[name])) for name in names],
    )
    for reason in trial.reasons:
        output.say(f"  {'passed' if reason.passed else 'FAILED'}  {reason.code}: {reason.sentence}")
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in trial.seconds.items())
    what = "would be the first champion" if trial.verdict == "pass" else "the gate would refuse it"
    output.say(f"{trial.model}: {what} ({seconds})")


def _shown(metric: MetricValue) -> str:
    if metric.value is None:
        return "not defined"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4f}"
    return f"{metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"
