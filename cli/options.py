"""The options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from everloop.dataset.file_format import FileFormat

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")

models_directory_option = click.option(
    "--models-directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
    help="The folder of the declarations.",
)

model_argument = click.argument("model")


def existing_file(name: str) -> Callable[..., Any]:
    """An argument that is a file which is there."""
    return click.argument(name, type=click.Path(path_type=Path, exists=True, dir_okay=False))


_CELL_OPTIONS = (
    click.option("--delimiter", metavar="CHAR", help="The character between a CSV's cells: ';', '|' or tab. [,]"),
    click.option("--decimal", type=click.Choice([".", ","]), default=".", help="A CSV's decimal mark. [.]"),
    click.option("--encoding", default="utf-8", metavar="NAME", help="A CSV's encoding, e.g. windows-1252. [utf-8]"),
    click.option(
        "--missing-word",
        "missing_words",
        multiple=True,
        metavar="WORD",
        help="A word that means missing in every column; can be repeated.",
    ),
)

_TIME_OPTIONS = (
    click.option(
        "--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Times are numbers: s, ms, us or ns since 1970."
    ),
    click.option("--time-format", metavar="FORM", help="Times are strings in this format, e.g. '%d.%m.%Y %H:%M'."),
    click.option("--time-zone", metavar="ZONE", help="The zone of times without a zone, e.g. Europe/Berlin. [UTC]"),
)


def file_format_options(*, times: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What a person can say about a file of rows; the command gets it as ``file_format``.

    Parameters
    ----------
    times : bool
        Whether the file has times.
    """
    options = _CELL_OPTIONS + _TIME_OPTIONS * times
    names = ["delimiter", "decimal", "encoding", "missing_words"] + ["time_unit", "time_format", "time_zone"] * times

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_format(**given: Any) -> Any:
            said = {name: given.pop(name) for name in names}
            if said["delimiter"] in ("tab", r"\t"):
                said["delimiter"] = "\t"
            return command(file_format=FileFormat(**said), **given)

        for option in reversed(options):
            with_format = option(with_format)
        return with_format

    return decorate
