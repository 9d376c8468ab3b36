"""``everloop restore``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.commands.train import shown_verdict
from everloop.cli.operations.rollouts import require_reason
from everloop.cli.operations.training import READMITTED_STATE, start_training
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.registry.restorations import RESTORE


@click.command()
@model_argument
@click.argument("version", type=int)
@click.option("--reason", required=True, help="Why; it is kept in the audit chain.")
@click.option("--detach", is_flag=True, help="Start the pipeline and return at once.")
@json_option
def restore(model: str, version: int, reason: str, detach: bool, as_json: bool) -> None:
    """Judge VERSION of MODEL, which has served before, beside what serves now, on the newest labelled rows.

    A version that the gate refused may come too, if others have waived its reasons: `everloop waive`.

    Nothing is trained. Where the gate lets it, the version comes to serve by the steps of a new one: canary, guardrail,
    bake. `everloop status MODEL` shows it. Exit status 0 when it passed, 3 when the gate refused it, 1 when the run
    failed, or none could start.
    """
    require_reason(reason)
    output, account = Output(as_json), Account()
    account.model(model)
    # Told here before anything starts; the run looks again as it opens.
    person = account.client("sts").get_caller_identity()["Arn"]
    account.registry(model).restorations.check(version, at=account.now(), asked_by=person)
    run_id = start_training(account, model, reason=reason, kind=RESTORE, version=version)
    output.note(f"run {run_id} started")
    if detach:
        output.document({"run_id": run_id, "version": version})
        return
    verdict = shown_verdict(output, account, model, run_id, until_state=READMITTED_STATE)
    if verdict.cause:
        output.say(f"run {run_id} failed: {verdict.cause}")
        sys.exit(1)
    told = "passed: it comes to serve by its rollout" if verdict.verdict == "pass" else "refused: what serves stays"
    output.say(f"run {run_id}: version {version} is {told}")
    if verdict.verdict == "fail":
        sys.exit(3)
    if verdict.verdict is None:
        sys.exit(1)
