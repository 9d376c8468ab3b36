"""``everloop reconcile``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.rollouts import reconcile as ask
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.documents.deployment import told_difference


@click.command()
@model_argument
@json_option
def reconcile(model: str, as_json: bool) -> None:
    """Hold what is deployed of MODEL against the registry now, as its schedule does.

    Traffic that was moved by hand is moved back where `rollout.reconcile.put_right` is declared. The audit chain keeps
    what differs, and who made it so: CloudTrail shows that some minutes late, and the next look asks again. Exit status
    0 when all agrees, 3 when something differed, 1 when nothing could be said.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    answer = ask(account, model)
    output.document(answer)
    if not answer["settled"]:
        output.say(f"traffic of {model} moves at this moment, so nothing can be said; repeat this command in a minute")
        sys.exit(1)
    found, explained = answer["differences"], answer.get("explained", [])
    for one in explained:
        output.say(f"known by now, of what differed before: {told_difference(one)}")
    for sentence in answer.get("not_looked", []):
        output.say(f"not looked at: {sentence}")
    if not found:
        output.say(f"what is deployed of {model} is what the registry says")
        return
    output.table("differs", ["code", ""], ([one["code"], told_difference(one)] for one in found))
    if answer["put_right"]:
        output.say("the traffic was moved back to where the registry says")
    sys.exit(3)
