"""``everloop train``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.training import KEPT, follow, start_training, verdict_of
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output


@click.command(short_help="Start the training pipeline and show its steps.")
@model_argument
@click.option("--reason", default="asked for by hand", show_default=True, help="Why; it is kept in the audit chain.")
@click.option("--smoke", is_flag=True, help="Stop after the gate: nothing is rolled out.")
@click.option("--detach", is_flag=True, help="Start the pipeline and return at once.")
@json_option
def train(model: str, reason: str, smoke: bool, detach: bool, as_json: bool) -> None:
    """Start the training pipeline of MODEL, show its steps as they go, and end with the gate's verdict.

    A rollout that follows a passed gate goes on by itself: `everloop status MODEL` shows it. Exit status 0 when
    the candidate passed, 3 when the gate refused it, 1 when the run failed, or when none could start. A request that
    comes while another run is active, or the quota is used up, is kept: the monitor starts it with its first window
    after that. `everloop status MODEL` shows what waits.
    """
    output, account = Output(as_json), Account()
    run_id = start_training(account, model, reason=reason, kind="smoke" if smoke else "train")
    output.note(f"run {run_id} started")
    if detach:
        output.document({"run_id": run_id})
        return
    for step in follow(account, model, run_id):
        output.note(f"{step.at:%Y-%m-%d %H:%M:%S}  {step.state:<15}  {step.event:<7} {step.detail}".rstrip())
    verdict = verdict_of(account, model, run_id)
    output.document(verdict)
    for reason_given in verdict.reasons:
        mark = "passed" if reason_given.get("passed") else "FAILED"
        output.say(f"  {mark}  {reason_given['code']}: {reason_given['sentence']}")
    if verdict.status == KEPT:
        output.say(f"nothing could start, so the request is kept and the monitor answers it: {verdict.cause}")
        sys.exit(1)
    if verdict.cause:
        output.say(f"run {run_id} failed: {verdict.cause}")
        sys.exit(1)
    output.say(f"run {run_id}: {verdict.verdict or verdict.status}" + _version(verdict.version))
    if verdict.verdict == "fail":
        sys.exit(3)
    if verdict.verdict is None:
        sys.exit(1)


def _version(version: int | None) -> str:
    return "" if version is None else f", registered as version {version}"
