"""Signs requests to AWS (Signature Version 4, in the header).

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from everloop.environment import MissingSettingError

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Who calls."""

    access_key: str
    secret_key: str
    token: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """The credentials among the variables of a process, where Lambda puts its role's.

        Raises
        ------
        MissingSettingError
        """
        try:
            key, secret = variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
        except KeyError as error:
            raise MissingSettingError(f"the environment variable {error.args[0]} is not set") from error
        return cls(key, secret, variables.get("AWS_SESSION_TOKEN", ""))


def signed_headers(
    credentials: Credentials,
    *,
    service: str,
    region: str,
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
) -> dict[str, str]:
    """The headers of a request, and what signs it.

    Parameters
    ----------
    path : str
        As it is sent: percent-encoded, without a query.
    headers : mapping of str to str
        Further headers, which are signed as well.
    at : datetime
        The time now: AWS takes a request within minutes of it.
    """
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    given = {**headers, "host": host, "x-amz-date": stamp}
    if service == "s3":
        given["x-amz-content-sha256"] = digest
    if credentials.token:
        given["x-amz-security-token"] = credentials.token
    values = {name.lower(): " ".join(value.split()) for name, value in given.items()}
    names = ";".join(sorted(values))
    lines = "".join(f"{name}:{values[name]}\n" for name in sorted(values))
    # Only S3 takes a path as it is; in the other services' paths here there is nothing to encode a second time.
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    given["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return given
