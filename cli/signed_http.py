"""HTTP to the prediction API: signed as AWS_IAM routes want it (Signature Version 4), with a token for JWT routes."""

from __future__ import annotations

import http.client
import json
import math
import os
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from everloop.cli.account import Account, DeployedModel
from everloop.cli.exceptions import CREDENTIALS_REMEDY, ApiRefusedError, CommandError, CredentialsError
from everloop.cli.remedies import NETWORK_REMEDY
from everloop.json_text import read_json
from everloop.typed_json import JsonObject

TIMEOUT_SECONDS = 35
"""A little more than an HTTP API's own limit of 30 s, and a REST API's of 29 s."""


class JsonClient(Protocol):
    """Asks a deployed model's API."""

    def post(self, url: str, body: JsonObject) -> JsonObject:
        """POST ``body`` as JSON and return the answer's JSON; what the API refuses is an :class:`ApiRefusedError`."""


class SignedHttpClient:
    """One kept-alive connection to a deployed model's API; not for use by two threads."""

    def __init__(self, account: Account, model: DeployedModel) -> None:
        self._account = account
        self._model = model
        self._connection: http.client.HTTPConnection | None = None

    def post(self, url: str, body: JsonObject) -> JsonObject:
        """POST ``body`` as JSON and return the answer's JSON.

        Raises
        ------
        ApiRefusedError
            The API answered with a status of 400 or more.
        CommandError
            The body has a number that JSON has no word for, the API can't be reached, or it answered no JSON.
        """
        data = _encoded(body)
        status, answer, retry_after = self._exchange(url, data, self._signed_headers(url, data))
        try:
            decoded = read_json(answer)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise CommandError(
                f"{url} answered {status} without a JSON object: {answer[:200]!r}",
                f"`everloop status {self._model.model}` says where its API is; repeat this command",
            )
        if status >= 400:
            raise ApiRefusedError(
                status, decoded, remedy(status, self._model.model, decoded), retry_after=_seconds(retry_after)
            )
        return decoded

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _signed_headers(self, url: str, data: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._model.authorization == "jwt":
            return headers | {"Authorization": f"Bearer {_token(self._model.model)}"}
        if self._model.authorization != "iam":
            return headers
        credentials = self._account.session.get_credentials()
        if credentials is None:
            raise CredentialsError("no credentials to sign the request with", CREDENTIALS_REMEDY)
        request = AWSRequest("POST", url, data=data, headers=headers)
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._account.region).add_auth(request)
        return dict(request.headers.items())

    def _exchange(self, url: str, data: bytes, headers: dict[str, str]) -> tuple[int, bytes, str | None]:
        """Status, body and the header ``Retry-After`` of the answer."""
        parts = urlsplit(url)
        for attempt in (1, 2):
            if self._connection is None:
                kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
                self._connection = kind(parts.netloc, timeout=TIMEOUT_SECONDS)
            try:
                self._connection.request("POST", parts.path, body=data, headers=headers)
                response = self._connection.getresponse()
                return response.status, response.read(), response.getheader("Retry-After")
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                # A kept-alive connection that the other side closed while idle: once more on a new one.
                self.close()
                if attempt == 2:
                    raise CommandError(f"{url} closed the connection: {error}", "repeat this command") from error
            except OSError as error:
                self.close()
                raise CommandError(f"{url} can't be reached: {error}", NETWORK_REMEDY) from error
        raise AssertionError("unreachable: the second attempt returns or raises")


def _seconds(retry_after: str | None) -> float | None:
    """What ``Retry-After`` says in seconds; a date, which it may be too, is none that this API sends."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None


def _token(model: str) -> str:
    token = os.environ.get("EVERLOOP_TOKEN", "").strip()
    if not token:
        raise CredentialsError(
            f"{model} asks its callers for a token (serving.authorization: jwt), and $EVERLOOP_TOKEN has none",
            "get one from its issuer, and set EVERLOOP_TOKEN",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialsError(
            "$EVERLOOP_TOKEN holds no token: a token has neither spaces nor other characters than ASCII",
            "set it to the token alone, without `Bearer`",
        )
    return token


def _encoded(body: JsonObject) -> bytes:
    try:
        text = json.dumps(body, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    except RecursionError as error:
        raise CommandError(
            "the request is nested too deeply", "send rows of strings and numbers; nothing was sent"
        ) from (error)
    except ValueError as error:
        raise CommandError(
            f"{_not_finite(body) or 'a number'} of the request is not finite, and JSON has only finite numbers",
            "send null for a missing value; nothing was sent",
        ) from error
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a character is the endpoint's to refuse, by name; JSON can only say it as an escape.
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _not_finite(value: Any, path: str = "") -> str | None:
    """Where the first number that is not finite is, e.g. ``instances[0].distance``."""
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, dict):
        inner = ((item, f"{path}.{name}" if path else str(name)) for name, item in value.items())
    elif isinstance(value, list):
        inner = ((item, f"{path}[{place}]") for place, item in enumerate(value))
    else:
        return None
    return next((found for item, place in inner if (found := _not_finite(item, place)) is not None), None)


def remedy(status: int, model: str, answer: JsonObject | None = None) -> str:
    """What a person can do about an answer with this status."""
    error = (answer or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if code == "labels_not_stored":
        return "the stream was busy: send all of them again; nothing is counted twice"
    if code == "unavailable":
        return (
            "API Gateway could not have it answered: send it again in a moment. If that does not help,"
            f" `everloop status {model}` says what serves"
        )
    if code == "artifact_refused":
        return f"somebody changed the stored model: `everloop trace {model}` shows its registered hash; train again"
    if status == 413:
        return "send fewer rows, or shorter strings, in one request"
    if status == 429:
        return "too many requests at once: send this one again in a moment"
    if status == 401:
        return "with serving.authorization jwt, $EVERLOOP_TOKEN needs a token of the declared issuer and audience"
    if status == 403:
        return "the credentials need execute-api:Invoke on this API; a token needs one of serving.jwt.scopes"
    if status == 503:
        return f"`everloop status {model}` says whether a champion serves; `everloop train {model}` trains one"
    if status >= 500:
        return (
            f"the request is not the cause; `everloop trace {model}` says what serves, and during its bake"
            f" `everloop rollback {model} --reason WHY` restores the previous version"
        )
    if status == 404:
        return "`everloop status` lists the deployed models"
    if code == "unknown_feature":
        return (
            f"fix the request; models/{model}/model.yaml declares what is allowed. New features are accepted from"
            f" the next rollout on: deploy, then `everloop rollout start {model}`"
        )
    return f"fix the request; models/{model}/model.yaml declares what is allowed"
