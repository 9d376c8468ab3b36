"""``everloop recapture``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.recapture import recapture as send
from everloop.cli.operations.recapture import rows_of_file, rows_of_log
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.numbers_of import number_of


@click.command()
@model_argument
@click.option(
    "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Rows of `everloop serve --capture FILE`. [the log of MODEL's prediction function]",
)  # fmt: skip
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="How far back the log is read.")
@json_option
def recapture(model: str, file: Path | None, days: int, as_json: bool) -> None:
    """Bring predicted rows of MODEL into the lake that are not there yet.

    A row that the stream does not take is in the function's log (the metric CaptureFallback counts them). A server of
    your own keeps its rows in a file. Both are sent to the model's stream. To send a row twice does no harm: in the
    lake a prediction counts once.
    """
    output = Output(as_json)
    account = Account()
    deployed = account.model(model)
    if file is not None:
        source, rows = str(file), rows_of_file(file)
    else:
        source = f"/aws/lambda/{deployed.predict_function}"
        rows = rows_of_log(account.client("logs"), source, account.now() - timedelta(days=days))
    result = send(account.client("firehose"), deployed, rows, source)
    output.document(result)
    output.say(f"{number_of(result.rows, 'row')} of {result.source} sent to {deployed.predictions_stream}")
