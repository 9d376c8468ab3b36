"""What keeps a command from an account is said with where it looked and what to type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CredentialsError, NotDeployedError
from everloop.instants import parse_instant
from tests.fakes.registry_table import TABLE


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine on which nothing of AWS is configured."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


@pytest.mark.parametrize("ask", [lambda a: a.platform, lambda a: a.model_names(), lambda a: a.now()])
def test_without_a_region_it_says_where_it_looked(bare: pytest.MonkeyPatch, ask: Callable[[Account], object]) -> None:
    with pytest.raises(CredentialsError, match="AWS_REGION, AWS_DEFAULT_REGION"):
        ask(Account())


@pytest.mark.parametrize("ask", [lambda a: a.platform, lambda a: a.model_names(), lambda a: a.now()])
def test_without_credentials_it_says_where_it_looked(
    bare: pytest.MonkeyPatch, ask: Callable[[Account], object]
) -> None:
    bare.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(CredentialsError, match=r"region eu-west-1.*looked in environment") as refused:
        ask(Account())
    assert "everloop local env" in refused.value.remedy


def test_an_endpoint_that_does_not_answer_is_named(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_REGION", "us-east-1")
    bare.setenv("AWS_ACCESS_KEY_ID", "a")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "b")
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    bare.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(CredentialsError, match=r"127\.0\.0\.1:9") as refused:
        _ = Account().platform
    # A region that does not exist looks the same: its endpoint has no address.
    assert "AWS_REGION" in refused.value.remedy


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_ENDPOINT_URL", "127.0.0.1:4599"), ("AWS_REGION", "us east 1"), ("AWS_REGION", "-")]
)
def test_an_endpoint_or_a_region_that_can_not_be_one_is_named(bare: pytest.MonkeyPatch, name: str, value: str) -> None:
    bare.setenv("AWS_REGION", "us-east-1")
    bare.setenv("AWS_ACCESS_KEY_ID", "a")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "b")
    bare.setenv(name, value)
    with pytest.raises(CredentialsError) as refused:
        _ = Account().platform
    assert value in refused.value.message
    assert name in refused.value.remedy


class FakeSsm:
    """A Parameter Store with the given parameters, in a region where nothing else is."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def get_parameter(self, Name: str) -> dict[str, Any]:
        if Name not in self.values:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": Name}}, "GetParameter")
        headers = {"date": "Fri, 01 Mar 2013 05:00:00 GMT"}
        return {"Parameter": {"Value": self.values[Name]}, "ResponseMetadata": {"HTTPHeaders": headers}}


def account_with(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Account:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    account = Account()
    account._clients["ssm"] = FakeSsm(values)
    return account


def test_a_region_without_a_platform_is_named_with_what_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotDeployedError, match=r"region eu-west-1 \(there is no parameter /everloop/platform\)"):
        _ = account_with(monkeypatch, {}).platform


def test_the_time_is_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_with(monkeypatch, {"/everloop/platform": f'{{"table": "{TABLE}"}}'})
    assert account.now() == parse_instant("2013-03-01T05:00:00Z")
