"""``everloop reproduce``."""

from __future__ import annotations

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.reproduce import Reproduced, Reproduction, Where, reproduce
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output


@click.command("reproduce")
@model_argument
@click.argument("version", type=int)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Works in this folder, and leaves it.")
@click.option(
    "--environment",
    type=click.Choice(["lock", "here"]),
    default="lock",
    show_default=True,
    help="Installs the version's packages by its lock, or takes those of this machine.",
)
@click.option("--record", is_flag=True, help="Writes what came out into the audit chain, under your identity.")
@json_option
def reproduce_(model: str, version: int, keep: Path | None, environment: str, record: bool, as_json: bool) -> None:
    """Train VERSION of MODEL again, from its record alone, and compare what comes out.

    The snapshot's files, the code archive, the lock, seed and parameters are those of the record. Exit status 0 when
    the model is the same, byte for byte, 3 when it is not, 1 when it can't be trained again.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="everloop-") as folder:
        where: Where = "here" if environment == "here" else "lock"
        found = reproduce(account, model, version, Path(folder), environment=where, say=output.note)
    if record:
        _record(account, found)
    output.document(found.to_json())
    for one in found.models:
        _show(output, one)
    if not found.environment.whole:
        output.say(f"The environment was not rebuilt: {found.environment.reason}.")
    if not found.identical:
        sys.exit(3)


def _record(account: Account, found: Reproduction) -> None:
    """Under the identity of whoever types it."""
    account.registry(found.model, caller="release").reproductions.record(
        found.version,
        identical=found.identical,
        whole=found.environment.whole,
        at=account.now(),
        actor=account.client("sts").get_caller_identity()["Arn"],
    )


def _show(output: Output, one: Reproduced) -> None:
    output.say(f"The {one.what} model is {'the same, byte for byte' if one.identical else 'not the same'}.")
    output.table(
        f"{one.what} model",
        ["file", "registered", "made", "same"],
        ([name, f["registered"][:12], f["made"][:12], f["same"]] for name, f in one.files.items()),
    )
    for difference in one.differences:
        output.say(f"- {difference}")
    if one.metrics:
        rows = ([name, values["registered"], values["made"]] for name, values in one.metrics.items())
        output.table("metrics", ["metric", "registered", "made"], rows)
