"""``everloop manifest``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.manifests import commit_new, newest
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.numbers_of import number_of


@click.command()
@model_argument
@click.option(
    "--commit",
    "repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Commit every change of what serves to the git repository in FOLDER.",
)
@json_option
def manifest(model: str, repository: Path | None, as_json: bool) -> None:
    """Show what serves MODEL: files with their hashes, calibration, declaration, and where it runs.

    It is archived each time it changes. With --commit the git repository gets one commit for each change that it lacks,
    oldest first, at the time of the change. `everloop serve serving.json` serves the same elsewhere.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    if repository is None:
        found = newest(account, model)
        output.document(found)
        output.say(json.dumps(found, indent=2, sort_keys=True))
        return
    done = commit_new(account, model, repository)
    output.document([asdict(one) for one in done])
    for one in done:
        output.say(one.message.partition("\n")[0])
    output.say(f"{number_of(len(done), 'commit')} in {repository}" if done else f"{repository} has all of them")
