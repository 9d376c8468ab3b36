"""``everloop drill``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.rollouts import drill as ask
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.registry.drills import GAVE_WAY


@click.command()
@model_argument
@json_option
def drill(model: str, as_json: bool) -> None:
    """Roll MODEL back to its previous champion and forward again now, as its schedule does.

    All requests go to the previous champion for a moment; it is started first. The audit chain and `everloop status`
    keep how long both ways took. Nothing is tried while a rollout is open. Exit status 0 when the rollback worked, 3
    when it did not, 1 when none was tried.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    answer = ask(account, model)
    output.document(answer)
    if answer["status"] in ("not_begun", GAVE_WAY):
        output.say(f"no rollback of {model} was tried: {answer['reason']}")
        sys.exit(1)
    if answer["status"] != "passed":
        output.say(f"the rollback of {model} did not work: {answer['reason']}")
        sys.exit(3)
    output.say(
        f"{model} was rolled back from version {answer['version']} to {answer['previous_version']} in"
        f" {answer['back_seconds']:.2f} s, and forward again in {answer['forward_seconds']:.2f} s"
    )
