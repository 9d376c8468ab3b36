"""``everloop predict``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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

COLUMNS = ("prediction", "probability", "low", "high")


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
    columns = columns_of(answer["predictions"])
    output.table(
        f"{model}, version {answer['version']}",
        ["prediction id", *columns],
        ([one["prediction_id"], *(one.get(name) for name in columns)] for one in answer["predictions"]),
    )


def columns_of(predictions: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the predictions is shown: a regression has no probability, and bounds only where it declares them."""
    return [name for name in COLUMNS if any(name in one for one in predictions)]


def rows_of(given: Any) -> list[Any]:
    """The rows in a request's body, a list, or one row; what is wrong with a row the API says."""
    if isinstance(given, list):
        return given
    if isinstance(given, dict) and isinstance(given.get("instances"), list):
        return list(given["instances"])
    return [given]
