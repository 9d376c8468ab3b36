"""AWS's own layer with pandas, pyarrow and awswrangler: which release, and the public parameter that leads to it.

Source: https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html.
"""

from __future__ import annotations

from everloop.infra.settings import PYTHON_VERSION

SDK_PANDAS_VERSION = "3.17.1"
"""The release of AWS SDK for pandas whose layer is used."""


def managed_layer_parameter(architecture: str) -> str:
    """The public SSM parameter that holds the layer's ARN in a region, for ``x86_64`` or ``arm64``."""
    return f"/aws/service/aws-sdk-pandas/{SDK_PANDAS_VERSION}/py{PYTHON_VERSION}/{architecture}/layer-arn"
