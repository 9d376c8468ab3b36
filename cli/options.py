"""The options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")

models_directory_option = click.option(
    "--models-directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
    help="Where the declarations are.",
)

model_argument = click.argument("model")


def existing_file(name: str) -> Callable[..., Any]:
    """An argument that is a file which is there."""
    return click.argument(name, type=click.Path(path_type=Path, exists=True, dir_okay=False))
