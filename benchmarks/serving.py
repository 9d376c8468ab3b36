"""`everloop serve` beside its own server's empty route, bare FastAPI, MLServer, BentoML and MLflow: one row a request.

``python -m benchmarks.serving --environments FOLDER``, where FOLDER has a virtual environment for each peer
(``fastapi``, ``mlserver``, ``bentoml``, ``mlflow``: the versions of benchmarks/serving_peers/requirements.txt, and
onnxruntime of requirements-dev.txt; ``fastapi`` with uvicorn, httptools and uvloop). What has none is left out, and
said.

The same ONNX model, the same row in each server's own form, one worker each, started as its documentation says. All are
started, and asked in turn, for half a second with 1, 8 and 32 connections that always have one request under way. After
all rounds the middle ones are printed, with their ratio to the empty route. The least processor time of the server's
processes is beside them: it depends less than the rest on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from everloop.serving.contract import CategoryField, NumberField
from tests.helpers.artifacts import PREFIX, StoredArtifact, small_contract
from tests.helpers.onnx_models import linear_model

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "serving_peers"
CONNECTIONS = (1, 8, 32)
NUMBERS = [f"n{i}" for i in range(12)]
CATEGORIES = [f"c{i}" for i in range(6)]
ROW = {**{name: 0.5 * i for i, name in enumerate(NUMBERS)}, **dict.fromkeys(CATEGORIES, "b")}
PORT = 9930
TIMES = ("rate", "p50", "p99")
FEWEST = 100
"""Answers of a load: on a busy machine a second may be too short."""

EMPTY = """
import sys
from everloop.server.run import listen, serve

async def application(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})

serve(application, listen("127.0.0.1", int(sys.argv[1])))
"""


@dataclass
class Server:
    """How a server is started, and asked."""

    command: list[str]
    path: str
    document: Any
    port: int
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> bytes:
        """The request."""
        body = json.dumps(self.document).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Load:
    """What a load came to."""

    rate: float
    p50: float
    p99: float
    cpu: float


def artefact(folder: Path) -> StoredArtifact:
    """A version of twelve numbers and six categories, as the product stores it, and the peers' two files."""
    contract = small_contract(
        numbers=tuple(NumberField(name, min=-1e6, max=1e6, missing="allow") for name in NUMBERS),
        categories=tuple(CategoryField(name, missing="allow", values=("a", "b")) for name in CATEGORIES),
    )
    stored = StoredArtifact(contract, linear_model([0.01] * 12, [{"a": 1.0, "b": -1.0}] * 6))
    for key, data in stored.objects.items():
        (folder / key.removeprefix(PREFIX)).write_bytes(data)
    (folder / "columns.json").write_text(json.dumps({"numbers": NUMBERS, "categories": CATEGORIES}))
    return stored


def servers(folder: Path, environments: Path) -> Iterator[tuple[str, Server]]:
    """Those that can be started here."""
    stored = artefact(folder)
    rows = [{"train_id": "t1", **ROW}]
    ports = count(PORT)

    def serve(port: int, *options: str) -> list[str]:
        named = ["serve", str(folder), "--manifest-sha256", stored.manifest_sha256, "--port", str(port)]
        return [sys.executable, "-m", "everloop.cli.main", *named, *options]

    port = next(ports)
    yield "empty route", Server([sys.executable, "-c", EMPTY, str(port)], "/", {"instances": rows}, port)
    port = next(ports)
    yield "everloop serve", Server(serve(port), "/predictions", {"instances": rows}, port)
    port = next(ports)
    captured = serve(port, "--capture", str(folder / "rows.jsonl"))
    yield "everloop serve, captured", Server(captured, "/predictions", {"instances": rows}, port)
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for name, value in rows[0].items()
    ]
    port = next(ports)
    path = f"/v2/models/{stored.contract.model}/infer"
    yield "everloop serve, v2", Server(serve(port), path, {"inputs": tensors}, port)
    for name, make in (("fastapi", _fastapi), ("mlserver", _mlserver), ("bentoml", _bentoml), ("mlflow", _mlflow)):
        binaries = environments / name / "bin"
        if not binaries.is_dir():
            print(f"{name} is left out: there is no {binaries}")
            continue
        server = make(binaries, folder, tensors, next(ports))
        path = f"{binaries}:{os.environ['PATH']}"
        server.variables = {"PEER_FOLDER": str(folder), "PYTHONPATH": str(PEERS), "PATH": path, **server.variables}
        yield name, server


def _fastapi(binaries: Path, folder: Path, tensors: Any, port: int) -> Server:
    command = [str(binaries / "uvicorn"), "fastapi_app:app", "--port", str(port), "--no-access-log"]
    return Server(command, "/predict", {"instances": [ROW]}, port)


