from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from everloop.aws.plain_http import PlainConnection

OK = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\nX-Name:  a: b \r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3;x=y\r\n[1]\r\n0\r\nTrailer: t\r\n\r\n"


class Server:
    """Gives each connection its own answers, one a request, and closes it after them."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.listening, self.asked = socket.create_server(("127.0.0.1", 0)), list[bytes]()
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        self._thread.start()

    def _serve(self, connections: tuple[list[bytes], ...]) -> None:
        for answers in connections:
            taken, _ = self.listening.accept()
            with taken:
                for answer in answers:
                    self.asked.append(taken.recv(65_536))
                    taken.sendall(answer)


@pytest.fixture
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[PlainConnection, Server]]:
    server = Server(*request.param)
    found = PlainConnection(server.address)
    yield found, server
    found.close()
    server.listening.close()


@pytest.mark.parametrize("connection", [([OK, CHUNKED, OK],)], indirect=True)
def test_requests_go_over_one_connection(connection: tuple[PlainConnection, Server]) -> None:
    asking, server = connection
    request = asking.request("POST", "/x", {"Own": "é"}, b"body")
    answer = asking.send(request)
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b"{}", "a: b")
    assert asking.send(request).body == b"{}[1]"
    assert asking.send(asking.request("GET", "/y", {})).body == b"{}"
    head = f"POST /x HTTP/1.1\r\nHost: {server.address}\r\nOwn: é\r\nContent-Length: 4\r\n\r\nbody"
    assert server.asked[0] == head.encode("latin-1")


CLOSED = OK.replace(b"X-Name", b"Connection: CLOSE\r\nX-Name")


@pytest.mark.parametrize("connection", [([CLOSED], [OK])], indirect=True)
def test_another_connection_is_opened_where_the_server_closes(connection: tuple[PlainConnection, Server]) -> None:
    asking, _ = connection
    for _ in range(2):
        assert asking.send(asking.request("GET", "/", {})).body == b"{}"


BROKEN = {
    "no answer": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": OK[:-1],
    "half a chunk": CHUNKED[: CHUNKED.index(b"[1]")],
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "no status": b"hello\r\n\r\n",
    "another length": OK.replace(b": 2", b": two"),
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
}


@pytest.mark.parametrize("connection", [([answer], [OK]) for answer in BROKEN.values()], ids=BROKEN, indirect=True)
def test_a_broken_answer_is_an_error_and_the_next_request_opens_another(
    connection: tuple[PlainConnection, Server],
) -> None:
    asking, _ = connection
    with pytest.raises(OSError, match=r"the server|reset"):
        asking.send(asking.request("GET", "/", {}))
    assert asking.send(asking.request("GET", "/", {})).status == 200


def test_where_nothing_listens_there_is_no_answer() -> None:
    asking = PlainConnection("127.0.0.1:1")
    with pytest.raises(ConnectionError):
        asking.send(asking.request("GET", "/", {}))
