"""A stranger's project and shell: what a page says is typed there, as it stands, against an account that is new."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name
from click.testing import CliRunner

import everloop.cli.commands.local as local
from everloop.cli.exceptions import CommandError
from everloop.cli.failures import message_and_remedy
from everloop.cli.main import everloop
from everloop.cli.operations.jobs_here import SETTINGS
from everloop.cli.operations.local_cloud import deploy, free_port, point_at
from everloop.cli.operations.project import synthesize_project
from everloop.registry.exceptions import RegistryError
from localcloud import daemon
from localcloud.cloudformation.bootstrap import STANDARD, bootstrap_stacks
from support import imported_once
from tests.helpers.declarations import as_yaml
from tests.helpers.pages import typed_blocks
from tests.loop.changing import SCRIPT
from tests.loop.models import ROOT

BOOTSTRAP = "npx aws-cdk@2.1148.1 bootstrap"
DEPLOY = "npx aws-cdk@2.1148.1 deploy --all"
SET_UP = "make setup && . .venv/bin/activate"


def page(name: str) -> list[str]:
    """The commands of a page, in its order."""
    return typed_blocks((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))


def make_project(folder: Path, *declared: dict[str, Any]) -> Path:
    """A project of one's own, which shares this one's downloads."""
    for name in ("app.py", "cdk.json"):
        shutil.copy(ROOT / "cli" / "new_project" / name, folder)
    (folder / ".cache").mkdir()
    for kept in (ROOT / ".cache").iterdir():
        if kept.name != "assembly":
            (folder / ".cache" / kept.name).symlink_to(kept)
    for document in declared:
        model = folder / "models" / document["model"]
        model.mkdir(parents=True)
        (model / "model.yaml").write_text(as_yaml(document), encoding="utf-8")
        (model / "train.py").write_text(SCRIPT.format(left_out=()), encoding="utf-8")
    return folder


@dataclass
class Walk:
    """A shell in a project's folder that points at a new account, and what was typed in it."""

    folder: Path
    cloud: daemon.RunningCloud
    typed: list[str] = field(default_factory=list, init=False)

    @classmethod
    def begin(cls, folder: Path, state: Path) -> Walk:
        """An account in which nothing was ever deployed."""
        cloud = daemon.start(
            free_port(),
            state,
            ROOT / ".cache",
            settings=SETTINGS,
            account_kind="new",
            stop_with_parent=True,
            processes=imported_once.processes(),
        )
        point_at(cloud)
        return cls(folder, cloud)

    def type(self, command: str, **fill: str) -> tuple[int, str]:
        """Exit status and all output of a command as a page has it; a page's names in capitals are filled in."""
        self.typed.append(command)
        for word, value in fill.items():
            command = re.sub(rf"\b{word}\b", value, command)
        with contextlib.chdir(self.folder):
            if command == SET_UP:
                return 0, "it is what these tests run in"
            if command == BOOTSTRAP:
                return self._bootstrap()
            if command == DEPLOY:
                deploy(synthesize_project(print), self.cloud.state_directory, print)
                return 0, ""
            if command.startswith("everloop "):
                return self._everloop(shlex.split(command)[1:])
            if command.startswith("aws "):
                return self._aws(shlex.split(command)[1:])
            if command.startswith("curl "):
                return self._shell(command)
        raise AssertionError(f"nobody types {command!r}")

    def does(self, command: str, **fill: str) -> str:
        """The output of a command that does what it says."""
        status, told = self.type(command, **fill)
        assert status == 0, told
        return told

    def refuses(self, command: str, **fill: str) -> str:
        """The output of a command that is refused, or finds something wrong."""
        status, told = self.type(command, **fill)
        assert status == 1, told
        return told

    def pass_time(self, **span: float) -> None:
        """Let time go by, as `everloop local pass` does."""
        self.cloud.pass_time(self.now() + timedelta(**span))

    def now(self) -> datetime:
        """The account's time."""
        return datetime.fromisoformat(self.cloud.clock()["now"])

    def _everloop(self, words: list[str]) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(local, "STATE", self.cloud.state_directory)
            patched.delenv("COLUMNS", raising=False)
            result = CliRunner().invoke(everloop, words)
        told = result.output
        if isinstance(result.exception, CommandError):
            told += str(result.exception)
        elif isinstance(result.exception, RegistryError):
            told += " ".join(filter(None, message_and_remedy(result.exception)))
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, told

    def _aws(self, words: list[str]) -> tuple[int, str]:
        """What the AWS command line does: the operation with its options as parameters."""
        service, operation, *options = words
        client, method = boto3.client(service), operation.replace("-", "_")  # type: ignore[call-overload]  # any service
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        members = {xform_name(name): (name, member) for name, member in shape.input_shape.members.items()}
        given: dict[str, Any] = {}
        for option, value in zip(options[::2], options[1::2], strict=True):
            name, member = members[option.removeprefix("--").replace("-", "_")]
            given[name] = json.loads(value) if member.type_name in ("integer", "double", "float") else value
        getattr(client, method)(**given)
        return 0, ""

    def _shell(self, command: str) -> tuple[int, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def _bootstrap(self) -> tuple[int, str]:
        ((name, template),) = bootstrap_stacks([STANDARD]).values()
        client = boto3.client("cloudformation")
        client.create_stack(StackName=name, TemplateBody=json.dumps(template))
        client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        return 0, ""
