"""The local cloud's HTTP server and signature check beside those of libraries: cheroot and botocore.

``pip install cheroot`` first, then ``python benchmarks/http_and_signatures.py``. It prints how many requests a second
each answers (the same handler, kept connections, clients that write bytes and read them) and what a verified signature
takes, as ratios to our own. Runs alternate, and the middle one of each counts.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localcloud.core.http_server import HttpRequest, HttpResponse, HttpServer, listen
from localcloud.core.wsgi import call_wsgi, wsgi_environ
from localcloud.iam.signatures import Secret, claim_of, verify

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BODY = b'{"TableName":"records","Key":{"pk":{"S":"MODEL#a"},"sk":{"S":"CHAMPION"}},"ConsistentRead":true}'
ANSWER = b'{"Item":{"pk":{"S":"MODEL#a"}}}'


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer as a WSGI application, once the body is read."""
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


@contextmanager
def ours(*, is_wsgi: bool) -> Iterator[int]:
    """Our server, with a handler of its own or with the WSGI application; its port."""

    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, ANSWER, (("Content-Type", "application/x-amz-json-1.0"),))

    def through_wsgi(request: HttpRequest) -> HttpResponse:
        return call_wsgi(application, wsgi_environ(request, 80))

    server = HttpServer(listen(0), through_wsgi if is_wsgi else plain, name="ours")
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextmanager
def cheroots(threads: int) -> Iterator[int]:
    """Cheroot's server, with as many threads as there are clients; its port."""
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", 0), application, numthreads=threads)
    server.keep_alive_conn_limit = 2 * threads  # it closes what is more, and would not be compared
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()


def requests_a_second(port: int, clients: int, requests: int) -> float:
    """How many requests a second clients get answered, each on a connection of its own."""
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-amz-json-1.0\r\n"
    head += f"X-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Length: {len(BODY)}\r\n\r\n"
    message = head.encode() + BODY

    def client() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(requests):
                connection.sendall(message)
                received = b""
                while not received.endswith(ANSWER):
                    part = connection.recv(65536)
                    if not part:
                        raise ConnectionError(f"port {port} closed the connection")
                    received += part

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * requests / (time.perf_counter() - began)


def signed() -> HttpRequest:
    """A request as boto3 sends it."""
    request = AWSRequest("POST", "http://127.0.0.1:4599/", data=BODY)
    request.headers["Content-Type"] = "application/x-amz-json-1.0"
    request.headers["X-Amz-Target"] = "DynamoDB_20120810.GetItem"
    SigV4Auth(Credentials(KEY, SECRET), "dynamodb", "us-east-1").add_auth(request)
    headers = (("Host", "127.0.0.1:4599"), *request.headers.items())
    return HttpRequest("POST", "/", tuple((str(name), str(value)) for name, value in headers), BODY)


def by_us(request: HttpRequest) -> None:
    """Verify as the local cloud does."""
    verify(request, claim_of(request), lambda _: Secret(SECRET), (datetime.now(UTC),))


def by_botocore(request: HttpRequest) -> None:
    """Sign again with botocore what the request says was signed, and compare."""
    claim = claim_of(request)
    again = AWSRequest(request.method, f"http://{request.header('host')}{request.target}", data=request.body)
    for name in claim.headers:
        if name != "host":
            again.headers[name] = request.header(name) or ""
    again.context["timestamp"] = datetime.strptime(claim.stamp, SIGV4_TIMESTAMP).strftime(SIGV4_TIMESTAMP)
    signer = SigV4Auth(Credentials(KEY, SECRET), claim.service, claim.region)
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    if expected != claim.signature:
        raise PermissionError("the signature does not match")


def seconds(work: Callable[[], None], times: int) -> float:
    """What one of ``times`` takes."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help="of each run (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each kind (%(default)s)")
    options = parser.parse_args()
    print(f"{'requests a second':<42}{'1 client':>10}{'16 clients':>12}")
    figures: dict[str, dict[int, list[float]]] = {}
    for _ in range(options.runs):
        for clients in (1, 16):
            kinds = {
                "ours": ours(is_wsgi=False),
                "ours, a WSGI application": ours(is_wsgi=True),
                "cheroot": cheroots(clients),
            }
            for name, server in kinds.items():
                with server as port:
                    rate = requests_a_second(port, clients, options.requests // clients)
                figures.setdefault(name, {}).setdefault(clients, []).append(rate)
    middle = {
        name: {clients: statistics.median(rates) for clients, rates in of.items()} for name, of in figures.items()
    }
    for name, of in middle.items():
        print(f"{name:<42}{of[1]:>10,.0f}{of[16]:>12,.0f}")
    ratios = [middle["cheroot"][clients] / middle["ours"][clients] for clients in (1, 16)]
    print(f"{'cheroot / ours':<42}{ratios[0]:>10.2f}{ratios[1]:>12.2f}")
    request = signed()
    times: dict[str, list[float]] = {"ours": [], "botocore": []}
    for _ in range(options.runs):
        times["ours"].append(seconds(lambda: by_us(request), options.requests))
        times["botocore"].append(seconds(lambda: by_botocore(request), options.requests))
    us, boto = (statistics.median(times[name]) * 1e6 for name in ("ours", "botocore"))
    print(f"\na signature: ours {us:.0f} µs, botocore {boto:.0f} µs, botocore / ours {boto / us:.1f}")


if __name__ == "__main__":
    main()
