"""``everloop train``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.job_logs import JobLogs, jobs_of
from everloop.cli.operations.training import (
    KEPT,
    VERDICT_STATE,
    Verdict,
    follow,
    require_parent,
    start_training,
    verdict_of,
    wait_until_it_serves,
)
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.documents.records import UpdateMode
from everloop.registry.parents import WARM


@click.command()
@model_argument
@click.option("--reason", default="asked for by hand", show_default=True, help="The reason, stored in the audit chain.")
@click.option(
    "--update",
    type=click.Choice(["full", "warm"]),
    default="full",
    show_default=True,
    help="Learn anew from all rows, or continue what serves with newer ones (training.warm_start).",
)
@click.option("--smoke", is_flag=True, help="Stop after the gate: nothing is rolled out.")
@click.option("--logs", is_flag=True, help="Show beside the steps what the jobs write.")
@click.option("--detach", is_flag=True, help="Start the pipeline and return at once.")
@json_option
def train(model: str, reason: str, update: UpdateMode, smoke: bool, logs: bool, detach: bool, as_json: bool) -> None:
    """Start the training pipeline of MODEL, show its steps as they go, and end with the gate's verdict.

    The first champion serves when this ends. Any other rollout goes on by itself: `everloop status MODEL` shows it.
    Exit status 0 when the candidate passed, 3 when the gate refused it, 1 when the run failed, or when none could
    start. A request that comes while another run is active, or the quota is used up, is kept: the monitor starts it
    with its first window after that. `everloop status MODEL` shows what waits.

    With `--update warm` trees are added to the version that serves, from the rows that are newer than its own. If that
    can't be done (too few of them, other code or packages), the training is a full one and says why.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    is_first = account.registry(model).versions.champion() is None
    if update == WARM:
        require_parent(account, model)
    run_id = start_training(account, model, reason=reason, kind="smoke" if smoke else "train", update=update)
    output.note(f"run {run_id} started")
    if detach:
        output.document({"run_id": run_id})
        return
    verdict = shown_verdict(output, account, model, run_id, logs=logs)
    if verdict.status == KEPT:
        output.say(f"no training could start, so the request is kept, and the monitor answers it: {verdict.cause}")
        sys.exit(1)
    if verdict.cause:
        output.say(f"run {run_id} failed: {verdict.cause}")
        output.say(f"  → {remedy_of(verdict.cause, model, run_id)}")
        sys.exit(1)
    serves = is_first and not smoke and verdict.verdict == "pass" and wait_until_it_serves(account, model, run_id)
    served = ", which serves" if serves else ""
    learned = account.registry(model).runs.get(run_id).update
    if learned is not None:
        output.say(learned["reason"]["sentence"])
    output.say(f"run {run_id}: {verdict.verdict or verdict.status}" + _version(verdict.version) + served)
    if verdict.verdict == "fail":
        sys.exit(3)
    if verdict.verdict is None:
        sys.exit(1)


def shown_verdict(
    output: Output,
    account: Account,
    model: str,
    run_id: str,
    *,
    until_state: str = VERDICT_STATE,
    logs: bool = False,
) -> Verdict:
    """What became of a run, once its steps have been shown up to the verdict, and the gate's reasons after them.

    With ``logs`` the lines that its jobs write are shown too.
    """
    job_logs = JobLogs(account.client("logs"), jobs_of(model, run_id) if logs else [])

    def show_lines(*, at_once: bool = False) -> None:
        for line in job_logs.new_lines(at_once=at_once):
            output.note(line.shown())

    for step in follow(account, model, run_id, until_state=until_state, at_each_look=show_lines):
        output.note(f"{step.at:%Y-%m-%d %H:%M:%S}  {step.state:<15}  {step.event:<7} {step.detail}".rstrip())
    show_lines(at_once=True)
    verdict = verdict_of(account, model, run_id)
    output.document(verdict)
    for reason_given in verdict.reasons:
        mark = "passed" if reason_given.get("passed") else "FAILED"
        output.say(f"  {mark}  {reason_given['code']}: {reason_given['sentence']}")
    return verdict


def remedy_of(cause: str, model: str, run_id: str) -> str:
    """Where to look after a run that failed."""
    if "ResourceLimitExceeded" in cause:  # no job began, so none has written
        return "`everloop preflight` names each quota that is too small, with the request that raises it"
    return f"`everloop runs logs {model} {run_id}` shows what its jobs wrote"


def _version(version: int | None) -> str:
    return "" if version is None else f", registered as version {version}"
