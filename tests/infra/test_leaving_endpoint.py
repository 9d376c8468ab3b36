"""A model leaves its endpoint by a rollout: a deployment that would cut callers off is refused, with the way on."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from everloop.infra.exceptions import SynthesisError
from everloop.infra.leaving_endpoint import refuse_lost_endpoints
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.lambda_function import FakeLambda

DEPLOYS = {"CDK_DEFAULT_ACCOUNT": "1", "CDK_DEFAULT_REGION": "eu-west-1"}


class Deployed:
    """A model that was declared with an endpoint, and its function."""

    def __init__(self, *, image: str = "an image", account: str = "1") -> None:
        self.sts = SimpleNamespace(get_caller_identity=lambda: {"Account": account})
        self.function = FakeLambda()
        self.alias = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        value = json.dumps({"model": "flights", "endpoint_image": image})
        pages = SimpleNamespace(
            paginate=lambda Path: [{"Parameters": [{"Name": "/everloop/models/flights", "Value": value}]}]
        )
        self.ssm = SimpleNamespace(get_paginator=lambda _: pages)

    def client(self, service: str, region: str) -> Any:
        return {"sts": self.sts, "ssm": self.ssm, "lambda": self.function}[service]


def test_while_it_serves_it_is_kept() -> None:
    deployed = Deployed()
    deployed.alias.settle(deployed.alias.passing_on("everloop-flights"))
    with pytest.raises(SynthesisError, match=r"the endpoint still serves.*rollout.target: lambda_alias.*rollout start"):
        refuse_lost_endpoints({"flights"}, DEPLOYS, deployed.client)


def test_also_while_it_has_a_share() -> None:
    deployed = Deployed()
    idle = deployed.alias.idle()
    deployed.alias.shift(primary=idle, candidate=deployed.alias.passing_on("everloop-flights"), percent=5)
    with pytest.raises(SynthesisError):
        refuse_lost_endpoints({"flights"}, DEPLOYS, deployed.client)


def test_after_the_rollout_it_may_go() -> None:
    deployed = Deployed()
    deployed.alias.passing_on("everloop-flights")
    deployed.alias.idle()
    refuse_lost_endpoints({"flights"}, DEPLOYS, deployed.client)


def test_nobody_is_asked_who_has_none_or_keeps_it_or_is_nowhere() -> None:
    deployed = Deployed(image="")
    deployed.alias.settle(deployed.alias.passing_on("everloop-flights"))
    refuse_lost_endpoints({"flights"}, DEPLOYS, deployed.client)
    refuse_lost_endpoints(set(), DEPLOYS, deployed.client)
    refuse_lost_endpoints({"flights"}, {}, deployed.client)
    refuse_lost_endpoints({"flights"}, DEPLOYS, lambda service, region: SimpleNamespace())


def test_another_account_says_nothing_of_the_one_deployed_to() -> None:
    deployed = Deployed(account="2")
    deployed.alias.settle(deployed.alias.passing_on("everloop-flights"))
    refuse_lost_endpoints({"flights"}, DEPLOYS, deployed.client)
