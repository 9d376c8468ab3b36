"""Asks a server by the clients of other projects, and prints what each was told as one JSON document.

Run by the clients' own Python, with the server's address and the model's name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

KEYS, NUMBERS, WINDS = ["t1", "t2"], [120.0, 0.0], [3.5, float("nan")]
LINES, OPERATORS, DAYS = ["north", "south"], ["a", "zz"], ["", "mon"]


def columns() -> dict[str, np.ndarray]:
    """The two rows, a tensor a column."""
    return {
        "train_id": np.array(KEYS, dtype=object),
        "distance": np.array(NUMBERS, dtype=np.float64),
        "wind": np.array(WINDS, dtype=np.float64),
        "line": np.array(LINES, dtype=object),
        "operator": np.array(OPERATORS, dtype=object),
        "day": np.array(DAYS, dtype=object),
    }


def triton(url: str, model: str) -> dict[str, Any]:
    """Ask as Triton's HTTP client does."""
    import tritonclient.http as client
    from tritonclient.utils import InferenceServerException, np_to_triton_dtype

    asked = client.InferenceServerClient(urlsplit(url).netloc)
    told: dict[str, Any] = {
        "live": asked.is_server_live(),
        "ready": asked.is_server_ready(),
        "model ready": [asked.is_model_ready(model), asked.is_model_ready("other")],
        "server": asked.get_server_metadata()["name"],
        "inputs": [i["name"] for i in asked.get_model_metadata(model)["inputs"]],
    }

    def inputs(*, binary: bool, wrong: bool = False) -> list[Any]:
        made = []
        for name, values in columns().items():
            values = np.array([9999.0, 1.0]) if wrong and name == "distance" else values
            made.append(client.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype)))
            made[-1].set_data_from_numpy(values, binary_data=binary)
        return made

    def scores(**options: Any) -> Any:
        result = asked.infer(model, **options)
        names = ("prediction", "probability", "prediction_id")
        return [result.as_numpy(name).tolist() for name in names]

    told["binary"] = scores(inputs=inputs(binary=True))
    told["json"] = scores(
        inputs=inputs(binary=False),
        outputs=[
            client.InferRequestedOutput(name, binary_data=False)
            for name in ("prediction", "probability", "prediction_id")
        ],
    )
    told["compressed"] = scores(inputs=inputs(binary=True), request_compression_algorithm="gzip")
    told["id"] = asked.infer(model, inputs(binary=True), request_id="mine").get_response()["id"]
    try:
        asked.infer(model, inputs(binary=True, wrong=True))
    except InferenceServerException as error:
        told["refused"] = [error.status(), error.message()]
    return told


def kserve(url: str, model: str) -> dict[str, Any]:
    """Ask as KServe's REST client does."""
    import httpx
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    def request(*, binary: bool, wrong: bool = False) -> Any:
        made = []
        for name, values in columns().items():
            values = np.array([9999.0, 1.0]) if wrong and name == "distance" else values
            made.append(InferInput(name, list(values.shape), "BYTES" if values.dtype == object else "FP64"))
            made[-1].set_data_from_numpy(values, binary_data=binary)
        return InferRequest(model, made, request_id="mine")

    async def ask() -> dict[str, Any]:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        told: dict[str, Any] = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": [await client.is_model_ready(url, name) for name in (model, "other")],
        }
        for binary in (True, False):
            response = await client.infer(url, request(binary=binary), model_name=model)
            outputs = {output.name: output for output in response.outputs}
            told["binary" if binary else "json"] = [outputs["prediction"].data, outputs["probability"].data]
            told["id"] = response.id
        try:
            await client.infer(url, request(binary=False, wrong=True), model_name=model)
        except httpx.HTTPStatusError as error:
            told["refused"] = [str(error.response.status_code), str(error)]
        return told

    return asyncio.run(ask())


def mlflow(url: str, model: str) -> dict[str, Any]:
    """Ask as the client of MLflow's scoring server does."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    place = urlsplit(url)
    client = ScoringServerClient(place.hostname, place.port)
    client.ping()
    frame = pd.DataFrame(columns()).replace({"day": {"": None}})  # type: ignore[arg-type]  # pandas takes a value for each of a column, and its stubs do not
    told: dict[str, Any] = {"version": client.get_version()}
    answered = client.invoke(frame).get_predictions()
    told["frame"] = [answered[name].tolist() for name in ("prediction", "probability")]
    told["records"] = client.invoke(frame.to_dict("records")).get_predictions()["prediction"].tolist()
    try:
        client.invoke(frame.assign(distance=9999.0))
    except Exception as error:
        told["refused"] = str(error)
    return told


if __name__ == "__main__":
    asking = {"triton": triton, "kserve": kserve, "mlflow": mlflow}
    print(json.dumps(asking[sys.argv[1]](sys.argv[2], sys.argv[3]), default=str))
