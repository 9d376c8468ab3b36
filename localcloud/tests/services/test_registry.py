"""Services are found by entry point, and each is whole."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pytest
from botocore.exceptions import ClientError

from localcloud.services import registry
from localcloud.services.service import Service
from support.in_process import MakeCloud, allow

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "src" / "localcloud" / "services").glob("*/service.py"))


class Name(Protocol):
    """Lets the installed distributions name these services, each with its place."""

    def __call__(self, **values: str) -> None:
        """Let them."""


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[Name]:
    """Let the installed distributions name these services."""

    def name(**values: str) -> None:
        points = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        forget()

    def forget() -> None:
        registry.services.cache_clear()
        registry.handlers.cache_clear()

    yield name
    forget()


def test_every_folder_is_named_to_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"][registry.GROUP] == {
        folder: f"localcloud.services.{folder}.service:SERVICE" for folder in FOLDERS
    }


def test_all_of_them_are_found() -> None:
    assert [service.package for service in registry.services()] == [f"localcloud.services.{name}" for name in FOLDERS]


@pytest.mark.parametrize("service", registry.services(), ids=lambda service: service.signing_name)
def test_a_service_has_what_it_says(service: Service) -> None:
    assert all(callable(hook.install) for hook in service.hook_modules())
    assert all(handler.type.startswith(("AWS::", "Custom::")) for handler in service.handlers())
    assert service.accesses is None or service.needs().accesses is not None
    assert find_spec(f"moto.{service.backend}.models") is not None


@pytest.mark.parametrize("service", registry.services(), ids=lambda service: service.signing_name)
def test_a_service_leaves_no_module_unnamed(service: Service) -> None:
    """A hook, resource or accesses that nobody names would be dead, and its effect missing without a word."""
    folder = ROOT / "src" / Path(*service.package.split("."))
    files = {".".join(path.relative_to(folder).with_suffix("").parts): path for path in folder.rglob("*.py")}
    texts = {name: path.read_text() for name, path in files.items()}
    hooks = {name for name, text in texts.items() if "\ndef install(" in text}
    resources = {name for name, text in texts.items() if "\nHANDLERS" in text}

    assert hooks == set(service.hooks)
    assert resources == set(service.resources)
    assert ("accesses" in texts) == (service.accesses is not None or service.signing_name == "s3")


def test_every_hook_says_what_it_replaces_and_until_when() -> None:
    silent = [
        repr(hook)
        for service in registry.services()
        for hook in service.hook_modules()
        if "moto" not in (hook.__doc__ or "") or "bsolete" not in (hook.__doc__ or "")
    ]

    assert silent == []


def test_one_is_added_by_its_folder_and_its_entry_point(named: Name, make_cloud: MakeCloud) -> None:
    # GIVEN a cloud without it, which refuses its requests and its resource type by name
    template = json.dumps({"Resources": {"S": {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "s"}}}})
    without = make_cloud()
    with pytest.raises(ClientError, match=r"NotExecutedLocally.*does not execute kinesis"):
        without.client("kinesis").list_streams()
    with pytest.raises(ClientError, match=r"S \(AWS::Kinesis::Stream\): this resource type is not supported"):
        without.client("cloudformation").create_stack(StackName="one", TemplateBody=template)
    # WHEN a distribution names it
    own = {folder: f"localcloud.services.{folder}.service:SERVICE" for folder in FOLDERS}
    named(**own, kinesis="support.added_kinesis:SERVICE")
    cloud = make_cloud()
    # THEN a template can have it, and its requests are answered, to whoever may make them
    cloud.client("cloudformation").create_stack(StackName="one", TemplateBody=template)
    cloud.client("cloudformation").get_waiter("stack_create_complete").wait(
        StackName="one", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert cloud.client("kinesis").list_streams()["StreamNames"] == ["s"]
    may, may_not = (
        cloud.role("may", "x.amazonaws.com", allow("kinesis:ListStreams")),
        cloud.role("not", "x.amazonaws.com"),
    )
    assert cloud.role_client("kinesis", may, "x.amazonaws.com").list_streams()["StreamNames"] == ["s"]
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.role_client("kinesis", may_not, "x.amazonaws.com").list_streams()


def test_two_that_answer_the_same_requests_are_refused(named: Name) -> None:
    named(s3="localcloud.services.s3.service:SERVICE", mine="support.second_s3:SERVICE")

    with pytest.raises(registry.ServiceRegistrationError, match=r"localcloud\.services\.s3 both answer .* s3"):
        registry.services()


def test_what_is_no_service_is_refused(named: Name) -> None:
    named(mine="localcloud.services.registry:GROUP")

    with pytest.raises(registry.ServiceRegistrationError, match="is not a Service"):
        registry.services()


def test_what_can_not_be_loaded_is_refused_by_name(named: Name) -> None:
    named(mine="no_such_module:SERVICE")

    with pytest.raises(registry.ServiceRegistrationError, match="mine = no_such_module:SERVICE"):
        registry.services()


def test_without_any_the_remedy_is_told(named: Name) -> None:
    named()

    with pytest.raises(registry.ServiceRegistrationError, match="pip install -e localcloud"):
        registry.services()
