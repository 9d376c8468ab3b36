"""``everloop predict``."""

from __future__ import annotations

import json
import sys
from typing import IO

import click

from cli.account import Account
from cli.exceptions import CommandError
from cli.operations.predictions import predict as ask
from cli.options import json_option, model_argument
from cli.output import Output
from cli.signed_http import SignedHttpClient


@click.command()
@model_argument
@click.argument("instances", type=click.File("r"), default=sys.stdin)
@json_option
def predict(model: str, instances: IO[str], as_json: bool) -> None:
    """Ask MODEL about INSTANCES: a file (or standard input) holding one JSON object, or a list of them."""
    try:
        rows = json.load(instances)
    except ValueError as error:
        raise CommandError(
            f"the instances are no JSON: {error}", 'give {"feature": value, …} or a list of these'
        ) from error
    output, account = Output(as_json), Account()
    deployed = account.model(model)
    answer = ask(SignedHttpClient(account, deployed), deployed, rows if isinstance(rows, list) else [rows])
    output.document(answer)
    output.table(
        f"{model}, version {answer['version']}",
        ["prediction id", "prediction", "probability"],
        ([p["prediction_id"], p["prediction"], p.get("probability")] for p in answer["predictions"]),
    )
