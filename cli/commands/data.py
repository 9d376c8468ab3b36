"""``everloop data``."""

from __future__ import annotations

from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.history import import_history
from everloop.cli.options import (
    existing_file,
    file_format_options,
    json_option,
    model_argument,
    models_directory_option,
)
from everloop.cli.output import Output
from everloop.dataset.file_format import FileFormat
from everloop.numbers_of import number_of
from everloop.shown import on_one_line


@click.group()
def data() -> None:
    """History: the rows a model is first trained on."""


@data.command("import", short_help="Import the rows of a file into a model's lake.")
@model_argument
@existing_file("file")
@click.option("--skip-refused", is_flag=True, help="Import the good rows of a file with bad rows.")
@file_format_options()
@models_directory_option
@json_option
def import_(
    model: str, file: Path, skip_refused: bool, file_format: FileFormat, models_directory: Path, as_json: bool
) -> None:
    """Bring the rows of FILE (CSV or Parquet, the declared columns, in any order) into the lake of MODEL.

    Every row is checked against the data contract. A file with a bad row is refused whole and its bad rows are
    named, unless --skip-refused. Rows are counted from 1, without the header. Importing the same rows again doubles
    nothing; of a row with other values the last import counts. `everloop docs data-formats` says what a
    file may look like.
    """
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    result = import_history(Account(), declaration, file, file_format, skip_refused=skip_refused)
    output.document(result)
    for note in result.notes:
        output.say(f"  {note}")
    for refused in result.refused[:20]:
        output.say(f"  refused row {refused.row} ({on_one_line(refused.key)}): {refused.reason}")
    verb = ("was" if result.rows == 1 else "were") + " there already" if result.already_there else "imported"
    output.say(f"{number_of(result.rows, 'row')} {verb}: {result.uri}")
