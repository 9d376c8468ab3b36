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

COLUMNS = ("prediction", "probability", "low", "high", "error")


@click.command()
@model_argument
@click.argument("instances", metavar="[FILE]", type=click.File("r"), default=sys.stdin)
@click.option(
    "--good-rows", is_flag=True, help="Answer the rows that are right, and say what is wrong with the others."
)
@json_option
def predict(model: str, instances: IO[str], good_rows: bool, as_json: bool) -> None:
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
        answer = ask(http, deployed, rows_of(given), good_rows=good_rows)
    output.document(answer)
    told = told_of(answer["predictions"])
    columns = columns_of(told)
    output.table(
        f"{model}, version {answer['version']}",
        ["prediction id", *columns],
        ([one.get("prediction_id"), *(one.get(name) for name in columns)] for one in told),
    )


def told_of(answered: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The answers to rows; in the place of an error what is wrong, as a sentence."""
    return [
        {"error": f"{one['error']['code']}: {one['error']['message']}"} if "error" in one else one for one in answered
    ]


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
