"""``everloop card``."""

from __future__ import annotations

from pathlib import Path

import click

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output


@click.command()
@model_argument
@models_directory_option
@json_option
def card(model: str, models_directory: Path, as_json: bool) -> None:
    """The card of MODEL, as Markdown: purpose, worth, owners, controls of its risk tier, sources, data dictionary.

    It is made from the declaration alone; `everloop report MODEL` and `everloop status MODEL` have what was measured.
    """
    from everloop.evaluation.card import DICTIONARY, dictionary
    from everloop.evaluation.card import card as card_of

    output, declaration = Output(as_json), find_declaration(model, models_directory)
    text = card_of(declaration)
    columns = [dict(zip(DICTIONARY, cells, strict=True)) for cells in dictionary(declaration)]
    output.document({"model": model, "tier": declaration.risk.tier, "dictionary": columns, "card": text})
    output.page(text)
