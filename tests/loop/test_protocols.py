"""Every protocol is behind the API's one greedy route, and asks for the caller's signature as predictions do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, a tensor a column."""
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "FP64" if all(isinstance(r[name], int | float | None) for r in rows) else "BYTES",
            "data": [r[name] for r in rows],
        }
        for name in rows[0]
    ]


def test_the_same_rows_have_the_same_scores_by_every_protocol(loop: Loop) -> None:
    rows, base = loop.instances(2), loop.model.predictions_url.removesuffix("/predictions")
    status, native = loop.post({"instances": rows})
    assert status == 200
    probabilities = [p["probability"] for p in native["predictions"]]
    for name in ("mlflow", "sagemaker"):
        status, answer = loop.post({"instances": rows}, url=f"{base}/{name}/invocations")
        assert (status, [p["probability"] for p in answer["predictions"]]) == (200, probabilities)
    status, answer = loop.post({"inputs": tensors(rows)}, url=f"{base}/v2/models/{loop.name}/infer")
    assert status == 200, answer
    assert {o["name"]: o["data"] for o in answer["outputs"]}["probability"] == probabilities


def test_pages_are_behind_the_route_too_and_what_is_nowhere_is_not_found(loop: Loop) -> None:
    base = loop.model.predictions_url.removesuffix("/predictions")
    assert loop.send("GET", f"{base}/v2/health/ready") == (200, {"ready": True})
    status, document = loop.send("GET", f"{base}/openapi.json")
    assert (status, document["info"]["title"]) == (200, loop.name)
    status, answer = loop.post({"instances": loop.instances(1)}, url=f"{base}/nowhere")
    assert (status, answer["error"]["code"]) == (404, "unknown_path")
    status, answer = loop.send("GET", f"{base}/v2/models/{loop.name}/infer")
    assert (status, answer["error"].partition(":")[0]) == (405, "method_not_allowed")


def test_no_protocol_is_open_to_an_unsigned_request(loop: Loop) -> None:
    base = loop.model.predictions_url.removesuffix("/predictions")
    for path in ("mlflow/invocations", "sagemaker/invocations", f"v2/models/{loop.name}/infer"):
        assert loop.post({"instances": loop.instances(1)}, url=f"{base}/{path}", signed=False)[0] == 403
