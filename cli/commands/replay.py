"""``everloop replay``."""

from __future__ import annotations

import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.local_cloud import bring_up, free_port
from everloop.cli.operations.project import project_folder, synthesize_model
from everloop.cli.options import file_format_options, json_option, model_argument, models_directory_option
from everloop.cli.output import Output
from everloop.cli.replay.report import tell
from everloop.cli.replay.run import run_replay
from everloop.cli.replay.stream import load
from everloop.dataset.file_format import FileFormat


@click.command()
@model_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV or Parquet with the declared columns, in any order.",
)
@click.option("--until-history", required=True, type=click.DateTime(), help="Rows before this date (UTC) are history.")
@click.option(
    "--train-again-every",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="If the first candidate is refused: continue without a champion, and train again after this many days.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write the results. [out/MODEL]")
@click.option("--skip-refused", is_flag=True, help="Leave out bad rows: they are listed, and not sent.")
@file_format_options()
@models_directory_option
@json_option
def replay(
    model: str,
    data: Path,
    until_history: datetime,
    train_again_every: int | None,
    out: Path | None,
    skip_refused: bool,
    file_format: FileFormat,
    models_directory: Path,
    as_json: bool,
) -> None:
    """Replay the rows of a file with MODEL, on a separate local cloud whose clock is moved.

    Where the gate refuses the first candidate, the replay ends and says what helps. With --train-again-every it goes
    on: rows that nobody answers become history once their labels are known, and the next candidate learns from them.

    Exit status 0 means that the loop closed.
    """
    started = time.monotonic()
    output = Output(as_json)
    declaration = find_declaration(model, models_directory)
    cut = until_history.replace(tzinfo=UTC)
    rows = load(data, declaration, cut, file_format, note=output.note, skip_refused=skip_refused)
    # Of this process alone: two replays of one model may run beside each other.
    state = project_folder() / ".everloop" / f"replay-{model}-{os.getpid()}"
    cloud = bring_up(
        port=free_port(),
        state_directory=state,
        say=output.note,
        start_at=rows.starts_at,
        stop_with_parent=True,
        synthesize=partial(synthesize_model, model=model, models_directory=models_directory),
    )
    try:
        result = run_replay(
            cloud,
            declaration,
            rows,
            out or Path("out") / model,
            quiet=False,
            started=started,
            train_again_every=None if train_again_every is None else timedelta(days=train_again_every),
        )
    finally:
        cloud.running.stop()
        shutil.rmtree(state, ignore_errors=True)
    tell(output, result)
    if result.summary.open_links:
        sys.exit(1)
