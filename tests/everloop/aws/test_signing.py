"""Every signature is the one that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials
from hypothesis import given
from hypothesis import strategies as st

from everloop.aws.signing import Credentials, signed_headers
from everloop.environment import MissingSettingError

AT = datetime(2026, 11, 28, 5, 6, 7, tzinfo=UTC)


def by_botocore(credentials: Credentials, service: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    request = AWSRequest("POST", f"https://host.example:4000{path}", {**headers}, data=body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    sdk = SdkCredentials(credentials.access_key, credentials.secret_key, credentials.token or None)
    patch = pytest.MonkeyPatch()
    patch.setattr(auth, "get_current_datetime", lambda: AT.replace(tzinfo=None))
    with patch.context():
        kind(sdk, service, "eu-west-1").add_auth(request)
    patch.undo()
    return request.headers["Authorization"]


@pytest.mark.slow
@given(
    service=st.sampled_from(["s3", "firehose"]),
    token=st.text("abc/+=", max_size=20),
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    value=st.text("abc \t", min_size=1, max_size=10),
    body=st.binary(max_size=50),
)
def test_it_is_what_botocore_signs(service: str, token: str, key: str, value: str, body: bytes) -> None:
    credentials = Credentials("AKID", "se/cret+", token)
    # Only S3 has paths: the other services' is the root.
    path = f"/bucket/a/{quote(key, safe='/-_.~')}" if service == "s3" else "/"
    headers = {"x-amz-target": value, "content-type": "application/json"}
    signed = signed_headers(
        credentials,
        service=service,
        region="eu-west-1",
        method="POST",
        host="host.example:4000",
        path=path,
        headers=headers,
        body=body,
        at=AT,
    )
    assert signed["authorization"] == by_botocore(credentials, service, path, headers, body)


def test_credentials_are_lambdas_variables() -> None:
    variables = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    assert Credentials.read(variables) == Credentials("a", "b", "c")
    with pytest.raises(MissingSettingError, match="AWS_SECRET_ACCESS_KEY"):
        Credentials.read({"AWS_ACCESS_KEY_ID": "a"})
