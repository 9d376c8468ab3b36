"""``everloop openapi``."""

from __future__ import annotations

import json

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output


@click.command()
@model_argument
@json_option
def openapi(model: str, as_json: bool) -> None:
    """Print the OpenAPI document of MODEL: its paths, and rows as the champion's contract has them.

    It is a JSON document with and without --json. The model's API has the same at openapi.json.
    """
    from everloop.registry.champion_contract import champion_contract  # with numpy
    from everloop.serving.openapi import openapi_document

    output, account = Output(as_json), Account()
    account.model(model)
    found = champion_contract(account.registry(model), account.client("s3"), account.platform.artifact_bucket)
    if found is None:
        raise CommandError(f"no version of {model} serves, so it has no contract", f"`everloop train {model}`")
    version, contract = found
    document = openapi_document(contract, version)
    output.document(document)
    output.page(json.dumps(document, indent=2, ensure_ascii=False))
