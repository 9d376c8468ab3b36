"""S3 and Firehose without the SDK, over a real connection."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from everloop.aws.exceptions import ServiceError
from everloop.aws.firehose import FirehoseStreams
from everloop.aws.s3 import S3Reader
from everloop.aws.signing import Credentials
from everloop.aws.transport import Service, endpoint_of


class Played(ThreadingHTTPServer):
    """Answers as it is told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes] | None] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Played

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        answer = self.server.answers.pop(0)
        if answer is None:  # the connection breaks
            self.close_connection = True
            self.connection.close()
            return
        status, content = answer
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def played() -> Iterator[Played]:
    server = Played()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def service(played: Played, name: str, pauses: list[float] | None = None, **options: Any) -> Service:
    pauses = [] if pauses is None else pauses
    return Service(name, "us-east-1", played.url, Credentials("a", "b", "t"), sleep=pauses.append, **options)


def test_an_object_is_read_by_its_path(played: Played) -> None:
    played.answers = [(200, b"content")]
    answer = S3Reader(service(played, "s3")).get_object(Bucket="my.bucket", Key="a b/ü.json")
    assert (answer["Body"].read(4), answer["ContentLength"]) == (b"cont", 7)
    path, headers, _ = played.asked[0]
    assert path == "/my.bucket/a%20b/%C3%BC.json"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=a/")
    assert headers["x-amz-security-token"] == "t"


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", "NoSuchKey"), (b"", "404"), (b"\xff", "404")],
)
def test_an_error_of_s3_is_shaped_as_the_sdks(played: Played, body: bytes, code: str) -> None:
    played.answers = [(404, body)]
    with pytest.raises(ServiceError) as refused:
        S3Reader(service(played, "s3")).get_object(Bucket="b", Key="k")
    assert refused.value.response["Error"]["Code"] == code


def test_what_may_pass_is_asked_again(played: Played) -> None:
    pauses: list[float] = []
    played.answers = [(503, b"<Code>SlowDown</Code>"), None, (200, b"x")]
    reader = S3Reader(service(played, "s3", pauses))
    assert reader.get_object(Bucket="b", Key="k")["Body"].read() == b"x"
    assert (len(played.asked), len(pauses)) == (3, 1), "a kept connection that breaks is no attempt"
    played.answers = [(500, b"")] * 3
    with pytest.raises(ServiceError, match="500"):
        reader.get_object(Bucket="b", Key="k")
    assert len(played.asked) == 6


def test_a_connection_that_ended_in_a_freeze_is_opened_again(played: Played) -> None:
    reader = S3Reader(service(played, "s3", attempts=1))
    played.answers = [(200, b"1"), None, (200, b"2")]
    assert reader.get_object(Bucket="b", Key="k")["Body"].read() == b"1"
    assert reader.get_object(Bucket="b", Key="k")["Body"].read() == b"2"
    played.answers = [None, None]
    with pytest.raises((OSError, HTTPException)):
        reader.get_object(Bucket="b", Key="k")


def test_records_are_put(played: Played) -> None:
    answer = {
        "FailedPutCount": 1,
        "RequestResponses": [{"RecordId": "1"}, {"ErrorCode": "ServiceUnavailableException"}],
    }
    played.answers = [(200, json.dumps(answer).encode())]
    streams = FirehoseStreams(service(played, "firehose"))
    assert streams.put_record_batch(DeliveryStreamName="s", Records=[{"Data": b"1"}, {"Data": b"\xff"}]) == answer
    path, headers, body = played.asked[0]
    assert (path, headers["x-amz-target"]) == ("/", "Firehose_20150804.PutRecordBatch")
    sent = json.loads(body)
    assert sent["DeliveryStreamName"] == "s"
    assert [base64.b64decode(record["Data"]) for record in sent["Records"]] == [b"1", b"\xff"]


@pytest.mark.parametrize(
    ("body", "code", "asked"),
    [
        (b'{"__type": "com.amazonaws.firehose#ResourceNotFoundException", "message": "no stream"}', "Resource", 1),
        (b'{"__type": "ThrottlingException", "message": "slow"}', "ThrottlingException", 2),
        (b"[]", "400", 1),
        (b"<html>", "400: <html>", 1),
    ],
)
def test_a_refused_call_has_its_code(played: Played, body: bytes, code: str, asked: int) -> None:
    played.answers = [(400, body)] * 2
    with pytest.raises(ServiceError, match=code):
        FirehoseStreams(service(played, "firehose", attempts=2)).put_record_batch(DeliveryStreamName="s", Records=[])
    assert len(played.asked) == asked


def test_a_service_that_hangs_is_given_up_when_time_is_up() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        left = [0.02, 0.0]
        hanging = Service("firehose", "r", url, Credentials("a", "b"), seconds=lambda: left.pop(0) if left else 0.0)
        with pytest.raises(TimeoutError):
            FirehoseStreams(hanging).put_record_batch(DeliveryStreamName="s", Records=[])


@pytest.mark.parametrize(
    ("variables", "region", "address"),
    [
        ({}, "eu-west-1", "https://firehose.eu-west-1.amazonaws.com"),
        ({}, "cn-north-1", "https://firehose.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://a"}, "r", "http://a"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_FIREHOSE": "http://b"}, "r", "http://b"),
    ],
)
def test_the_address_is_the_regions_or_the_variables(variables: dict[str, str], region: str, address: str) -> None:
    assert endpoint_of("firehose", region, variables) == address
