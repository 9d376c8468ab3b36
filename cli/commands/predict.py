"""``everloop predict``."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import IO, Any

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.predictions import predict as ask
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.cli.signed_http import SignedHttpClient
from everloop.json_text import read_json


@click.command()
@model_argument
@click.argument("instances", metavar="[FILE]", type=click.File("r"), default=sys.stdin)
@json_option
def predict(model: str, instances: IO[str], as_json: bool) -> None:
    """Ask MODEL for predictions on the rows of FILE, or of standard input: a request's body, a list, or one row."""
    try:
        given = read_json(instances.read().removeprefix("\ufeff"))
    except ValueError as error:
        raise CommandError(
            f"{instances.name} is not JSON in UTF-8: {error}", 'give {"instances": [{"feature": value, …}, …]}'
        ) from error
    output, account = Output(as_json), Account()
    deployed = account.model(model)
    with closing(SignedHttpClient(account, deployed)) as http:
        answer = ask(http, deployed, rows_of(given))
    output.document(answer)
    output.table(
        f"{model}, version {answer['version']}",
        ["prediction id", "prediction", "probability"],
        ([p["prediction_id"], p["prediction"], p.get("probability")] for p in answer["predictions"]),
    )


def rows_of(given: Any) -> list[Any]:
    """The rows in a request's body, a list, or one row; what is wrong with a row the API says."""
    if isinstance(given, list):
        return given
    if isinstance(given, dict) and isinstance(given.get("instances"), list):
        return list(given["instances"])
    return [given]
