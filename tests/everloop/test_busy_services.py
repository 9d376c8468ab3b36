from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from everloop.busy_services import BUSY_CODES, BUSY_STATUSES, ServiceBusyError, busy_services_named


def answer(code: str, status: int = 400) -> ClientError:
    document: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(document, "PutEvents")


@busy_services_named()
def act(error: Exception | None) -> str:
    if error is not None:
        raise error
    return "done"


@pytest.mark.parametrize(
    "error",
    [
        answer("ThrottlingException"),
        answer("SlowDown", 503),
        answer("InternalFailure", 500),
        EndpointConnectionError(endpoint_url="https://events"),
        ConnectTimeoutError(endpoint_url="https://events"),
        ReadTimeoutError(endpoint_url="https://events"),
    ],
)
def test_a_busy_service_has_one_name(error: Exception) -> None:
    with pytest.raises(ServiceBusyError, match="try again") as caught:
        act(error)
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [answer("AccessDeniedException"), answer("NoSuchKey", 404), ValueError("no")])
def test_a_refusal_keeps_its_own(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        act(error)
    assert caught.value is error


def test_an_answer_is_handed_on() -> None:
    assert act(None) == "done"


def test_what_boto_tries_again_after_is_busy() -> None:
    throttled: Any = ThrottledRetryableChecker
    transient: Any = TransientRetryableChecker
    assert {*throttled._THROTTLED_ERROR_CODES, *transient._TRANSIENT_ERROR_CODES} == BUSY_CODES
    assert set(transient._TRANSIENT_STATUS_CODES) == BUSY_STATUSES
