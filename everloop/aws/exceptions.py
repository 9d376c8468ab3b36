"""What a service of AWS answers when it does not do what was asked."""

from __future__ import annotations

from typing import Any

from everloop.exceptions import TransientError


class ServiceError(TransientError):
    """A service answered with an error; ``response`` is shaped as the SDK's, so one handling takes both."""

    def __init__(self, code: str, message: str, status: int) -> None:
        self.response: dict[str, Any] = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        super().__init__(f"{code}: {message}")
