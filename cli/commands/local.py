"""``everloop local``: imports of the local cloud happen only here and in ``replay``."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError, NotDeployedError
from everloop.cli.operations.declarations import model_folders
from everloop.cli.operations.happenings import Happening, Happenings
from everloop.cli.operations.local_cloud import (
    DEFAULT_PORT,
    OTHER_CREDENTIALS,
    STATE,
    bring_up,
    client_environment,
    deploy,
    destroy,
    pass_time,
    point_at,
    settings_with,
    start_empty,
)
from everloop.cli.operations.project import synthesize_project
from everloop.cli.options import json_option
from everloop.cli.output import Output
from everloop.cli.spans import parse_span
from everloop.undeclared import undeclared
from localcloud import daemon
from localcloud.core.account import KINDS
from localcloud.core.credentials import ACCOUNT_ID, REGION


@click.group()
def local() -> None:
    """The local cloud: the same templates, on this machine."""


@local.command(short_help="Start it, or deploy what changed.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port of its AWS API.")
@click.option("--empty", is_flag=True, help="Deploy nothing: use `cdk bootstrap` and `cdk deploy`, as on AWS.")
@click.option(
    "--account-kind",
    type=click.Choice(list(KINDS)),
    default="established",
    show_default=True,
    help="The kind of account: a new account has small quotas.",
)
@click.option("--cold-starts", is_flag=True, help="Functions start, run and wait as on AWS.")
@click.option("--account-id", default=ACCOUNT_ID, show_default=True, help="The account id: twelve digits.")
@click.option("--region", default=REGION, show_default=True, help="The region.")
@click.option(
    "--issuer-keys",
    multiple=True,
    metavar="URL=FILE",
    help="The JSON Web Key Set of a token issuer, for models with serving.authorization jwt; else it is asked for it.",
)
@json_option
def up(
    port: int,
    empty: bool,
    account_kind: str,
    cold_starts: bool,
    account_id: str,
    region: str,
    issuer_keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Start the local cloud, deploy the templates into it and leave it running.

    Where it runs already, what changed in the project is deployed into it. It can be a new account, one in which Lake
    Formation governs the data catalogue, or one in a region without AWS's own layers: what would be refused there is
    refused here.

    Functions start faster than on AWS, and stay for as long as they are used within five minutes of real time. With
    --cold-starts each start imports everything, a process is frozen between events, one that is unused for ten
    minutes is not used again, and on Linux a function's memory sets its share of a processor. What it is started with
    holds until `everloop local down`.
    """
    output = Output(as_json)
    settings = settings_with(dict(map(_issuer, issuer_keys)))
    running = daemon.find(STATE)
    if empty:
        running = running or start_empty(
            port, STATE, account_kind, account_id, region, cold_starts=cold_starts, settings=settings
        )
    elif running is None:
        running = bring_up(
            port=port,
            account_kind=account_kind,
            cold_starts=cold_starts,
            account_id=account_id,
            region=region,
            state_directory=STATE,
            say=output.note,
            settings=settings,
        ).running
    else:
        assembly = synthesize_project(output.note)
        point_at(running)
        # Before it: without any folder left, the deployment fails on the models that are there still.
        _tell_undeclared(output)
        deploy(assembly, STATE, output.note)
    output.document({"endpoint": running.endpoint, "pid": running.pid})
    output.say(f"the local cloud answers at {running.endpoint}; to point a shell at it, type")
    output.say('  eval "$(everloop local env)"')


def _issuer(text: str) -> tuple[str, Path]:
    issuer, _, file = text.partition("=")
    if not issuer.startswith("https://") or not file or not Path(file).is_file():
        raise CommandError(
            f"--issuer-keys {text!r} is no issuer with a file of keys",
            "give the declared issuer and a file that is there, e.g. --issuer-keys https://login.example.com=keys.json",
        )
    return issuer, Path(file)


def _tell_undeclared(output: Output) -> None:
    try:
        deployed = Account().model_names()
    except NotDeployedError:
        return
    for model, sentence in undeclared(deployed, model_folders(Path("models"))).items():
        output.note(f"warning: {model}: {sentence}")


