"""``everloop predict``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from everloop.cli.account import Account, DeployedModel
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.load import predictions_at, unsigned
from everloop.cli.operations.predictions import predict as ask
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.cli.signed_http import SignedHttpClient
from everloop.json_text import read_json
from everloop.numbers_of import number_of

if TYPE_CHECKING:
    from everloop.cli.operations.prediction_lines import LinesAnswered  # with what reads declarations

COLUMNS = ("prediction", "probability", "low", "high", "error")


LINES = frozenset({".jsonl", ".ndjson"})
"""How files of JSON Lines end."""

TOLD_EVERY = 10_000
"""Rows between two lines of progress."""


@click.command()
@model_argument
@click.argument("instances", metavar="[FILE]", type=click.File("rb"), default="-")
@click.option(
    "--good-rows", is_flag=True, help="Answer the rows that are right, and say what is wrong with the others."
)
@click.option("--lines", is_flag=True, help="FILE has a row in each line, also where its name is not *.jsonl.")
@click.option(
    "--output",
    "answers",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write answers to a new file, as lines.",
)
@click.option("--url", help="Where `everloop serve` answers, e.g. http://HOST:8080. [the deployed model]")
@models_directory_option
@json_option
def predict(
    model: str,
    instances: IO[bytes],
    good_rows: bool,
    lines: bool,
    answers: Path | None,
    url: str | None,
    models_directory: Path,
    as_json: bool,
) -> None:
    """Ask MODEL for predictions on the rows of FILE, or of standard input: a request's body, a list, or one row.

    A file of JSON Lines (*.jsonl) may be of any length: its rows are sent in as many requests as it takes, and each
    line is answered by a line. No more than one request's rows are in memory.
    """
    output, account = Output(as_json), Account()
    if url is None:
        deployed = account.model(model)
    else:
        deployed = replace(unsigned(model), predictions_url=predictions_at(url, model))
    with closing(SignedHttpClient(account, deployed)) as http:
        if lines or Path(instances.name).suffix.lower() in LINES:
            most = _most_rows(model, models_directory)
            found = _answer_lines(http, deployed, instances, answers, good_rows=good_rows, most=most, output=output)
            output.document(found)
            output.note(_told(found, answers))
            return
        if answers is not None:
            raise click.UsageError("--output is for a file of JSON Lines: name it *.jsonl, or say --lines")
        answer = ask(http, deployed, rows_of(_document(instances)), good_rows=good_rows)
    output.document(answer)
    told = told_of(answer["predictions"])
    columns = columns_of(told)
    output.table(
        f"{model}, version {answer['version']}",
        ["prediction id", *columns],
        ([one.get("prediction_id"), *(one.get(name) for name in columns)] for one in told),
    )


def _document(file: IO[bytes]) -> Any:
    try:
        return read_json(file.read().decode("utf-8-sig"))
    except ValueError as error:
        raise CommandError(
            f"{file.name} is not JSON in UTF-8: {error}", 'give {"instances": [{"feature": value, …}, …]}'
        ) from error


def _answer_lines(
    http: SignedHttpClient,
    deployed: DeployedModel,
    file: IO[bytes],
    answers: Path | None,
    *,
    good_rows: bool,
    most: int,
    output: Output,
) -> LinesAnswered:
    """Answer a file line by line, to another file or to standard output."""
    from everloop.cli.operations.prediction_lines import predict_lines  # with what reads declarations

    if answers is None and output.as_json:
        raise click.UsageError("--json tells how many rows were answered; name a file for the answers with --output")
    told = TOLD_EVERY

    def on_progress(found: LinesAnswered) -> None:
        nonlocal told
        if found.rows >= told:
            output.note(f"{found.rows:,} rows")
            told = (found.rows // TOLD_EVERY + 1) * TOLD_EVERY

    with ExitStack() as opened:
        write: Callable[[str], object] = partial(click.echo, nl=False)
        if answers is not None:
            try:
                write = opened.enter_context(answers.open("x", encoding="utf-8")).write
            except FileExistsError:
                raise CommandError(f"{answers} is there already", "name another file, or move it away") from None
        return predict_lines(http, deployed, file, write, good_rows=good_rows, most_rows=most, on_progress=on_progress)


def _most_rows(model: str, models_directory: Path) -> int:
    """How many rows a request may have: as declared, where the declaration is at hand."""
    from everloop.cli.operations.declarations import find_declaration
    from everloop.cli.operations.prediction_lines import MOST_ROWS

    try:
        return find_declaration(model, models_directory).serving.max_rows
    except CommandError:
        return MOST_ROWS


def _told(found: LinesAnswered, answers: Path | None) -> str:
    by = f" by version {', '.join(map(str, found.versions))}" if found.versions else ""
    refused = f", {found.refused:,} refused" if found.refused else ""
    where = f"; the answers are in {answers}" if answers else ""
    return f"{number_of(found.answered, 'row')} answered{by}{refused}{where}"


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
