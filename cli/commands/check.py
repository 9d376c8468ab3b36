"""``everloop check``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.exceptions import CommandError
from cli.operations.declarations import declared_models, find_declaration
from cli.options import json_option, models_directory_option
from cli.output import Output
from everloop.model_file import ModelFileError, training_run_usd


@click.command()
@click.argument("models", nargs=-1)
@models_directory_option
@json_option
def check(models: tuple[str, ...], models_directory: Path, as_json: bool) -> None:
    """Check the declarations of MODELS (all of them, where none is named).

    Exit status 1 when any has a mistake.
    """
    output = Output(as_json)
    names = list(models) or declared_models(models_directory)
    if not names:
        raise CommandError(
            f"no models/<name>/model.yaml in {models_directory.resolve()}", "docs/add-a-model.md shows how to add one"
        )
    results = []
    for name in names:
        try:
            declaration = find_declaration(name, models_directory)
        except ModelFileError as error:
            results.append({"model": name, "ok": False, "mistakes": error.mistakes})
            output.say(str(error))
        else:
            features, cost = len(declaration.data.features), training_run_usd(declaration)
            results.append({"model": name, "ok": True, "mistakes": [], "training_run_usd": cost})
            kind = f"{declaration.problem.type}, {features} features"
            output.say(f"{name}: good ({kind}, at most ${cost:.3f} for the jobs of a training run)")
    output.document(results)
    if not all(result["ok"] for result in results):
        sys.exit(1)
