"""Errors in the wire format of the service that was asked."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse


class Refusal(ServiceException):
    """A service's error by code and message.

    moto looks for the error's shape in the service named by the module that defines the exception, and fails
    when that is none; this one is defined outside of moto, where it does not look.
    """


def refusal(response: BaseResponse, code: str, message: str, status: int | None = None) -> tuple[int, Any, Any]:
    """Status, headers and body of an error; the status is the one of the service's model unless given."""
    modelled, headers, body = response.serialized(ActionResult(Refusal(code, message)))
    return status or modelled, headers, body
