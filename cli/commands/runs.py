"""``everloop runs``."""

from __future__ import annotations

import click

from cli.account import Account
from cli.operations.training import execution_arn
from cli.options import json_option, model_argument
from cli.output import Output, minute


@click.group(invoke_without_command=True)
@click.pass_context
def runs(context: click.Context) -> None:
    """The pipeline's runs."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@runs.command("list")
@model_argument
@json_option
def list_(model: str, as_json: bool) -> None:
    """All runs of MODEL, newest first, and what became of each."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = account.registry(model).runs()
    output.document([run.to_json() for run in found])
    output.table(
        f"runs of {model}",
        ["started", "run", "trigger", "status", "gate", "version", "cause"],
        (
            [minute(r.started_at), r.run_id, r.trigger.get("kind"), r.status, r.verdict, r.version, r.cause]
            for r in found
        ),
    )


@runs.command()
@model_argument
@click.argument("run_id")
@click.option("--reason", required=True, help="Why; it is kept in the audit log.")
@json_option
def release(model: str, run_id: str, reason: str, as_json: bool) -> None:
    """Close RUN_ID of MODEL, whose execution is dead, so that another run can start."""
    output, account = Output(as_json), Account()
    execution = account.client("stepfunctions").describe_execution(executionArn=execution_arn(account, model, run_id))
    if execution["status"] == "RUNNING":
        raise click.UsageError(f"the execution of {run_id} is running; stop it first")
    actor = account.client("sts").get_caller_identity()["Arn"]
    at = account.now().isoformat().replace("+00:00", "Z")
    run = account.registry(model).release_stale_run(run_id, reason=reason, at=at, actor=actor)
    output.document(run.to_json())
    output.say(f"run {run_id} is released")
