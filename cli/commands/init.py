"""``everloop init``."""

from __future__ import annotations

from pathlib import Path

import click

from everloop.cli.operations.new_project import write_project
from everloop.cli.options import json_option
from everloop.cli.output import Output


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Begin a project in FOLDER, by default here: an app, an example model on made-up data, and a CI workflow.

    Existing files are never overwritten.
    """
    output = Output(as_json)
    files = write_project(folder)
    output.document({"folder": str(folder.resolve()), "files": [path.as_posix() for path in files]})
    for path in files:
        output.say(f"  {path}")
    output.say("README.md lists the commands. Start with the example:")
    if folder != Path():
        output.say(f"  cd {folder}")
    output.say("  everloop check")
    output.say("  python models/bread_sold/make_data.py sales.csv")
    output.say("  everloop try bread_sold --data sales.csv")
