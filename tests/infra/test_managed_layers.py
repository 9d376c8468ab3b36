"""What the local cloud puts in the place of AWS's managed layer is the release that the templates name."""

from __future__ import annotations

import json
from collections.abc import Callable

from everloop.infra.managed_layer import SDK_PANDAS_VERSION
from everloop.infra.settings import PACKAGE, PYTHON_VERSION
from localcloud.core.settings import Settings
from localcloud.services.lambda_.managed_layers import managed_layers
from support.lambdas import Lambda, layer_cache, make_lambda

__all__ = ["layer_cache", "make_lambda"]

LAYERS = managed_layers(Settings.read(PACKAGE / "infra" / "localcloud.toml", frozenset({"lambda"})))
IMPORTER = (
    "import importlib.metadata as metadata, importlib.util as util\n"
    "def handle(event, context):\n"
    "    return {n: metadata.version(n) if util.find_spec(n) else None for n in event}\n"
)


def test_its_parameters_are_those_that_the_templates_read() -> None:
    (layer,) = LAYERS
    prefix = f"/aws/service/aws-sdk-pandas/{SDK_PANDAS_VERSION}/py{PYTHON_VERSION}"

    assert set(layer.parameters) == {f"{prefix}/{architecture}/layer-arn" for architecture in ("x86_64", "arm64")}
    assert f"awswrangler=={SDK_PANDAS_VERSION}" in layer.pins.read_text().splitlines()
    assert all(layer.arn + PYTHON_VERSION.replace(".", "") in arn for arn in layer.parameters.values())


def test_it_stands_for_its_pins(make_lambda: Callable[..., Lambda]) -> None:
    lambda_ = make_lambda(managed_layers=LAYERS)
    arn = LAYERS[0].parameters[f"/aws/service/aws-sdk-pandas/{SDK_PANDAS_VERSION}/py{PYTHON_VERSION}/x86_64/layer-arn"]
    lambda_.create(IMPORTER, layers=(arn.replace("{region}", "us-east-1"),), Timeout=60)

    found = json.loads(lambda_.invoke(b'["awswrangler", "pandas", "pyarrow", "sklearn"]').payload)

    assert found["awswrangler"] == SDK_PANDAS_VERSION
    assert found["pandas"]
    assert found["pyarrow"]
    assert found["sklearn"] is None
