"""A Lambda service without the cloud around it: its own store, workers and a clock that stands still."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.core.preloaded.preloading import CAN_PRELOAD
from localcloud.services.lambda_.runtime.functions import FunctionVersion
from localcloud.services.lambda_.runtime.invoker import InvocationRecord, InvocationResult, available_client
from localcloud.services.lambda_.runtime.service import LambdaService

START = datetime(2026, 1, 5, tzinfo=UTC)
CLIENTS = [
    pytest.param(
        "awslambdaric",
        marks=pytest.mark.skipif(available_client() != "awslambdaric", reason="awslambdaric has wheels for Linux only"),
    ),
    "python",
]
"""Every contract of a worker holds with AWS's runtime client and with our own."""
NEEDS_PRELOADING = pytest.mark.skipif(not CAN_PRELOAD, reason="workers start plainly here")


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip file of text files; the same for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o600 << 16
            archive.writestr(member, text)
    return buffer.getvalue()


@dataclass
class Sink:
    """Keeps what the invoker reports."""

    lines: list[str] = field(default_factory=list)
    records: list[InvocationRecord] = field(default_factory=list)

    def write_log(self, group: str, stream: str, lines: list[str], at: datetime) -> None:
        self.lines += lines

    def count(self, record: InvocationRecord) -> None:
        self.records.append(record)


@dataclass
class Lambda:
    """A service and what its surroundings saw."""

    service: LambdaService
    clock: Clock
    activity: Activity
    sink: Sink
    delivered: list[tuple[str, str]]

    def create(
        self, handler: str | Mapping[str, str], name: str = "f", *, layers: tuple[str, ...] = (), **parameters: Any
    ) -> FunctionVersion:
        """Create a function from the source of its handler module (or from several files)."""
        files = {"handler.py": handler} if isinstance(handler, str) else handler
        code = self.service.code({"ZipFile": zipped(files)})
        given = {"Runtime": "python3.13", "Handler": "handler.handle", "Timeout": 20, "MemorySize": 512, **parameters}
        return self.service.store.create_function(
            {"FunctionName": name, "Role": "arn:aws:iam::123456789012:role/f", "Layers": list(layers), **given}, code
        )

    def invoke(self, event: bytes = b"{}", qualifier: str | None = None, name: str = "f") -> InvocationResult:
        """Invoke synchronously."""
        return self.service.invoker.invoke(name, qualifier, event)


class MakeLambda(Protocol):
    """Builds Lambda services; they end with the test."""

    def __call__(self, client: str = ..., **more: Any) -> Lambda:
        """Build one with this runtime client; ``more`` are arguments of :class:`LambdaService`."""


@pytest.fixture(scope="session")
def layer_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of installed packages for all tests, as a user has one for all clouds."""
    return tmp_path_factory.mktemp("layer-cache")


@pytest.fixture
def make_lambda(tmp_path: Path, layer_cache: Path) -> Iterator[MakeLambda]:
    """Build Lambda services with the given runtime client."""
    services: list[LambdaService] = []

    def make(client: str = available_client(), **more: Any) -> Lambda:
        activity, sink, delivered = Activity(), Sink(), []
        clock = Clock(activity, START)
        service = LambdaService(
            account_id="123456789012",
            region="us-east-1",
            clock=clock,
            activity=activity,
            endpoint="http://127.0.0.1:1",
            state_directory=tmp_path / f"state-{len(services)}",
            cache_directory=layer_cache,
            sink=sink,
            credentials=lambda role, session: {
                "aws_access_key_id": "KEY",
                "aws_secret_access_key": "secret",
                "aws_session_token": f"token of {role}",
            },
            read_object=lambda bucket, key, version: b"",
            deliver=lambda role, target, body, attributes: delivered.append((target, body)),
            client=client,
            **more,
        )
        services.append(service)
        return Lambda(service, clock, activity, sink, delivered)

    yield make
    for service in services:
        service.close()


@pytest.fixture(params=[*CLIENTS, pytest.param("prepared", marks=NEEDS_PRELOADING)])
def aws(request: pytest.FixtureRequest, make_lambda: MakeLambda) -> Lambda:
    """A Lambda service, once with each runtime client, and once with workers that start from what has imported."""
    if request.param == "prepared":
        return make_lambda(preload=("colorsys", "simplejson"))
    return make_lambda(request.param)


@pytest.fixture
def lambda_(make_lambda: MakeLambda) -> Lambda:
    """A Lambda service with the runtime client that is installed."""
    return make_lambda()
