"""One service of AWS, asked over a connection that is kept."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from everloop.aws.signing import Credentials, signed_headers

REPEATED = frozenset({429, 500, 502, 503, 504})
THROTTLED = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "SlowDown", "ServiceUnavailableException")


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def endpoint_of(service: str, region: str, variables: Mapping[str, str]) -> str:
    """The address of a service: what the SDK's variables name, or the region's own."""
    named = variables.get(f"AWS_ENDPOINT_URL_{service.upper()}") or variables.get("AWS_ENDPOINT_URL")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return named or f"https://{service}.{region}.{suffix}"


class Service:
    """Sends signed requests to one address; used by one thread at a time.

    A connection may be dead after a freeze, without either side having said so. So a request that fails on a kept
    connection is sent again on a new one, at once.

    Parameters
    ----------
    attempts : int
        How often a request is sent that finds no connection, or a service that is busy or broken.
    seconds : callable
        How long each attempt may wait for an answer, in seconds; none is begun with less than nothing.
    """

    def __init__(
        self,
        service: str,
        region: str,
        endpoint: str,
        credentials: Credentials,
        *,
        attempts: int = 3,
        seconds: Callable[[], float] = lambda: 10.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        parts = urlsplit(endpoint)
        self._service, self._region, self._credentials = service, region, credentials
        self._is_secure, self._host = parts.scheme != "http", parts.netloc
        self._attempts, self._seconds, self._sleep, self._now = attempts, seconds, sleep, now
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, most: int) -> Answer:
        """Send a request, and read at most ``most`` bytes of its answer.

        Returns
        -------
        Answer
            Of any status.

        Raises
        ------
        OSError, http.client.HTTPException
            When no attempt had an answer.
        """
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(0.05 * 2 ** (attempt - 1))
            is_last = attempt + 1 == self._attempts or self._seconds() <= 0
            try:
                answer = self._once(method, path, headers, body, most)
            except (OSError, http.client.HTTPException):
                if is_last:
                    raise
                continue
            if is_last or not _may_pass(answer):
                return answer
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: bytes, most: int) -> Answer:
        kept, connection = self._connection is not None, self._connection or self._connect()
        try:
            return self._ask(connection, method, path, headers, body, most)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise
            return self._ask(self._connect(), method, path, headers, body, most)

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        most: int,
    ) -> Answer:
        signed = signed_headers(
            self._credentials,
            service=self._service,
            region=self._region,
            method=method,
            host=self._host,
            path=path,
            headers=headers,
            body=body,
            at=self._now(),
        )
        try:
            seconds = max(self._seconds(), 0.05)
            connection.timeout = seconds
            if connection.sock is not None:
                connection.sock.settimeout(seconds)
            connection.request(method, path, body, signed)
            answer = connection.getresponse()
            content = answer.read(most)
            if not answer.isclosed():  # more follows, which nobody wants
                self.close()
        except BaseException:
            self.close()
            raise
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(self._host, timeout=1)
        else:
            connection = http.client.HTTPConnection(self._host, timeout=1)
        self._connection = connection
        return connection

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _may_pass(answer: Answer) -> bool:
    head = answer.body[:2048].decode("utf-8", "replace")
    return answer.status in REPEATED or (answer.status == 400 and any(code in head for code in THROTTLED))
