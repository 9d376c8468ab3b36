"""Functions behind APIs."""

from __future__ import annotations

import pytest

from localcloud.services.apigateway.functions import function_of

ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:f:live"


@pytest.mark.parametrize(
    "uri", [ALIAS, f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{ALIAS}/invocations"]
)
def test_the_function_of_a_uri_is_plain_or_in_an_invocations_arn(uri: str) -> None:
    assert function_of(uri) == ALIAS
