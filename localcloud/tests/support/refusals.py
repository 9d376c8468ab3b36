"""How a call of the API is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from botocore.exceptions import ClientError


class Refusal(TypedDict):
    """What an error says, by botocore's names."""

    Code: str
    Message: str


def refused(call: Callable[..., object], /, *arguments: Any, **parameters: Any) -> Refusal:
    """What the call must be refused with: an error of whoever calls, not of the cloud."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    response = caught.value.response
    assert 400 <= response["ResponseMetadata"]["HTTPStatusCode"] < 500
    return {"Code": response["Error"]["Code"], "Message": response["Error"]["Message"]}
