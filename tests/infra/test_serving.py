"""Each protocol of the data plane has a route to the alias, and the caller's signature is asked for at all of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from everloop.infra.serving import Serving
from everloop.serving.protocols import PROTOCOLS
from tests.helpers.declarations import binary_document, declare
from tests.helpers.seams import add

SOURCE = """
class Columns:
    def path(self, model):
        return f"/columns/{model}"


PROTOCOL = Columns()
"""


def routes() -> dict[str, dict[str, Any]]:
    """The stack's routes by logical id."""
    stack = Stack(App(), "Model")
    Serving(
        stack,
        "Serving",
        declaration=declare(binary_document()),
        platform=SimpleNamespace(api_id="api", api_endpoint="https://api.example"),
        predict=lambda_.Function.from_function_name(stack, "Predict", "predict"),
        labels=lambda_.Function.from_function_name(stack, "LabelsFunction", "labels"),
    )
    found = Template.from_stack(stack).find_resources("AWS::ApiGatewayV2::Route")
    return {name: resource["Properties"] for name, resource in found.items()}


def test_a_protocol_that_is_added_has_its_route_and_the_others_keep_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = routes()
    assert {r["RouteKey"] for r in before.values()} == {
        "POST /models/late_train/predictions",
        "POST /models/late_train/labels",
    }
    add(monkeypatch, tmp_path, PROTOCOLS, "columns", SOURCE)
    after = routes()
    (added,) = after.keys() - before.keys()
    assert after[added]["RouteKey"] == "POST /columns/late_train"
    assert after[added]["AuthorizationType"] == "AWS_IAM"
    assert {name: after[name] for name in before} == before
