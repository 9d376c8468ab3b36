"""Bring a local cloud up with the synthesized templates deployed in it, and take it down."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.jobs_here import SETTINGS
from everloop.cli.operations.project import CACHE, project_folder, synthesize_project
from everloop.numbers_of import number_of
from localcloud import daemon
from localcloud.cloudformation.engine import DeployEvent
from localcloud.cloudformation.exceptions import DeployError
from localcloud.core.credentials import ACCOUNT_ID, REGION
from localcloud.deploy import deploy_assembly, destroy_stack

DEFAULT_PORT = 4599

PASS_STEP = timedelta(hours=1)
"""How much time passes between two looks at what happened."""

STATE = Path(".everloop") / "local"
"""Of the project's local cloud."""


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud and what a client needs to talk to it."""

    running: daemon.RunningCloud
    environment: dict[str, str]

    def account(self) -> Account:
        """The local account, as the commands see any account."""
        return Account(boto3.Session())


OTHER_CREDENTIALS = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that would mix another account's credentials with the local cloud's."""


def client_environment(running: daemon.RunningCloud) -> dict[str, str]:
    """The environment that points every AWS tool at the local cloud, as its operator."""
    return running.environment()


def point_at(running: daemon.RunningCloud) -> dict[str, str]:
    """Point this process at a local cloud, as a person's shell would be; what was set."""
    environment = client_environment(running)
    for name in OTHER_CREDENTIALS:
        os.environ.pop(name, None)
    os.environ.update(environment)
    return environment


def bring_up(
    *,
    port: int,
    state_directory: Path,
    say: Callable[[str], None],
    start_at: datetime | None = None,
    stop_with_parent: bool = False,
    account_kind: str = "established",
    cold_starts: bool = False,
    account_id: str = ACCOUNT_ID,
    region: str = REGION,
    synthesize: Callable[[Callable[[str], None]], Path] | None = None,
    settings: Path = SETTINGS,
    processes: daemon.Processes = daemon.PLAINLY,
) -> LocalCloud:
    """Synthesize what changed, start a local cloud and deploy the templates into it.

    The calling process's environment then points at the local cloud, as a person's shell would. When the
    deployment fails the cloud is stopped again.

    Parameters
    ----------
    say : callable
        Takes lines of progress.
    account_kind : str
        What the account may do: one of :data:`localcloud.core.account.KINDS`.
    cold_starts : bool
        Whether functions start as on AWS, and not from processes that have imported their packages.
    account_id, region : str
        Those of everything in it.
    settings : Path
        What its services are told besides the templates.
    processes : Processes
        What the cloud's processes start from.
    synthesize : callable, optional
        Gives the assembly to deploy; this project's app, synthesized when it changed, where there is none.

    Raises
    ------
    CommandError
        Synthesis, the cloud's start or the deployment failed.
    """
    if synthesize is None:
        project_folder()
    if daemon.find(state_directory) is None:
        shutil.rmtree(state_directory, ignore_errors=True)
    # The cloud starts while the templates are synthesized: neither needs the other.
    with ThreadPoolExecutor(max_workers=1) as beside:
        starting = beside.submit(
            daemon.start,
            port,
            state_directory,
            CACHE,
            start_at,
            settings=settings,
            account_kind=account_kind,
            cold_starts=cold_starts,
            account_id=account_id,
            region=region,
            stop_with_parent=stop_with_parent,
            processes=processes,
        )
        try:
            assembly = (synthesize or synthesize_project)(say)
        except BaseException:
            if starting.exception() is None:
                starting.result().stop()
            raise
    running = _started(starting.result)
    cloud = LocalCloud(running, point_at(running))
    try:
        deploy(assembly, state_directory, say)
    except BaseException:
        running.stop()
        raise
    return cloud


def start_empty(
    port: int,
    state_directory: Path,
    account_kind: str = "established",
    account_id: str = ACCOUNT_ID,
    region: str = REGION,
    *,
    cold_starts: bool = False,
    settings: Path = SETTINGS,
) -> daemon.RunningCloud:
    """Start a local cloud of this project in which nothing is deployed: the CDK's command line does that.

    Raises
    ------
    CommandError
        This is not a project's folder, or it did not start.
    """
    project_folder()
    shutil.rmtree(state_directory, ignore_errors=True)
    return _started(
        lambda: daemon.start(
            port,
            state_directory,
            CACHE,
            settings=settings,
            account_kind=account_kind,
            cold_starts=cold_starts,
            account_id=account_id,
            region=region,
        )
    )


def settings_with(issuers: Mapping[str, Path]) -> Path:
    """The settings file that also names files with the keys of token issuers; the usual one where there are none."""
    if not issuers:
        return SETTINGS
    lines = [f"{json.dumps(issuer)} = {json.dumps(str(file.resolve()))}" for issuer, file in issuers.items()]
    CACHE.mkdir(parents=True, exist_ok=True)
    written = CACHE / "localcloud.toml"
    written.write_text(
        "\n".join([SETTINGS.read_text(encoding="utf-8"), "[apigatewayv2.issuers]", *lines, ""]), encoding="utf-8"
    )
    return written


def _started(result: Callable[[], daemon.RunningCloud]) -> daemon.RunningCloud:
    try:
        return result()
    except daemon.CloudAlreadyRunningError as error:
        raise CommandError(str(error), "`everloop local down` stops it") from error
    except daemon.CloudNotStartedError as error:
        raise CommandError(
            str(error), "fix the error in the log; if the port is in use, choose another with --port N"
        ) from error


def pass_time(running: daemon.RunningCloud, begin: datetime, to: datetime, look: Callable[[], None]) -> None:
    """Let the time from ``begin`` to ``to`` go by, and call ``look`` after every hour of it and at the end.

    Raises
    ------
    CommandError
        When something does not come to an end; time has gone by up to there.
    """
    at = begin
    while at < to:
        at = min(at + PASS_STEP, to)
        try:
            running.pass_time(at)
        except (daemon.ControlError, OSError) as error:
            look()
            raise CommandError(
                f"the clock could not be moved to {to:%Y-%m-%d %H:%M} UTC: {error}",
                "wait until it has ended, or end it, and repeat this command; `everloop status` says what runs",
            ) from error
        look()


def deploy(assembly: Path, state_directory: Path, say: Callable[[str], None]) -> None:
    """Deploy an assembly into the account the environment points at."""
    make: Any = boto3.Session().client
    counts: dict[str, int] = {}

    def progress(event: DeployEvent) -> None:
        if event.logical_id:
            counts[event.stack] = counts.get(event.stack, 0) + 1
        elif event.action == "done":
            say(f"deployed {event.stack}: {number_of(counts.get(event.stack, 0), 'resource')}")

    try:
        deploy_assembly(assembly, make, state_directory / "stacks", progress)
    except DeployError as error:
        raise CommandError(str(error), "fix what the error names, then deploy again") from error


def destroy(stack: str, state_directory: Path, say: Callable[[str], None]) -> None:
    """Delete one stack from the account the environment points at, as `cdk destroy` does.

    Raises
    ------
    CommandError
        There is no such stack, or something of it is left.
    """
    kept: list[str] = []

    def progress(event: DeployEvent) -> None:
        if event.action == "retain":
            kept.append(event.type)
        elif event.action == "done":
            say(f"deleted {stack}; resources kept by its template: {len(kept)}")

    make: Any = boto3.Session().client
    try:
        destroy_stack(stack, make, state_directory / "stacks", progress)
    except DeployError as error:
        raise CommandError(
            str(error), "name a deployed stack; if some of its resources are left, repeat this command"
        ) from error


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
