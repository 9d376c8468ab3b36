"""The HTTP server under the AWS API and the HTTP APIs."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from localcloud.core.http_server import (
    HttpRequest,
    HttpResponse,
    HttpServer,
    PortTakenError,
    listen,
    read_exactly,
    render,
)
from localcloud.core.patience import Patience, PatientReader


def echo(request: HttpRequest) -> HttpResponse:
    if request.path == "/fail":
        raise ValueError("broken handler")
    if request.path == "/empty":
        return HttpResponse(204)
    return HttpResponse(200, request.method.encode() + b" " + request.body, (("X-Query", request.query),))


@pytest.fixture
def server() -> Iterator[HttpServer]:
    running = HttpServer(listen(0), echo, name="test", max_body=1000)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield opened
    opened.close()


def ask(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None
) -> tuple[int, bytes, http.client.HTTPResponse]:
    connection.request(method, target, body)
    response = connection.getresponse()
    return response.status, response.read(), response


def raw(server: HttpServer, data: bytes) -> bytes:
    data = data.replace(b"Host: x", f"Host: 127.0.0.1:{server.port}".encode())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
        return answer


def test_a_connection_is_kept_for_many_requests(connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", "/")
    first = connection.sock

    for _ in range(3):
        status, body, response = ask(connection, "POST", "/a%20b?x=1&y", b"data")

        assert (status, body, response.headers["X-Query"]) == (200, b"POST data", "x=1&y")
    assert connection.sock is first


def test_head_and_204_have_no_body(connection: http.client.HTTPConnection) -> None:
    status, body, response = ask(connection, "HEAD", "/")
    assert (status, body, response.headers["Content-Length"]) == (200, b"", "5")

    assert ask(connection, "GET", "/empty")[:2] == (204, b"")
    assert ask(connection, "GET", "/")[0] == 200


@pytest.mark.parametrize(("value", "sent"), [("Zoë", b"Zo\xeb"), ("Łódź ✓", "Łódź ✓".encode()), ("\ud800", b"?")])
def test_a_header_of_any_characters_is_sent(value: str, sent: bytes) -> None:
    answer = render(HttpResponse(200, b"", (("X-Place", value),)), head_only=False, close=False)
    assert b"X-Place: " + sent + b"\r\n" in answer


def test_a_handler_that_raises_is_500_and_the_connection_goes_on(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "GET", "/fail")[0] == 500
    assert ask(connection, "GET", "/")[0] == 200


def test_chunks_are_put_together(server: HttpServer) -> None:
    answer = raw(
        server,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=1\r\ndefg\r\n0\r\n\r\n",
    )

    assert answer.endswith(b"POST abcdefg")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        host = f"Host: localhost:{server.port}\r\n".encode()
        client.sendall(b"PUT / HTTP/1.1\r\n" + host + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.recv(1000).endswith(b"PUT abc")


@pytest.mark.parametrize("head", [b"Content-Length: 1001", b"Transfer-Encoding: chunked"])
def test_a_body_over_the_limit_is_413(server: HttpServer, head: bytes) -> None:
    body = b"x" * 1001
    sent = b"3e9\r\n" + body + b"\r\n0\r\n\r\n" if b"chunked" in head else body

    assert raw(server, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + sent).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400(server: HttpServer, data: bytes) -> None:
    assert raw(server, data).startswith(b"HTTP/1.1 400")


def test_requests_of_different_connections_run_at_the_same_time() -> None:
    # GIVEN a handler that answers once two requests are in it
    both = threading.Barrier(2, timeout=10)

    def wait(_request: HttpRequest) -> HttpResponse:
        both.wait()
        return HttpResponse(200)

    server = HttpServer(listen(0), wait, name="test")
    server.start()
    statuses: list[int] = []

    def go() -> None:
        statuses.append(ask(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10), "GET", "/")[0])

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()

    assert statuses == [200, 200]


def test_a_taken_port_is_named_with_a_remedy(server: HttpServer) -> None:
    with pytest.raises(PortTakenError, match=rf"port {server.port} .*--port"):
        listen(server.port)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length : 4\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 4_0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 4, 4\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b"X: a\r\n Origin: http://folded.example\r\n",
        b"X: a\rOrigin: http://attacker.example\r\n",
        b"X: a\0b\r\n",
        b": empty\r\n",
        b"X-\xe4: a\r\n",
    ],
)
def test_a_head_that_others_could_read_in_another_way_is_refused(server: HttpServer, head: bytes) -> None:
    answer = raw(
        server, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"X-Query" not in answer  # nothing reached the handler, not what stands after it either


@pytest.mark.parametrize("size", [b"-1", b"-5", b"0x3", b"+3", b"1_0", b"", b" 3", b"\xb2", b"9" * 400, b"4"])
def test_a_chunk_that_is_not_what_it_says_is_refused(server: HttpServer, size: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = raw(server, head + size + b"\r\nabc\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.2", b"GET / HTTP/1.", b"GET /\ra HTTP/1.1", b"GET http://x/ HTTP/1.1", b"OPTIONS * HTTP/1.1"],
)
def test_another_request_line_is_refused(server: HttpServer, line: bytes) -> None:
    assert raw(server, line + b"\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_what_is_only_announced_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConnectionError, match="in the middle"):
            read_exactly(io.BufferedReader(io.BytesIO(b"x" * 100)), 10**9)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def impatient() -> Iterator[HttpServer]:
    short = Patience(idle=0.2, head=0.2, body=0.2, answer=0.2, bytes_per_second=1e9)
    running = HttpServer(listen(0), lambda _: HttpResponse(200, b"x" * 50_000_000), name="impatient", patience=short)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ],
)
def test_a_client_that_stops_sending_is_let_go(impatient: HttpServer, sent: bytes) -> None:
    sent = sent.replace(b"Host: x", f"Host: 127.0.0.1:{impatient.port}".encode())
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=30) as client:
        client.sendall(sent)
        assert client.recv(1) == b""  # closed by the server: the client is still there, and says nothing


def test_a_client_that_does_not_read_its_answer_is_let_go(impatient: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=30) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{impatient.port}\r\n\r\n".encode())
        assert client.recv(1) == b"H"
        while any(thread.name == "impatient" for thread in threading.enumerate()):
            time.sleep(0.01)


def test_a_body_may_take_the_time_that_its_size_needs_and_a_head_no_more_than_its_own() -> None:
    """By a clock of its own: each byte of a body adds its time, each byte of a head none."""
    now = [0.0]
    here, there = socket.socketpair()
    reader = PatientReader(here, lambda: now[0])

    def drip(seconds: float) -> int:
        now[0] += seconds
        there.sendall(b"x")
        return reader.readinto(bytearray(1))

    with here, there:
        reader.allow(10, bytes_per_second=0.5)
        assert [drip(2) for _ in range(50)] == [1] * 50
        reader.allow(10)
        assert [drip(2) for _ in range(4)] == [1] * 4
        with pytest.raises(TimeoutError):
            drip(2)
