"""``everloop local``: imports of the local cloud happen only here and in ``replay``."""

from __future__ import annotations

import shlex

import click

from cli.exceptions import CommandError
from cli.operations.local_cloud import (
    DEFAULT_PORT,
    OTHER_CREDENTIALS,
    STATE,
    bring_up,
    client_environment,
    deploy,
    point_at,
    synthesize_project,
)
from cli.options import json_option
from cli.output import Output
from local import daemon


@click.group()
def local() -> None:
    """The local cloud: the same templates, on this machine."""


@local.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Where its AWS API answers.")
@json_option
def up(port: int, as_json: bool) -> None:
    """Start the local cloud, deploy the templates into it and leave it running.

    Where it runs already, what changed in the project is deployed into it.
    """
    output = Output(as_json)
    running = daemon.find(STATE)
    if running is None:
        running = bring_up(port=port, state_directory=STATE, say=output.note).running
    else:
        assembly = synthesize_project(output.note)
        point_at(running)
        deploy(assembly, STATE, output.note)
    output.document({"endpoint": running.endpoint, "pid": running.pid})
    output.say(f"the local cloud answers at {running.endpoint}; point a shell at it with")
    output.say('  eval "$(everloop local env)"')


@local.command()
@json_option
def down(as_json: bool) -> None:
    """End the local cloud and everything in it."""
    output = Output(as_json)
    running = daemon.find(STATE)
    if running is not None:
        running.stop()
    output.document({"stopped": running is not None})
    output.say("the local cloud is down" if running else "no local cloud was running")


@local.command()
def env() -> None:
    """Print the shell commands that point every AWS tool at the local cloud, as its operator."""
    for name, value in client_environment(_running()).items():
        click.echo(f"export {name}={shlex.quote(value)}")
    click.echo(f"unset {' '.join(OTHER_CREDENTIALS)}")


def _running() -> daemon.RunningCloud:
    running = daemon.find(STATE)
    if running is None:
        raise CommandError("no local cloud is running", "start it with `everloop local up`")
    return running
