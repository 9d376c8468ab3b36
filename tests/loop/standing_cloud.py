"""A local cloud whose loop has run, and what tests do with it again and again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import Message
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from everloop.cli.account import Account, DeployedModel
from everloop.cli.operations.jobs_here import SETTINGS
from everloop.cli.operations.local_cloud import LocalCloud, bring_up, free_port
from everloop.cli.replay.run import ReplayResult, run_replay
from everloop.cli.replay.stream import ReplayData, to_instances
from everloop.model_file.schema import ModelDeclaration
from everloop.names import METRIC_NAMESPACE
from everloop.registry.records import Run
from everloop.registry.store import RegistryStore
from localcloud.core.preloaded.standing import standing_servers
from support import imported_once
from tests.helpers.environment import variables_kept
from tests.helpers.present import present

ACTIVE = "RUNNING"


@contextmanager
def deployed_cloud(
    folder: Path, starts_at: datetime, synthesize: Callable[[Callable[[str], None]], Path], settings: Path = SETTINGS
) -> Iterator[LocalCloud]:
    """A cloud with what is synthesized deployed, at which this process points meanwhile; its state is in ``folder``."""
    with variables_kept():
        cloud = bring_up(
            port=free_port(),
            state_directory=folder / "state",
            say=print,
            start_at=starts_at,
            stop_with_parent=True,
            synthesize=synthesize,
            settings=settings,
            processes=imported_once.processes(),
        )
        try:
            yield cloud
        finally:
            cloud.running.stop()


@contextmanager
def standing_cloud(
    folder: Path, declaration: ModelDeclaration, data: ReplayData, assembly: Path, *, quiet: bool = False
) -> Iterator[Loop]:
    """A cloud after the replay of ``data``; its state, and what the replay wrote, are below ``folder``."""
    with deployed_cloud(folder, data.starts_at, lambda _: assembly) as cloud:
        result = run_replay(cloud, declaration, data, folder / "out", quiet=quiet, started=time.monotonic())
        yield Loop(cloud, declaration, data, result)


@dataclass
class Loop:
    """The cloud after the replay, and the replay's outcome."""

    cloud: LocalCloud
    declaration: ModelDeclaration
    data: ReplayData
    result: ReplayResult
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = self.cloud.account()

    @property
    def name(self) -> str:
        return self.declaration.model

    @property
    def model(self) -> DeployedModel:
        return self.account.model(self.name)

    @cached_property
    def predictions_url(self) -> str:
        """The model's route, which is the same for as long as the platform stands."""
        return self.model.predictions_url

    @property
    def store(self) -> RegistryStore:
        return self.account.registry(self.name)

    @property
    def evidence(self) -> Path:
        return self.result.directory

    def now(self) -> datetime:
        """The cloud's time."""
        return datetime.fromisoformat(self.cloud.running.clock()["now"])

    def advance(self, **delta: float) -> datetime:
        """Move the clock on by a timedelta's arguments; everything due by then is done."""
        return self.advance_to(self.now() + timedelta(**delta))

    def advance_to(self, instant: datetime) -> datetime:
        """Move the clock to an instant; everything due by then is done."""
        self.cloud.running.advance(instant)
        return instant

    def next_monitoring(self) -> dict[str, Any]:
        """Move on past the next monitoring, which is at 11:00, and give the document it recorded."""
        now = self.now()
        due = now.replace(hour=11, minute=5, second=0, microsecond=0)
        due += timedelta(days=1) if due <= now + timedelta(minutes=30) else timedelta(0)
        before = self.store.windows.latest(1)
        self.advance_to(due)
        (latest,) = self.store.windows.latest(1)
        assert [latest.end] != [window.end for window in before], f"nothing was recorded by {due}: {latest.end}"
        return latest.document

    def instances(self, count: int = 2) -> list[dict[str, Any]]:
        """Valid rows, as the route takes them."""
        return to_instances(self.data.stream.iloc[:count], self.declaration)

    def post(self, body: bytes | dict[str, Any], *, url: str | None = None, signed: bool = True) -> tuple[int, Any]:
        """POST to the predictions route (or ``url``), whatever the body is; status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", url or self.predictions_url, data, signed=signed)

    def send(
        self, method: str, url: str, data: bytes | None = None, *, signed: bool = True, token: str | None = None
    ) -> tuple[int, Any]:
        """Send what is JSON, with a token in place of a signature where there is one; status and answer."""
        # By the class: what else has an account sends by this too.
        status, _, answer = Loop.exchange(self, method, url, data, signed=signed, token=token)
        return status, json.loads(answer)

    def exchange(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        *,
        signed: bool = True,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Message, bytes]:
        """Send what is JSON, with more headers; status, headers and body of the answer."""
        sent = Loop.headers_of(self, method, url, data, signed=signed, token=token, more=headers or {})
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.request(method, parts.path, body=data, headers=sent)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def headers_of(
        self, method: str, url: str, data: bytes | None, *, signed: bool, token: str | None, more: Mapping[str, str]
    ) -> dict[str, str]:
        """The headers of a request: its type, ``more``, and who asks."""
        headers = {"Content-Type": "application/json", **more}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        elif signed:
            request = AWSRequest(method, url, data=data, headers=headers)
            credentials = present(self.account.session.get_credentials()).get_frozen_credentials()
            SigV4Auth(credentials, "execute-api", self.account.region).add_auth(request)
            headers = dict(request.headers.items())
        return headers

    def wait_until(self, holds: Callable[[], Any], *, seconds: float = 120) -> Any:
        """What ``holds`` gives once it is true; the clock does not move."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < deadline, f"still waiting after {seconds} s"
            time.sleep(0.1)
        return found

    def executions(self) -> dict[str, str]:
        """The status of every pipeline execution, by name."""
        client = self.account.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=self.model.state_machine_arn)
        return {e["name"]: e["status"] for page in pages for e in page["executions"]}

    def finish(self, run_id: str) -> Run:
        """Serve requests and move the clock on until a run is closed; its record."""
        for _ in range(120):
            if self.store.runs.active() is None and self.executions().get(run_id) != ACTIVE:
                return self.store.runs.get(run_id)
            for _ in range(3):
                assert self.post({"instances": self.instances(1)})[0] == 200
            self.advance(hours=1)
        raise AssertionError(f"the run {run_id} does not end")

    def alarm(self, suffix: str) -> str:
        """The state of one of the model's alarms."""
        name = f"everloop-{self.name}-{suffix}"
        (found,) = self.account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        text: str = found["StateValue"]
        return text

    def raises(self, suffix: str) -> bool:
        """Whether one of the model's alarms rises within a quarter of an hour, looked at every minute."""
        for _ in range(15):
            if self.alarm(suffix) == "ALARM":
                return True
            self.advance(minutes=1)
        return False

    def counted(self, metric: str) -> float:
        """The sum of one of the model's metrics over the last day."""
        points = self.account.client("cloudwatch").get_metric_statistics(
            Namespace=METRIC_NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": "model", "Value": self.name}],
            StartTime=self.now() - timedelta(days=1),
            EndTime=self.now() + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        value: float = sum(point["Sum"] for point in points)
        return value

    def end_workers(self) -> int:
        """End the processes that run functions, as an account does it when they stay unused; how many."""
        cloud = self.cloud.running.pid
        processes = _processes()
        shared = imported_once.processes().standing
        parents = {cloud, *(standing_servers(shared) if shared is not None else ())}
        found = [p.pid for p in processes if p.parent in parents and p.runs_a_function and p.pid not in parents]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not any(process.runs for process in _processes() if process.pid in found))
        return len(found)

    @contextmanager
    def without_permission(self, function: str, action: str) -> Iterator[None]:
        """Take one action out of the policies of a function's role, and put it back afterwards."""
        configuration = self.account.client("lambda").get_function_configuration(FunctionName=function)
        role, iam = configuration["Role"].rsplit("/", 1)[1], self.account.client("iam")
        before: dict[str, dict[str, Any]] = {}
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            without = _without(document, action)
            if without != document:
                before[name] = document
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(without))
        assert before, f"the role {role} does not have {action}"
        try:
            yield
        finally:
            for name, document in before.items():
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    def lake_predictions(self) -> pd.DataFrame:
        """Every captured prediction, as the Parquet objects in the lake hold them."""
        return Loop._lake(self, "predictions")

    def lake_labels(self) -> pd.DataFrame:
        """Every label that arrived, as the Parquet objects in the lake hold them."""
        return self._lake("labels")

    def _lake(self, kind: str) -> pd.DataFrame:
        import io

        s3, bucket = self.account.client("s3"), self.account.platform.lake_bucket
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{kind}/model={self.name}/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return pd.concat([pd.read_parquet(io.BytesIO(body)) for body in bodies], ignore_index=True)


def _without(document: dict[str, Any], action: str) -> dict[str, Any]:
    statements = []
    for statement in document["Statement"]:
        given = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        kept = [one for one in given if one != action]
        if kept:
            statements.append({**statement, "Action": kept if kept != given else statement["Action"]})
    return {**document, "Statement": statements}


@dataclass(frozen=True)
class _Process:
    """A line of ``ps``, which every system has; /proc is Linux alone."""

    pid: int
    parent: int
    state: str
    command: str

    @property
    def has_imported_for_functions(self) -> bool:
        """Also of a worker that started from such a process: it keeps its command line."""
        return " -S -P " in self.command and "preloaded/server.py" in self.command

    @property
    def runs_a_function(self) -> bool:
        plainly = "awslambdaric" in self.command or "runtime/client.py" in self.command
        return plainly or self.has_imported_for_functions

    @property
    def runs(self) -> bool:
        # The leading thread is a zombie at once; the process is none until its other threads ("l") have ended too.
        return not self.state.startswith("Z") or "l" in self.state


def _processes() -> list[_Process]:
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,command="]
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout
    fields = [line.split(maxsplit=3) for line in listed.splitlines()]
    return [_Process(int(pid), int(parent), state, *command) for pid, parent, state, *command in fields if command]
