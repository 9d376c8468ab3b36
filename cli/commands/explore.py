"""``everloop explore``."""

from __future__ import annotations

from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.exploration import choose, explored_sets, read_set
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output


@click.command()
@model_argument
@click.option("--snapshot", help="First digits of a training set's hash. [the newest]")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. [MODEL-exploration.html]"
)
@json_option
def explore(model: str, snapshot: str | None, output: Path | None, as_json: bool) -> None:
    """Write the exploration of a training set of MODEL as one HTML page: features, target, leakage suspects, drift.

    The page holds everything it shows: it can be sent and kept.
    """
    from everloop.dataset.exploration_page import page

    told, account = Output(as_json), Account()
    account.model(model)
    sets = explored_sets(account, model)
    place = choose(sets, model, snapshot)
    found = read_set(account, model, sets[place])
    before = read_set(account, model, sets[place - 1]).as_tuple if place else None
    target = output or Path(f"{model}-exploration.html")
    target.write_text(page(*found.as_tuple, before), encoding="utf-8")
    suspects = found.snapshot.get("leakage", [])
    told.document(
        {
            "snapshot_hash": found.snapshot_hash,
            "page": str(target),
            "leakage": suspects,
            "exploration": found.exploration,
        }
    )
    told.say(f"wrote {target}: training set {found.snapshot_hash}")
    if suspects:
        rows = ([s["feature"], s["code"], s["sentence"]] for s in suspects)
        told.table("leakage suspects", ["feature", "sign", "what was counted"], rows)
