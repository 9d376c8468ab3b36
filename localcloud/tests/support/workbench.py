"""Stacks deployed from templates, without a local cloud around them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.cloudformation.engine import DeployEvent, StackEngine, StackResult
from localcloud.cloudformation.state import StackState, StateDirectory
from localcloud.cloudformation.template import Template
from localcloud.services.registry import handlers
from support.in_process import Client

ClientFactory = Callable[[str], Client]
"""Gives the client of a service."""


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

    def deployed(self, stack: str = "Stack") -> StackState:
        """What is remembered of a stack that must be there."""
        state = self.states.load(stack)
        assert state is not None
        return state

    def physical_id(self, logical_id: str, stack: str = "Stack") -> str:
        """What Ref gives for a deployed resource."""
        return self.deployed(stack).resources[logical_id].physical_id

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
