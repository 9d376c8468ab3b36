"""A small local cloud in the test's process: the AWS API with the hooks of this project."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from localcloud.core.account import KINDS, Account
from localcloud.core.context import CloudContext
from localcloud.core.credentials import Operator
from localcloud.core.settings import Settings

START = datetime(2026, 1, 5, tzinfo=UTC)

Client = Any
"""A boto3 client. The service's name is data, and boto3's types have a class for each service that they know."""

Statement = dict[str, Any]
"""A statement of a policy, as IAM writes it in JSON."""


@dataclass(frozen=True)
class Place:
    """What the clouds of a process have in common, one after the other, so that one client reaches each of them.

    To make a client takes as long as to start a cloud. Who changes the events of the operator's clients takes it back.
    """

    port: int
    operator: Operator = field(default_factory=Operator.random)
    clients: dict[tuple[str, ...], Any] = field(default_factory=dict)


_places: list[Place] = []


def _listen() -> tuple[socket.socket, Place]:
    """At the newest place; at another where somebody listens there, as the first of a test's two clouds does."""
    from localcloud.core.http_server import PortTakenError, listen

    try:
        if _places:
            return listen(_places[-1].port), _places[-1]
    except PortTakenError:
        pass
    listening = listen(0)
    _places.append(Place(listening.getsockname()[1]))
    return listening, _places[-1]


@dataclass
class Cloud:
    """A running local cloud, and what tests do with it again and again."""

    context: CloudContext

    def client(self, service: str, **credentials: str) -> Client:
        """A boto3 client, the operator's unless credentials are given."""
        return self.context.client(service, **credentials)

    def advance(self, **delta: float) -> list[str]:
        """Move the clock on by a timedelta's arguments; the labels of the timers that ran."""
        return self.context.clock.advance(self.context.clock.now() + timedelta(**delta), quiet_timeout_seconds=60)

    def wait_until_quiet(self) -> None:
        """Return once nothing is under way."""
        self.context.activity.wait_until_quiet(60)

    def role(self, name: str, service: str, *statements: Statement) -> str:
        """Create a role that ``service`` may assume, with one inline policy; its ARN."""
        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(policy))
        return arn

    def role_client(self, service: str, role_arn: str, principal: str) -> Client:
        """A client with the credentials ``principal`` gets for a role."""
        from localcloud.iam.roles import role_credentials

        return self.client(service, **role_credentials(self.context, role_arn, "test", principal))


def allow(actions: str | list[str], resources: str | list[str] = "*", **more: Any) -> Statement:
    """An Allow statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


class MakeCloud(Protocol):
    """Starts local clouds, one at a time."""

    def __call__(
        self, start: datetime | None = START, account: str | Account = "established", settings: Settings | None = None
    ) -> Cloud:
        """Start one with ``start`` as the clock's time (None: real time)."""


@pytest.fixture
def make_cloud(tmp_path: Path) -> Iterator[MakeCloud]:
    """Starts local clouds; they end with the test."""
    from moto.moto_api._internal.models import moto_api_backend

    from localcloud import hooks
    from localcloud.aws_api import AwsApi
    from localcloud.core.activity import Activity
    from localcloud.core.clock import Clock
    from localcloud.core.http_server import HttpResponse, HttpServer
    from localcloud.iam import usage
    from localcloud.services.registry import services

    servers: list[HttpServer] = []
    contexts: list[CloudContext] = []

    def make(
        start: datetime | None = START, account: str | Account = "established", settings: Settings | None = None
    ) -> Cloud:
        # The port is held from now on: another process could take one that is only known to be free.
        listening, place = _listen()
        activity = Activity()
        context = CloudContext(
            clock=Clock(activity, start),
            activity=activity,
            port=place.port,
            state_directory=tmp_path / "state",
            cache_directory=tmp_path / "cache",
            account=KINDS[account] if isinstance(account, str) else account,
            settings=settings or Settings(),
            operator=place.operator,
            _clients=place.clients,
        )
        hooks.install(context)
        server = HttpServer(listening, AwsApi(lambda _: HttpResponse(404), context, services()), name="aws-api")
        server.start()
        servers.append(server)
        contexts.append(context)
        return Cloud(context)

    yield make
    for server in servers:
        server.stop()
        moto_api_backend.reset()
    hooks.uninstall()
    for context in contexts:
        usage.end(context)


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """A local cloud whose clock stands at the first Monday of 2026."""
    return make_cloud()
