"""``everloop calibration``."""

from __future__ import annotations

import click

from everloop.cli.account import Account
from everloop.cli.operations.calibrations import (
    act_on_calibrations,
    calibrations_of,
    named_calibration,
    sentence_of,
)
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute

REASON = click.option("--reason", required=True, help="Why; the audit chain keeps it.")


@click.group()
def calibration() -> None:
    """How scores follow the labels between trainings."""


@calibration.command("show", short_help="What is served, and what there was before.")
@model_argument
@json_option
def show(model: str, as_json: bool) -> None:
    """What is served between the raw scores of MODEL and its callers, what it does, and what there was before."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = calibrations_of(account.registry(model))
    output.document(found.to_json())
    output.say(
        f"version {found.champion.version} is served with calibration {sentence_of(found.in_force, found.freeze)}"
    )
    output.table(
        "what it does", ["raw score", "served"], ([f"{raw:.4g}", f"{served:.4g}"] for raw, served in found.moves())
    )
    if found.latest is not None:
        output.say(f"last window: {found.latest['decision']}: {found.latest['reasons'][0]['sentence']}")
    output.table(
        f"calibrations of version {found.champion.version}",
        ["name", "published", "labelled until", "rows", "loss raw", "recalibrated", "in force"],
        (
            [
                record.name,
                minute(record.at),
                minute(record.learned_until),
                record.rows,
                "" if record.loss_raw is None else f"{record.loss_raw:.4g}",
                "" if record.loss_recalibrated is None else f"{record.loss_recalibrated:.4g}",
                "yes" if record == found.in_force else "",
            ]
            for record in found.history
        ),
    )


@calibration.command("revert", short_help="Go back to an earlier one, or to none.")
@model_argument
@click.option("--to", "name", default="none", show_default=True, help="An earlier calibration's name, or none.")
@REASON
@json_option
def revert(model: str, name: str, reason: str, as_json: bool) -> None:
    """Serve MODEL with an earlier calibration or with none, and hold calibrations still from then on."""
    output, account = Output(as_json), Account()
    account.model(model)
    to = named_calibration(calibrations_of(account.registry(model)), name)
    answer = act_on_calibrations(account, model, "revert_calibration", reason=reason, to=to)
    output.document(answer)
    output.say(f"version {answer['version']} is served with calibration {answer['calibration'] or 'none'}")
    output.say(f"calibrations are held still until `everloop calibration resume {model} --reason …`")


@calibration.command("freeze", short_help="Hold calibrations still.")
@model_argument
@REASON
@json_option
def freeze(model: str, reason: str, as_json: bool) -> None:
    """Hold the calibrations of MODEL still: what serves stays, and none is published."""
    output, account = Output(as_json), Account()
    account.model(model)
    answer = act_on_calibrations(account, model, "freeze_calibrations", reason=reason)
    output.document(answer)
    output.say(f"calibration {answer['calibration'] or 'none'} stays until `everloop calibration resume {model}`")


@calibration.command("resume", short_help="Let calibrations go on.")
@model_argument
@REASON
@json_option
def resume(model: str, reason: str, as_json: bool) -> None:
    """Let the calibrations of MODEL go on: the next window that teaches something publishes one."""
    output, account = Output(as_json), Account()
    account.model(model)
    answer = act_on_calibrations(account, model, "resume_calibrations", reason=reason)
    output.document(answer)
    output.say("calibrations go on with the next window")
