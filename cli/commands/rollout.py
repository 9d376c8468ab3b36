"""``everloop rollout``."""

from __future__ import annotations

from dataclasses import asdict

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.rollouts import (
    hold_or_go_on,
    open_rollout,
    own_labels_by_version,
    refuse_while_running,
    rollout_to_take_back,
    take_back,
)
from everloop.cli.operations.training import start_training
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.registry.records import Rollout


@click.group()
def rollout() -> None:
    """What comes to serve, and how."""


@rollout.command("status", short_help="List rollouts, newest first, with the guardrail's decisions.")
@model_argument
@json_option
def status(model: str, as_json: bool) -> None:
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
                r.status if r.paused_at is None or not r.is_open else f"{r.status}, paused",
                "" if r.percent is None else f"{r.percent:g}%" if r.percent else "unseen",
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
    output.say(f"run {run_id} rolls out version {champion.version}; `everloop rollout status {model}` shows it")


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


@rollout.command("pause", short_help="Keep the traffic as it is; the guardrail goes on.")
@model_argument
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def pause(model: str, reason: str, as_json: bool) -> None:
    """Keep the open rollout of MODEL where it is, for a day at most.

    Steps and bake stand still; the guardrail looks every five minutes and rolls back what is bad. What its last look
    decided is still carried out. After a day, counted over all pauses of a rollout, it goes on by itself.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    found = open_rollout(account, model)
    paused = hold_or_go_on(account, model, found.rollout_id, "pause", reason=reason)
    output.document(paused)
    output.say(f"the rollout of version {found.version} is paused: {_share(found)}")
    output.say(f"`everloop rollout resume {model} --reason …` lets it go on, `everloop rollout abort` ends it")


@rollout.command("resume", short_help="Let a paused rollout go on.")
@model_argument
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def resume(model: str, reason: str, as_json: bool) -> None:
    """Let the paused rollout of MODEL go on, from the guardrail's next look: within five minutes."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = open_rollout(account, model)
    resumed = hold_or_go_on(account, model, found.rollout_id, "resume", reason=reason)
    output.document(resumed)
    output.say(f"the rollout of version {found.version} goes on with the guardrail's next look")


@rollout.command("abort", short_help="End a canary: the previous version gets all traffic.")
@model_argument
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def abort(model: str, reason: str, as_json: bool) -> None:
    """End the canary of MODEL at once, while its execution runs or not. A promotion stays as it is."""
    output, account = Output(as_json), Account()
    account.model(model)
    _roll_back(output, account, model, open_rollout(account, model, canary=True), reason=reason, only_canary=True)


@click.command()
@model_argument
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def rollback(model: str, reason: str, as_json: bool) -> None:
    """Give the traffic of MODEL back to what served before its rollout, at once.

    Ends a canary, and undoes a promotion while its bake lasts. The execution ends with its next look. Later,
    `everloop restore` brings an older version back.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    _roll_back(output, account, model, open_rollout(account, model), reason=reason, only_canary=False)


def _roll_back(output: Output, account: Account, model: str, found: Rollout, *, reason: str, only_canary: bool) -> None:
    take_back(account, model, found.run_id, reason=reason, only_canary=only_canary)
    ended = account.registry(model).rollouts.get(found.rollout_id)
    if ended.status != "rolled_back":
        raise CommandError(
            f"the rollout of version {ended.version} is {ended.status}: it was promoted in this moment",
            f"`everloop rollback {model} --reason …` undoes that while its bake lasts",
        )
    output.document(ended.to_json())
    served = "nothing serves" if ended.previous_version is None else f"version {ended.previous_version} has all traffic"
    output.say(f"the rollout of version {ended.version} is {ended.status}: {served}")
    output.say("its execution ends with its next look; `everloop runs list` shows it")


def _share(found: Rollout) -> str:
    if found.status == "baking":
        return "it has all traffic, and the version before stays warm"
    if found.percent == 0:
        return "no caller meets it, and requests go on being captured"
    return f"it keeps {found.percent or 0:g}% of the traffic"
