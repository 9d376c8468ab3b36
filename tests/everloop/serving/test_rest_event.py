"""A request by a REST API is answered, captured and counted as the same one by an HTTP API, by every protocol."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import numpy as np
import pytest

from everloop.functions.predict.handler import Environment, Predictor
from everloop.serving.protocols import PROTOCOLS
from everloop.serving.rest_event import as_http_event
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row
from tests.helpers.http_events import as_rest, http_event

ROWS = [row("tä€"), row("t2", line="south", wind=None)]
BASE = f"/models/{MODEL}"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def tensors(*, in_bytes: bool) -> tuple[Any, dict[str, str]]:
    """The rows as tensors in JSON, or behind it as bytes; with the headers that say so."""
    inputs, behind = [], b""
    for name in ROWS[0]:
        values: list[Any] = [r[name] for r in ROWS]
        is_number = name in ("distance", "wind")
        given: dict[str, Any] = {"name": name, "shape": [2], "datatype": "FP64" if is_number else "BYTES"}
        if in_bytes:
            texts = [str(v).encode() for v in values]
            numbers = [np.nan if v is None else v for v in values] if is_number else []
            data = (
                np.array(numbers, "<f8").tobytes()
                if is_number
                else b"".join(struct.pack("<I", len(text)) + text for text in texts)
            )
            given["parameters"], behind = {"binary_data_size": len(data)}, behind + data
        else:
            given["data"] = values
        inputs.append(given)
    document: dict[str, Any] = {"inputs": inputs}
    if not in_bytes:
        return document, {}
    document["parameters"] = {"binary_data_output": True}
    text = json.dumps(document).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(text))}
    return text + behind, headers


def by_v2(*, in_bytes: bool) -> tuple[str, Any, dict[str, Any]]:
    document, headers = tensors(in_bytes=in_bytes)
    return f"v2/models/{MODEL}/infer", document, {"headers": headers}


def as_csv() -> bytes:
    return "\n".join(",".join("" if v is None else str(v) for v in r.values()) for r in ROWS).encode()


ASKED: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "predictions": ("predictions", {"instances": ROWS}, {}),
    "predictions, gzipped": (
        "predictions",
        gzip.compress(json.dumps({"instances": ROWS}).encode()),
        {"headers": {"content-encoding": "gzip"}},
    ),
    "predictions, of another charset": (
        "predictions",
        {"instances": ROWS},
        {"headers": {"content-type": "application/json; charset=latin1"}},
    ),
    "predictions, traced": ("predictions", {"instances": ROWS}, {"headers": {"traceparent": TRACE}}),
    "predictions, refused": ("predictions", {"instances": [row("t1", distance=-1)]}, {}),
    "predictions, no JSON": ("predictions", "{", {}),
    "predictions, no text": ("predictions", b"\xff", {}),
    "v2": by_v2(in_bytes=False),
    "v2, in bytes": by_v2(in_bytes=True),
    "v2, a page": ("v2/health/ready", "", {"method": "GET"}),
    "mlflow": ("mlflow/invocations", {"dataframe_records": ROWS}, {}),
    "sagemaker, CSV": ("sagemaker/invocations", as_csv(), {"headers": {"content-type": "text/csv"}}),
    "sagemaker, lines": (
        "sagemaker/invocations",
        "\n".join(json.dumps({"features": list(r.values())}) for r in ROWS),
        {"headers": {"content-type": "application/jsonlines"}},
    ),
    "nothing there": ("nothing", "", {"method": "GET"}),
}
GOOD = {"predictions", "predictions, gzipped", "predictions, traced", "v2", "v2, in bytes", "v2, a page", "mlflow"}
GOOD |= {"sagemaker, CSV", "sagemaker, lines"}


class Function:
    """A process of the prediction function, and what comes of its requests."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        stored = StoredArtifact()
        environment = Environment(
            model=MODEL,
            artifact_bucket="artifacts",
            predictions_stream="predictions",
            version=7,
            artifact_prefix=PREFIX,
            manifest_sha256=stored.manifest_sha256,
        )
        self.stream, self._capsys = FakeFirehose(), capsys
        self.predictor = Predictor(environment, s3_client=FakeS3(stored.objects), firehose_client=self.stream)

    def told(self, event: dict[str, Any]) -> Any:
        """The answer, what was logged, and what was captured, but for how long it took."""
        self._capsys.readouterr()
        self.stream.taken.clear()
        answer = self.predictor.handle(event, "4")
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        for found in (*lines, *self.stream.taken):
            found.pop("PredictionLatency", None)
            found.pop("latency_ms", None)
        return answer, lines, list(self.stream.taken)


@pytest.mark.parametrize("asked", ASKED)
def test_all_that_comes_of_it_is_the_same(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    path, document, options = ASKED[asked]
    event = http_event(document, path=BASE, proxy=path, **options)
    by_http, by_rest = (Function(capsys).told(each) for each in (event, as_rest(event)))
    assert by_rest == by_http
    assert (by_http[0]["statusCode"] == 200) == (asked in GOOD), by_http[0]


def test_every_protocol_is_asked() -> None:
    assert {path.partition("/")[0] for path, _, _ in ASKED.values()} == {*PROTOCOLS.names, "nothing"}


def test_an_answer_in_bytes_goes_out_in_base64(capsys: pytest.CaptureFixture[str]) -> None:
    path, document, options = ASKED["v2, in bytes"]
    answer, _, _ = Function(capsys).told(as_rest(http_event(document, path=BASE, proxy=path, **options)))
    assert answer["isBase64Encoded"] is True


def test_predictions_are_named_by_an_id_that_no_caller_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    event = as_rest(http_event({"instances": ROWS}, path=BASE, proxy="predictions", request_id="Co1mxGEbjoEFm7w="))
    event["requestContext"]["requestId"] = event["headers"]["X-Amzn-RequestId"] = "00000000-0000-0000-0000-00000000000a"
    _, (line,), captured = Function(capsys).told(event)
    assert line["request_id"] == "Co1mxGEbjoEFm7w="
    assert [found["prediction_id"] for found in captured] == ["Co1mxGEbjoEFm7w=-0", "Co1mxGEbjoEFm7w=-1"]


def test_headers_that_come_several_times_stand_in_one() -> None:
    event = as_rest(http_event("{}", path=BASE, proxy="predictions"))
    event["multiValueHeaders"]["X-Several"] = ["a", "b"]
    event["headers"]["X-Several"] = "b"
    assert as_http_event(event)["headers"]["x-several"] == "a,b"
    # Whoever invokes the function in a REST API's stead may leave them out.
    del event["multiValueHeaders"]
    assert as_http_event(event)["headers"] == {"content-type": "application/json", "x-several": "b"}


def test_text_that_is_no_base64_is_left_to_who_reads_it() -> None:
    event = {**as_rest(http_event("{}", path=BASE, proxy="predictions")), "body": "a"}
    found = as_http_event(event)
    assert (found["body"], found["isBase64Encoded"]) == ("a", True)
