"""``everloop labels``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import cast

import click

from everloop.cli.account import Account
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.labels import BATCH, import_labels
from everloop.cli.options import (
    existing_file,
    file_format_options,
    json_option,
    model_argument,
    models_directory_option,
)
from everloop.cli.output import Output
from everloop.cli.signed_http import SignedHttpClient
from everloop.dataset.file_format import FileFormat
from everloop.numbers_of import number_of
from everloop.serving.declared import Declared
from everloop.serving.labels import LabelRules

TOLD_EVERY = 20 * BATCH
"""Labels between two lines of progress."""


@click.group()
def labels() -> None:
    """Labels: what really happened."""


@labels.command("import")
@model_argument
@existing_file("file")
@file_format_options(times=False)
@models_directory_option
@json_option
def import_(model: str, file: Path, file_format: FileFormat, models_directory: Path, as_json: bool) -> None:
    """Send the labels in FILE (CSV or Parquet) to MODEL.

    Two columns: `label`, and `prediction_id` or `key`. A file with a bad row is refused whole; rows are
    counted from 1, without the header. Of two values for
    one prediction the one that arrives last counts: a corrected value wins by being sent later, and a file that is
    sent again doubles nothing, but its values count again over corrections sent in between.
    """
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    account = Account()
    deployed = account.model(model)

    def told(accepted: int, of: int) -> None:
        if accepted % TOLD_EVERY == 0:
            output.note(f"{accepted:,} of {of:,} labels accepted")

    with closing(SignedHttpClient(account, deployed)) as http:
        rules = LabelRules.from_declaration(cast("Declared", declaration.model_dump(mode="json")))
        result = import_labels(http, deployed, rules, file, told, file_format=file_format, note=output.note)
    output.document(result)
    output.say(f"{number_of(result.accepted, 'label')} accepted for {model} from {result.file}")
