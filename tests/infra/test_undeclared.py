"""A synthesis tells of deployed models that the project does not have (any more), where an account is at hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from everloop.infra.undeclared import lines_about_undeclared

DEPLOYS = {"CDK_DEFAULT_ACCOUNT": "1", "CDK_DEFAULT_REGION": "eu-west-1"}


def clients(*deployed: str, account: str = "1", fails: str | None = None) -> Any:
    parameters = [{"Name": f"/everloop/models/{name}", "Value": "{}"} for name in deployed]

    def make(service: str, region: str) -> Any:
        assert region == "eu-west-1"
        if fails is not None:
            raise OSError(fails)
        pages = SimpleNamespace(paginate=lambda Path: [{"Parameters": parameters[:1]}, {"Parameters": parameters[1:]}])
        made = {
            "sts": SimpleNamespace(get_caller_identity=lambda: {"Account": account}),
            "ssm": SimpleNamespace(get_paginator=lambda _: pages),
        }
        return made[service]

    return make


def test_each_is_named_with_the_command_that_removes_it() -> None:
    (line,) = lines_about_undeclared({"flights"}, DEPLOYS, clients("flights", "late_train"))
    assert line.startswith("warning: late_train: is deployed but has no folder models/late_train/: it still answers")
    assert "`everloop remove late_train`" in line


def test_where_all_are_declared_nothing_is_said() -> None:
    assert lines_about_undeclared({"flights", "new"}, DEPLOYS, clients("flights")) == []


@pytest.mark.parametrize("environment", [{}, {"CDK_DEFAULT_REGION": "eu-west-1"}])
def test_without_an_account_nobody_is_asked(environment: dict[str, str]) -> None:
    assert lines_about_undeclared({"flights"}, environment, clients(fails="it was asked")) == []


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (clients(fails="no network"), "no network"),
        (clients("late_train", account="2"), "the default credentials are of account 2, and this deploys to 1"),
    ],
)
def test_where_nobody_can_look_that_is_said_and_nothing_fails(made: Any, why: str) -> None:
    (line,) = lines_about_undeclared({"flights"}, DEPLOYS, made)
    assert line.startswith("note: whether deployed models have lost their folder is not known: ")
    assert why in line
    assert "`everloop check --deployed`" in line
