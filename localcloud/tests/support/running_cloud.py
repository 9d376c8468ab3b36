"""A local cloud in a process of its own, as users run it, for contract tests over boto3."""

from __future__ import annotations

import io
import json
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.config import Config

from localcloud import daemon
from localcloud.core.clients import make_client
from localcloud.core.credentials import ACCOUNT_ID, CONTROL_PATH, REGION
from support import imported_once
from support.in_process import Client, Statement


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RunningCloud:
    """A local cloud and what tests do with it again and again."""

    daemon: daemon.RunningCloud

    def client(self, service: str, *, region_name: str | None = None, **credentials: str) -> Client:
        """A boto3 client, the operator's unless credentials are given."""
        identity = credentials or self.daemon.operator.client_arguments()
        return make_client(
            service,
            region_name=region_name or self.daemon.region,
            endpoint_url=self.daemon.endpoint,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            **identity,
        )

    def wait_until_quiet(self) -> None:
        """Return once nothing is under way."""
        while self.daemon.activity():
            time.sleep(0.02)

    def role(self, name: str, service: str = "lambda.amazonaws.com", *statements: Statement) -> str:
        """A role that ``service`` (and the account) may assume, with one inline policy; its ARN."""
        iam = self.client("iam")
        principal = {"Service": service, "AWS": f"arn:aws:iam::{self.daemon.account_id}:root"}
        trust = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
        document = json.dumps({"Version": "2012-10-17", **trust})
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy)
        return arn

    def session(self, role_arn: str) -> dict[str, str]:
        """Credentials of a role, as keyword arguments of :meth:`client`."""
        found = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }

    def function(self, name: str, source: str, *, role: str | None = None, **parameters: Any) -> str:
        """Create a function with one module ``handler``; its ARN."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("handler.py", source)
        given = {"Runtime": "python3.13", "Handler": "handler.handle", "Timeout": 20, "MemorySize": 512}
        created = self.client("lambda").create_function(
            FunctionName=name,
            Role=role or self.role(f"{name}-role"),
            Code={"ZipFile": content.getvalue()},
            **{**given, **parameters},
        )
        return str(created["FunctionArn"])


@contextmanager
def running_cloud(
    directory: Path,
    cache: Path,
    start: datetime | None = None,
    settings: Path | None = None,
    *,
    cold_starts: bool = False,
    account_id: str = ACCOUNT_ID,
    region: str = REGION,
    control_path: str = CONTROL_PATH,
    plainly: bool = False,
) -> Iterator[RunningCloud]:
    """Run a local cloud while the block runs.

    Parameters
    ----------
    plainly : bool
        Whether its process starts as users start it, and not from one that has imported.
    """
    started = daemon.start(
        free_port(),
        directory,
        cache,
        start,
        settings=settings,
        cold_starts=cold_starts,
        account_id=account_id,
        region=region,
        control_path=control_path,
        stop_with_parent=True,
        processes=daemon.PLAINLY if plainly else imported_once.processes(),
    )
    try:
        yield RunningCloud(started)
    finally:
        started.stop()
