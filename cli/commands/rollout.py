"""``everloop rollout``."""

from __future__ import annotations

from dataclasses import asdict

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.rollouts import (
    own_labels_by_version,
    refuse_while_running,
    rollout_to_take_back,
    take_back,
)
from everloop.cli.operations.training import start_training
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute


@click.group()
def rollout() -> None:
    """What comes to serve, and how."""


@rollout.command("show", short_help="List rollouts, newest first, with the guardrail's decisions.")
@model_argument
@json_option
def show(model: str, as_json: bool) -> None:
    """The rollouts of MODEL, newest first, with the guardrail's last word on each."""
    output, account = Output(as_json), Account()
    account.model(model)
    store = account.registry(model)
    found = store.rollouts.all()
    own = own_labels_by_version(store, {one.version for one in found})
    output.document([{**one.to_json(), "own_labels": asdict(own[one.version])} for one in found])
    output.table(
        f"rollouts of {model}",
        ["started", "what", "version", "status", "traffic", "own labels", "guardrail"],
        (
            [
                minute(r.started_at),
                r.kind,
                r.version,
                r.status,
                "" if r.percent is None else f"{r.percent:g}%",
                own[r.version].sentence,
                "; ".join(reason["sentence"] for reason in r.last_check.get("reasons", [])),
            ]
            for r in found
        ),
    )


@rollout.command("start", short_help="Roll out the newest deployed code with the champion.")
@model_argument
@click.option("--reason", default="new code", show_default=True, help="The reason, stored in the audit chain.")
@json_option
def start(model: str, reason: str, as_json: bool) -> None:
    """Roll the champion of MODEL out under the code last deployed, by the same steps as a new model."""
    output, account = Output(as_json), Account()
    account.model(model)
    champion = account.registry(model).versions.champion()
    if champion is None:
        raise CommandError(f"{model} has no champion to roll out", f"train one: `everloop train {model}`")
    run_id = start_training(account, model, reason=reason, kind="rollout", version=champion.version)
    output.document({"run_id": run_id, "version": champion.version})
    output.say(f"run {run_id} rolls out version {champion.version}; `everloop rollout show {model}` shows it")


@rollout.command("back", short_help="Roll back: the previous version gets the traffic.")
@model_argument
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def back(model: str, reason: str, as_json: bool) -> None:
    """Roll the rollout of MODEL back: its traffic goes to what served before it.

    For a rollout whose execution was stopped or timed out: nobody else ends its canary. Within its bake a promotion is
    undone as well. While the execution runs it is refused.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    found = rollout_to_take_back(account, model)
    refuse_while_running(account, model, found.run_id)
    take_back(account, model, found.run_id, reason=reason)
    store = account.registry(model)
    ended, active = store.rollouts.get(found.rollout_id), store.runs.active()
    output.document(ended.to_json())
    served = "nothing serves" if ended.previous_version is None else f"version {ended.previous_version} has all traffic"
    output.say(f"the rollout of version {ended.version} is {ended.status}: {served}")
    if active is not None and active.run_id == found.run_id:
        output.say(f"its run is open: `everloop runs release {model} {found.run_id} --reason …` closes it")