def _mlserver(binaries: Path, folder: Path, tensors: Any, port: int) -> Server:
    home = folder / "mlserver"
    home.mkdir()
    (home / "settings.json").write_text(
        json.dumps(
            {
                "http_port": port,
                "grpc_port": port + 100,
                "metrics_port": port + 200,
                "host": "127.0.0.1",
                "parallel_workers": 0,
            }
        )
    )
    settings = {"name": "scorer", "implementation": "mlserver_model.Scorer"}
    (home / "model-settings.json").write_text(json.dumps(settings))
    named = [tensor for tensor in tensors if tensor["name"] in ROW]
    return Server([str(binaries / "mlserver"), "start", str(home)], "/v2/models/scorer/infer", {"inputs": named}, port)


def _bentoml(binaries: Path, folder: Path, tensors: Any, port: int) -> Server:
    command = [str(binaries / "bentoml"), "serve", "bento_service:Scorer", "--port", str(port), "--working-dir"]
    quiet = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(folder / "bentoml")}
    return Server([*command, str(PEERS)], "/predict", {"instances": [ROW]}, port, quiet)


def _mlflow(binaries: Path, folder: Path, tensors: Any, port: int) -> Server:
    variables = {**os.environ, "PEER_FOLDER": str(folder), "PYTHONPATH": str(PEERS)}
    subprocess.run(
        [binaries / "python", PEERS / "mlflow_model.py", folder], check=True, env=variables, capture_output=True
    )
    command = [str(binaries / "mlflow"), "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    split = {"columns": [*ROW], "data": [[*ROW.values()]]}
    return Server([*command, "--port", str(port), "--workers", "1"], "/invocations", {"dataframe_split": split}, port)


@contextmanager
def started(server: Server, log: Path) -> Iterator[int]:
    """The server, once it answers; its process id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            server.command, cwd=ROOT, env={**os.environ, **server.variables}, stdout=output, stderr=output
        )
    try:
        _wait(server, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"{server.command} ended: see {log}")
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                connection.sendall(server.message)
                if connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{server.command} does not answer with 200: see {log}")


def load(server: Server, connections: int, seconds: float, pid: int) -> Load:
    """Keep so many connections busy for so long; any answer but 200 ends the run."""
    selector, clock = selectors.DefaultSelector(), time.perf_counter
    times: list[float] = []
    callers, message = (
        [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)],
        server.message,
    )
    before, began = _cpu_seconds(pid), clock()
    sent = dict.fromkeys(callers, 0.0)
    for caller in callers:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(caller, selectors.EVENT_READ, (caller, bytearray()))
        sent[caller] = clock()
        caller.send(message)
    while clock() < began + seconds or len(times) < FEWEST:
        for key, _ in selector.select(1):
            caller, data = key.data
            data += caller.recv(65536)
            if not _whole(data):
                continue
            if not data.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"answered {bytes(data[:500])!r}")
            data.clear()
            now = clock()
            times.append(now - sent[caller])
            sent[caller] = now
            caller.send(message)
    took, cpu = clock() - began, _cpu_seconds(pid) - before
    for caller in callers:
        caller.close()
    times.sort()
    return Load(len(times) / took, times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3, cpu / len(times))


def _whole(data: bytearray) -> bool:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    lower = bytes(data[:head]).lower()
    at = lower.find(b"content-length:")
    return at >= 0 and len(data) >= head + 4 + int(lower[at + 15 :].split(b"\r\n", 1)[0])


def _cpu_seconds(pid: int) -> float:
    """Of a process and all below it: of their threads that still live, by the scheduler's count of nanoseconds."""
    spent = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            spent += int((task / "schedstat").read_text().split()[0]) / 1e9
            spent += sum(_cpu_seconds(int(below)) for below in (task / "children").read_text().split())
    return spent


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--environments", type=Path, default=ROOT / ".cache" / "peers")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    found: dict[tuple[str, int], list[Load]] = {}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        running: dict[str, tuple[Server, int]] = {}
        for name, server in servers(Path(place), given.environments):
            running[name] = server, stack.enter_context(started(server, Path(place) / "servers.log"))
            load(server, 4, 1.0, running[name][1])
        for _ in range(given.rounds):
            for connections in CONNECTIONS:
                for name, (server, pid) in running.items():
                    one = load(server, connections, given.seconds, pid)
                    found.setdefault((name, connections), []).append(one)
                    print(name, connections, one, file=sys.stderr, flush=True)
    print(
        "| server | connections | requests/s | p50 ms | p99 ms | ÷ empty route | processor µs/request | ÷ empty route |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (name, connections), loads in found.items():
        rate, p50, p99 = (statistics.median(getattr(one, what) for one in loads) for what in TIMES)
        empty = found["empty route", connections]
        waits = p50 / statistics.median(one.p50 for one in empty)
        # What else the machine does only adds.
        cost = min(one.cpu for one in loads)
        costs = cost / min(one.cpu for one in empty)
        shown = f"{rate:,.0f} | {p50:.2f} | {p99:.2f} | {waits:.1f}"
        print(f"| {name} | {connections} | {shown} | {cost * 1e6:.0f} | {costs:.1f} |")


if __name__ == "__main__":
    main()
