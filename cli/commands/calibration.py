"""``everloop calibration``."""

from __future__ import annotations

from typing import Any

import click

from everloop.cli.account import Account
from everloop.cli.operations.calibrations import (
    act_on_calibrations,
    calibrations_of,
    named_calibration,
)
from everloop.cli.operations.stories import calibration_sentence
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.documents.recalibration import SpreadFigures

REASON = click.option("--reason", required=True, help="The reason, stored in the audit chain.")


FAIR = ("calibration", "slope", "selection_rate", "true_positive_rate", "false_positive_rate")


def figure(value: float | None) -> str:
    """A figure of a table."""
    return "" if value is None else f"{value:.4g}"


def interval(estimate: Any) -> str:
    """A figure with its interval."""
    return "" if estimate is None else f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


COVERED = ("coverage", "rows", "mean width", "score")


def covered(figures: SpreadFigures | None, name: str) -> str:
    """A figure of how intervals did; coverage with its 95 % interval."""
    if figures is None:
        return ""
    if name == "coverage":
        between = "" if figures["low"] is None else f" ({figures['low']:.3f} to {figures['high']:.3f})"
        return f"{figures['coverage']:.3f}{between}"
    return {"rows": str(figures["rows"]), "mean width": f"{figures['mean_width']:.4g}"}.get(
        name, f"{figures['score']:.4g}"
    )


@click.group()
def calibration() -> None:
    """How scores follow the labels between trainings."""


@calibration.command("show", short_help="The calibration in use, and earlier ones.")
@model_argument
@json_option
def show(model: str, as_json: bool) -> None:
    """The calibration between the raw and the served scores of MODEL, its effect, and earlier calibrations."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = calibrations_of(account.registry(model))
    output.document(found.to_json())
    said = calibration_sentence(found.in_force, found.freeze)
    output.say(f"version {found.champion.version} is served with calibration {said}")
    output.table(
        "what it does", ["raw score", "served"], ([f"{raw:.4g}", f"{served:.4g}"] for raw, served in found.moves())
    )
    groups = found.of_groups()
    if groups:
        raw = [f"{score:.4g}" for score, _ in found.moves()]
        output.table(
            "what it does by group",
            ["group", *raw, "loss shared", "own", "served as all others, because"],
            ([g.name, *map(figure, g.served), figure(g.loss_shared), figure(g.loss_own), g.why_not] for g in groups),
        )
        output.table(
            "how groups fare, before and after the last window (95 %)",
            ["group", "", *FAIR],
            (
                [g.name, when, *(interval(served.get(name)) for name in FAIR)]
                for g in groups
                for when, served in (("before", g.before), ("after", g.after))
                if served is not None
            ),
        )
    intervals = found.intervals()
    if intervals is not None:
        output.table(
            f"intervals of {intervals.coverage:.3g}",
            ["", "below", "above", *COVERED],
            (
                [when, *(f"{width:.4g}" for width in widths), *(covered(figures, name) for name in COVERED)]
                for when, widths, figures in (
                    ("at birth", intervals.born, intervals.raw),
                    ("as served", intervals.in_force, intervals.served),
                )
            ),
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
@click.option("--to", "name", default="none", show_default=True, help="The name of an earlier calibration, or none.")
@REASON
@json_option
def revert(model: str, name: str, reason: str, as_json: bool) -> None:
    """Serve MODEL with an earlier calibration or with none, and freeze calibrations from then on."""
    output, account = Output(as_json), Account()
    account.model(model)
    to = named_calibration(calibrations_of(account.registry(model)), name)
    answer = act_on_calibrations(account, model, "revert_calibration", reason=reason, to=to)
    output.document(answer)
    output.say(f"version {answer['version']} is served with calibration {answer['calibration'] or 'none'}")
    output.say(f"calibrations are frozen until `everloop calibration resume {model} --reason …`")


@calibration.command("freeze", short_help="Freeze calibrations.")
@model_argument
@REASON
@json_option
def freeze(model: str, reason: str, as_json: bool) -> None:
    """Freeze the calibrations of MODEL: the one in use stays, and none is published."""
    output, account = Output(as_json), Account()
    account.model(model)
    answer = act_on_calibrations(account, model, "freeze_calibrations", reason=reason)
    output.document(answer)
    output.say(
        f"calibration {answer['calibration'] or 'none'} stays in use until `everloop calibration resume {model}`"
    )


@calibration.command("resume", short_help="Resume calibrations.")
@model_argument
@REASON
@json_option
def resume(model: str, reason: str, as_json: bool) -> None:
    """Resume the calibrations of MODEL: the next window from which something is learned publishes one."""
    output, account = Output(as_json), Account()
    account.model(model)
    answer = act_on_calibrations(account, model, "resume_calibrations", reason=reason)
    output.document(answer)
    output.say("calibrations resume with the next window")
