"""``everloop score``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.readiness import readiness_of
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.registry.maturity import maturity


@click.command()
@model_argument
@models_directory_option
@json_option
def score(model: str, models_directory: Path, as_json: bool) -> None:
    """The ML Test Score of MODEL (Breck and others, 2017), from what is on record of the version that serves.

    28 tests in four groups of seven: 1 point where a system runs the test again and again, half a point where a person
    did and that is on record, and 0 with what would earn it. The score is the smallest sum of a group, from 0 to 7.
    """
    output, account = Output(as_json), Account()
    found, status = readiness_of(account, model, models_directory)
    steps = maturity(status)
    told = {"level": steps.level, "steps": [asdict(step) for step in steps.steps]}
    output.document({"model": model, **found.to_json(), "maturity": told})
    for group, findings in found.groups.items():
        output.table(
            f"{group}: {found.sums[group]:g} of {len(findings)}",
            ["test", "points", "asks", "on record, or what would earn it", "shown by"],
            ([one.test, f"{one.points:g}", one.asks, one.evidence, one.link] for one in findings),
        )
    output.say(f"ML Test Score of {model}: {found.score:g} of 7, by {found.weakest}: {found.meaning}")
    output.say(f"maturity: {steps.sentence}")
