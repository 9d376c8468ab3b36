"""``everloop card``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@click.command()
@model_argument
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Writes the card as one HTML page to this file."
)
@click.option("--evaluated", is_flag=True, help="Adds what the evaluation of a version found to the page.")
@click.option("--version", type=int, help="The version for --evaluated. [the version that serves]")
@click.option("--deployed", is_flag=True, help="Adds what is on record: money, ML Test Score, maturity, waivers.")
@models_directory_option
@json_option
def card(
    model: str,
    html: Path | None,
    evaluated: bool,
    version: int | None,
    deployed: bool,
    models_directory: Path,
    as_json: bool,
) -> None:
    """The card of MODEL, as Markdown: purpose, worth, owners, controls of its risk tier, sources, data dictionary.

    It is made from the declaration alone. With --html it is a page for any browser, and with --evaluated that page
    also has the evaluation of a version, which is read from the account. With --deployed the text has a last section
    with what is on record there.
    """
    from everloop.evaluation.card import DICTIONARY, dictionary
    from everloop.evaluation.card import card as card_of

    if html is None and (evaluated or version is not None):
        raise CommandError("--evaluated and --version are for a page", f"everloop card {model} --html FILE --evaluated")
    if html is not None and deployed:
        raise CommandError("--deployed is for the text", f"everloop card {model} --html FILE --evaluated")
    output, declaration = Output(as_json), find_declaration(model, models_directory)
    if html is not None:
        size = _write(declaration, html, evaluated or version is not None, version)
        output.document({"model": model, "html": str(html), "bytes": size})
        output.say(f"{html} has the card of {model}: {size:,} bytes, for any browser")
        return
    text = card_of(declaration) + (_on_record(model, models_directory) if deployed else "")
    columns = [dict(zip(DICTIONARY, cells, strict=True)) for cells in dictionary(declaration)]
    output.document({"model": model, "tier": declaration.risk.tier, "dictionary": columns, "card": text})
    output.page(text)


def _write(declaration: ModelDeclaration, file: Path, evaluated: bool, version: int | None) -> int:
    from everloop.cli.account import Account
    from everloop.cli.operations.reports import about, evaluation_of, write_html
    from everloop.evaluation.card_page import card_page

    if not evaluated:
        return write_html(card_page(declaration), file)
    account = Account()
    account.model(declaration.model)
    found = evaluation_of(account, declaration.model, version)
    return write_html(card_page(declaration, (found.report, about(found))), file)


def _on_record(model: str, models_directory: Path) -> str:
    from everloop.cli.account import Account
    from everloop.cli.operations.money import money_sentence
    from everloop.cli.operations.readiness import readiness_of
    from everloop.cli.operations.stories import waiver_sentence
    from everloop.registry.maturity import maturity

    account = Account()
    found, status = readiness_of(account, model, models_directory)
    now = account.now()
    sums = ", ".join(f"{group} {points:g}" for group, points in found.sums.items())
    lines = ["", "## On record", "", f"- ML Test Score: {found.score:g} of 7 ({sums}): {found.meaning}"]
    lines.append(f"- maturity: {maturity(status).sentence}")
    version = status.champion_version
    if version is not None and (money := version.gate.get("money")):
        lines.append(f"- version {version.version}, by its evaluation: {money_sentence(money)}")
    lines += [f"- waived: {waiver_sentence(one)}" for one in status.waivers if one.holds(now)]
    return "\n".join(lines) + "\n"
