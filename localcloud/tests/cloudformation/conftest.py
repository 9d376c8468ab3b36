"""An endpoint to deploy into: moto's own server, as it comes."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.iam.models import iam_backends

from localcloud.cloudformation.engine import DeployEvent, StackEngine, StackResult
from localcloud.cloudformation.state import StackState, StateDirectory
from localcloud.cloudformation.template import Template
from localcloud.services.iam.managed_policies import know
from localcloud.services.registry import handlers

ClientFactory = Callable[[str], Any]
ACCOUNT = "123456789012"
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
"""The one policy of AWS's own that these templates name; all 1,500 would be made anew for every test after these."""


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """Address of a server that lives as long as the tests."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def clients(moto_endpoint: str) -> ClientFactory:
    """Gives clients of an empty cloud."""
    reset = urllib.request.Request(f"{moto_endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).read()
    know(iam_backends[ACCOUNT]["aws"], BASIC_EXECUTION)
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=moto_endpoint,
                aws_access_key_id="deployer",
                aws_secret_access_key="deployer",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return made[service]

    return client


class Workbench:
    """Deploys templates given as JSON, and remembers what happened."""

    def __init__(self, clients: ClientFactory, directory: Path) -> None:
        self.client = clients
        self.states = StateDirectory(directory)
        self.events: list[DeployEvent] = []

    def deploy(
        self, resources: dict[str, Any], stack: str = "Stack", parameters: dict[str, str] | None = None, **more: Any
    ) -> StackResult:
        """Deploy a template of these resources, with ``more`` sections."""
        template = Template.parse({"Resources": resources, **more}, stack)
        return self._engine().deploy(template, parameters or {})

    def destroy(self, stack: str = "Stack") -> None:
        """Delete a stack."""
        self._engine().destroy(stack)

    def state(self, stack: str = "Stack") -> StackState | None:
        """What is remembered of a stack."""
        return self.states.load(stack)

    def physical_id(self, logical_id: str, stack: str = "Stack") -> str:
        """What Ref gives for a deployed resource."""
        state = self.states.load(stack)
        assert state is not None
        return state.resources[logical_id].physical_id

    def put_code(self, source: str = "def handle(event, context):\n    return event\n") -> dict[str, str]:
        """Put a zip with a handler into a bucket; gives the Code property that names it."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket="code")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("handler.py", source)
        key = f"{abs(hash(source))}.zip"
        s3.put_object(Bucket="code", Key=key, Body=buffer.getvalue())
        return {"S3Bucket": "code", "S3Key": key}

    def role(self, *services: str) -> dict[str, Any]:
        """A role resource that ``services`` may assume."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
                for service in services
            ],
        }
        return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}

    def _engine(self) -> StackEngine:
        return StackEngine(self.client, self.states, self.events.append, handlers())


@pytest.fixture
def workbench(clients: ClientFactory, tmp_path: Path) -> Workbench:
    """A workbench on an empty cloud."""
    return Workbench(clients, tmp_path / "stacks")


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
