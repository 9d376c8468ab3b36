"""``everloop remove``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.removal.carry_out import look_at, remove_platform
from everloop.cli.operations.removal.carry_out import remove as carry_out
from everloop.cli.operations.removal.kept import Kept, kept_of_platform
from everloop.cli.operations.removal.plan import Removal, does, monthly, refusal
from everloop.cli.operations.removal.stacks import Stack, find_stack, model_stacks
from everloop.cli.operations.rollouts import require_reason
from everloop.cli.options import json_option
from everloop.cli.output import Output
from everloop.names import PLATFORM_STACK
from everloop.numbers_of import number_of
from everloop.typed_json import JsonObject


@click.command()
@click.argument("model", required=False)
@click.option("--everything", is_flag=True, help="All models, whether or not they have a folder, and the platform.")
@click.option("--reason", help="Why; it is kept in the audit chain. Needed with --yes.")
@click.option("--yes", is_flag=True, help="Do it. Without this, what would be done is told and nothing is changed.")
@click.option("--now", is_flag=True, help="Give up what callers sent in the last 20 minutes, if it is not delivered.")
@json_option
def remove(model: str | None, everything: bool, reason: str | None, yes: bool, now: bool, as_json: bool) -> None:
    """Take MODEL out of the account: whatever runs is stopped, and its stack is deleted.

    First it says what it stops, deletes and keeps, and what that goes on costing; with --yes it does it. Rows,
    artefacts and records stay, for the auditor, and for the model, should it be deployed again. It needs no folder
    of MODEL. Typed again, it goes on where it was.

    Exit status 1 also where it could not be done now.
    """
    output, account = Output(as_json), Account()
    if (model is None) == (not everything):
        raise CommandError("name one model, or --everything", "`everloop status` lists the models")
    if yes:
        require_reason(reason or "")
    platform = find_stack(account, PLATFORM_STACK) if everything else None
    found = [look_at(account, name) for name in ([model] if model else sorted(model_stacks(account)))]
    kept = kept_of_platform(account, platform) if everything else []
    refused = _refused(found, platform, now=now)
    if yes and refused is not None:
        raise CommandError(*refused)
    _tell(output, found, platform, kept)
    if yes:
        for one in found:
            carry_out(account, one, reason=str(reason), now=now, say=output.note)
        if platform is not None:
            remove_platform(account, platform, say=output.note)
    output.document(_document(found, platform, kept, refused, done=yes))
    if yes:
        _tell_end(output, found, platform)
        return
    output.say("nothing was changed")
    if refused is not None:
        output.say(f"it can't be done now: {refused[0]}")
        output.say(f"  → {refused[1]}")
        sys.exit(1)
    if platform is not None or any(one.stack for one in found):
        typed = f"everloop remove {model or '--everything'}{' --now' if now else ''}"
        output.say(f"to do it: `{typed} --reason WHY --yes`")


def _refused(found: Sequence[Removal], platform: Stack | None, *, now: bool) -> tuple[str, str] | None:
    """Why it can't be done now. All of it is looked at before anything is changed."""
    asked = [refusal(one.stack, one.requests, now=now) for one in found if one.stack is not None]
    asked += [refusal(platform)] if platform is not None else []
    return next((one for one in asked if one is not None), None)


def _tell(output: Output, found: Sequence[Removal], platform: Stack | None, kept: Sequence[Kept]) -> None:
    """What is done and what stays, with what it costs."""
    for one in found:
        output.table(f"{one.model}: what is done", ["", ""], does(one))
        _tell_kept(output, f"{one.model}: what stays", one.kept)
    if platform is not None:
        resources = number_of(len(platform.resources), "resource")
        done = [
            ("deletes", f"the stack {platform.name} ({resources}): the API, the bus, the alert topic, the catalogue")
        ]
        output.table("platform: what is done", ["", ""], done)
    if kept:
        _tell_kept(output, "platform: what stays", kept)
    everything = [*(each for one in found for each in one.kept), *kept]
    if everything:
        output.say(
            f"what stays costs about ${monthly(everything):.2f} a month, as far as it has a price of its own, until it"
            " is deleted (prices of us-east-1)"
        )


def _tell_kept(output: Output, title: str, kept: Sequence[Kept]) -> None:
    columns = ["what", "where", "how much", "$ a month", "how it goes"]
    output.table(
        title,
        columns,
        ([k.what, k.where, k.size, "" if k.usd_per_month is None else f"{k.usd_per_month:.4f}", k.way] for k in kept),
    )


def _tell_end(output: Output, found: Sequence[Removal], platform: Stack | None) -> None:
    for one in found:
        output.say(f"{one.model} is removed")
        if (Path("models") / one.model).is_dir():
            output.say(f"  → delete models/{one.model}/, or the next deployment makes it again")
    if platform is not None:
        output.say("the platform is removed: a new deployment begins with a new, empty registry and lake")


def _document(
    found: Sequence[Removal],
    platform: Stack | None,
    kept: Sequence[Kept],
    refused: tuple[str, str] | None,
    *,
    done: bool,
) -> JsonObject:
    models = [
        {
            "model": one.model,
            "stack": one.stack.name if one.stack else None,
            "does": [{"what": what, "sentence": sentence} for what, sentence in does(one)],
            "keeps": one.kept,
        }
        for one in found
    ]
    everything = [*(each for one in found for each in one.kept), *kept]
    return {
        "done": done,
        "refused": {"message": refused[0], "remedy": refused[1]} if refused else None,
        "models": models,
        "platform": {"stack": platform.name if platform else None, "keeps": kept},
        "usd_per_month": monthly(everything),
    }
