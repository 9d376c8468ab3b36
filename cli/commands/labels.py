"""``everloop labels``."""

from __future__ import annotations

from pathlib import Path

import click

from cli.account import Account
from cli.operations.labels import import_labels
from cli.options import existing_file, json_option, model_argument
from cli.output import Output
from cli.signed_http import SignedHttpClient


@click.group()
def labels() -> None:
    """Outcomes: what really happened."""


@labels.command("import")
@model_argument
@existing_file("file")
@json_option
def import_(model: str, file: Path, as_json: bool) -> None:
    """Send the outcomes in FILE (CSV or Parquet) to MODEL.

    Two columns: `label`, and `prediction_id` or `key`. Sending a file again changes nothing; a corrected value
    wins by arriving later.
    """
    output, account = Output(as_json), Account()
    deployed = account.model(model)
    result = import_labels(SignedHttpClient(account, deployed), deployed, file)
    output.document(result)
    output.say(f"{result.accepted:,} labels accepted for {model} from {result.file}")
