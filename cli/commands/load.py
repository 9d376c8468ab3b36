"""``everloop load``."""

from __future__ import annotations

import json
import math
import sys
import uuid
from pathlib import Path
from typing import IO, Any

import click

from everloop.cli.account import Account
from everloop.cli.commands.predict import rows_of
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.load import bodies, in_production, predictions_at, send, unsigned
from everloop.cli.options import json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.json_text import read_json
from everloop.serving.load_test import TIMES_PEAK, LoadFound, found_by, unmet


def _number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A range that click checks takes nan for a number within it."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no number", context, parameter)
    return value


@click.command()
@model_argument
@click.argument("requests", metavar="FILE", type=click.File("r"))
@click.option("--url", help="Where `everloop serve` answers, e.g. http://HOST:8080. [the deployed model]")
@click.option(
    "--rate", type=click.FloatRange(0.1, 2000), callback=_number, help="Requests a second. [twice `serving.peak`]"
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 900),
    callback=_number,
    default=30,
    show_default=True,
    help="How long requests are sent.",
)
@click.option(
    "--into-production", is_flag=True, help="Allow it on a deployed model: its rows are captured and monitored."
)
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Append what was found as a JSON line.")
@models_directory_option
@json_option
def load(
    model: str,
    requests: IO[str],
    url: str | None,
    rate: float | None,
    seconds: float,
    into_production: bool,
    record: Path | None,
    models_directory: Path,
    as_json: bool,
) -> None:
    """Send MODEL the rows of FILE at twice its declared peak, and tell how it did.

    Each request is sent when it is due, and its latency counts from then. Each row gets a key of its own, `load-…`.
    The declared limits of the guardrail say what is good enough. Exit status 0 when they are kept, 3 when not.
    """
    output, account = Output(as_json), Account()
    declaration = find_declaration(model, models_directory)
    peak = declaration.serving.peak
    if rate is None:
        if peak is None:
            raise CommandError(f"{model} declares no serving.peak", "declare it, or give --rate")
        rate = TIMES_PEAK * peak.requests_per_second
    run = uuid.uuid4().hex[:12]
    body = bodies(_rows(requests), peak.rows if peak else 1, declaration.data.key, run)
    if url is not None:
        asked = send(account, unsigned(model), predictions_at(url, model), body, rate=rate, seconds=seconds)
        found = found_by(asked, rate)
    else:
        if not into_production:
            raise CommandError(
                f"what is sent to {model} is captured and monitored like any other request",
                "load a server of your own (--url, `everloop docs serve`), or say --into-production",
            )
        found = in_production(account, model, body, rate=rate, seconds=seconds)
    guardrail = declaration.rollout.guardrail
    limits = unmet(found, guardrail.max_p99_latency_ms, guardrail.max_error_rate)
    document = {"model": model, "run": run, "url": url, **found.to_json(), "unmet": limits}
    if record is not None:
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")
    output.document(document)
    output.table(model, ["", ""], _facts(found))
    for sentence in limits:
        output.say(sentence)
    if limits:
        sys.exit(3)


def _rows(file: IO[str]) -> list[Any]:
    try:
        return rows_of(read_json(file.read().removeprefix("\ufeff")))
    except ValueError as error:
        raise CommandError(
            f"{file.name} is not JSON in UTF-8: {error}", 'give {"instances": [{"feature": value, …}, …]}'
        ) from error


def _facts(found: LoadFound) -> list[list[str]]:
    def milliseconds(value: float | None) -> str:
        return "-" if value is None else f"{value:,.1f} ms"

    facts = [
        ["due", f"{found.rate:g} requests/s, {found.requests:,} in all"],
        ["answered", f"{found.throughput:,.1f} requests/s"],
        ["p50, p95, p99", ", ".join(map(milliseconds, (found.p50_ms, found.p95_ms, found.p99_ms)))],
        ["shed (429)", f"{found.shed:,}"],
        ["errors", f"{found.errors:,}"],
    ]
    cold = found.cold_starts
    return facts if cold is None else [*facts, ["cold starts", f"{cold:,}"]]
