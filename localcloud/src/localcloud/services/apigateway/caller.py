"""Who calls an API, and why somebody may not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who signed a request on an AWS_IAM route."""

    access_key: str
    account_id: str
    caller_id: str
    user_arn: str
    user_id: str


class ForbiddenError(PermissionError):
    """The caller is unknown or not allowed.

    Attributes
    ----------
    kind : str
        That of a :class:`~localcloud.iam.signatures.SignatureError`, ``scope`` for a signature of another service or
        region, or ``denied``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