@local.command()
@json_option
def down(as_json: bool) -> None:
    """Stop the local cloud; nothing in it is kept."""
    output = Output(as_json)
    running = daemon.find(STATE)
    if running is not None:
        running.stop()
    output.document({"stopped": running is not None})
    output.say("the local cloud has stopped" if running else "no local cloud was running")


@local.command("destroy", short_help="Delete one stack from it.")
@click.argument("stack")
@json_option
def destroy_(stack: str, as_json: bool) -> None:
    """Delete STACK from the local cloud, e.g. EverloopModel-late-train: what `cdk destroy` does on AWS.

    Its model's rows, artefacts and records stay, as there.
    """
    output, running = Output(as_json), _running()
    point_at(running)
    destroy(stack, STATE, output.note)
    output.document({"destroyed": stack})


@local.command("pass", short_help="Move the clock forward.")
@click.argument("span", required=False)
@click.option("--until", help="A time instead of a SPAN, e.g. 2026-12-01T06:00Z.")
@json_option
def pass_(span: str | None, until: str | None, as_json: bool) -> None:
    """Let SPAN go by at once in the local cloud: 30m, 2h, 3d, 1d12h.

    All that is due on the way happens at its instant: waits of pipelines, schedules, alarms, deliveries. The clock
    then goes on from there. While a job or a function runs it stands still.
    """
    output, running = Output(as_json), _running()
    point_at(running)
    begin = datetime.fromisoformat(running.clock()["now"])
    to = _target(begin, span, until)
    account = Account()
    happenings = Happenings(account, account.model_names())
    happenings.skip()
    told: list[Happening] = []

    def look() -> None:
        for happening in happenings.new():
            told.append(happening)
            output.say(f"{happening.at:%Y-%m-%d %H:%M}  {happening.model}: {happening.what}")

    pass_time(running, begin, to, look)
    output.document({"from": begin, "to": to, "happened": told})
    if not told:
        output.say("nothing happened meanwhile")
    output.say(f"the local cloud's clock is at {to:%Y-%m-%d %H:%M} UTC")


def _target(now: datetime, span: str | None, until: str | None) -> datetime:
    if (span is None) == (until is None):
        raise CommandError("give either SPAN or --until", "e.g. `everloop local pass 2h`, or --until 2026-12-01T06:00Z")
    if span is not None:
        try:
            return now + parse_span(span)
        except ValueError as error:
            raise CommandError(str(error), "`everloop local pass 2h` moves the clock two hours forward") from error
    try:
        to = datetime.fromisoformat(str(until))
    except ValueError as error:
        raise CommandError(
            f"--until {until!r} is not a time", f"give it in ISO 8601, e.g. {now + timedelta(days=1):%Y-%m-%dT%H:%MZ}"
        ) from error
    to = to.replace(tzinfo=UTC) if to.tzinfo is None else to.astimezone(UTC)
    if to < now:
        raise CommandError(
            f"--until {to:%Y-%m-%d %H:%M} UTC is in the past: it is {now:%Y-%m-%d %H:%M} UTC in the local cloud",
            "the clock can only move forward; `everloop local down` and `up` start again",
        )
    return to


@local.command(short_help="Print the commands that point a shell at it.")
@json_option
def env(as_json: bool) -> None:
    """Print the shell commands that point every AWS tool at the local cloud, as its operator."""
    output, variables = Output(as_json), client_environment(_running())
    output.document({"set": variables, "unset": OTHER_CREDENTIALS})
    for name, value in variables.items():
        output.say(f"export {name}={shlex.quote(value)}")
    output.say(f"unset {' '.join(OTHER_CREDENTIALS)}")


def _running() -> daemon.RunningCloud:
    running = daemon.find(STATE)
    if running is None:
        raise CommandError(
            f"no local cloud of the project in {Path.cwd()} is running", "start it there with `everloop local up`"
        )
    return running
