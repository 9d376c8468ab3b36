"""The Open Inference Protocol, version 2, as KServe, Triton and MLServer speak it: rows come as one tensor a column.

Below the address of the model's data plane stand ``v2``, ``v2/health/live``, ``v2/health/ready`` and
``v2/models/<model>``, the last with ``/infer``, ``/ready``, and ``/versions/<version>`` in between where a caller names
one. Tensors come and go as JSON or as bytes.

Sources: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from everloop import __version__
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, HttpRequest, Reply, json_reply
from everloop.serving.protocols import DataPlaneProtocol, ServedModel, refuse_method
from everloop.serving.request import LONGEST_NAME, kind_of, parse_json
from everloop.serving.response import PROBABILITIES, about_scores, outputs
from everloop.serving.scores import Scores
from everloop.serving.tensors import (
    BYTES,
    LONGEST_GIVEN,
    NARROW,
    datatype_for,
    datatype_of,
    from_bytes,
    from_json,
    rows_of,
    to_bytes,
)
from everloop.shown import shortened, shown

OCTETS = "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"
"""The header that says how many bytes of a body are JSON; those of the tensors follow."""


class Wanted(NamedTuple):
    """The outputs that a request names, or None for all of them; and which are wanted as bytes."""

    names: tuple[str, ...] | None
    in_bytes: Mapping[str, bool]
    others_in_bytes: bool


_EVERYTHING = Wanted(None, {}, others_in_bytes=False)


class Tensors(NamedTuple):
    """A request for inference."""

    instances: list[object]
    served: ServedModel
    wanted: Wanted
    id: str | None

    def answer(self, scores: Scores, *, request_id: str) -> Reply:
        """One tensor for each output; calibration and coverage are parameters."""
        contract = self.served.contract
        described, data = [], []
        columns = outputs(contract, scores, request_id)
        for name in columns if self.wanted.names is None else self.wanted.names:
            values = columns[name]
            tensor: dict[str, object] = {"name": name, "shape": [len(values)], "datatype": datatype_for(values)}
            if name == PROBABILITIES:
                tensor["shape"] = [len(values), len(contract.classes)]
                values = [chance for row in values for chance in row.values()]
                tensor["datatype"] = "FP64"
                # Names in the order of the second axis.
                tensor["parameters"] = {"classes": json.dumps(contract.classes, ensure_ascii=False)}
            if self.wanted.in_bytes.get(name, self.wanted.others_in_bytes):
                data.append(to_bytes(values, str(tensor["datatype"])))
                known = tensor.get("parameters", {})
                tensor["parameters"] = {**known, "binary_data_size": len(data[-1])}  # type: ignore[dict-item]  # one of ours
            else:
                tensor["data"] = values
            described.append(tensor)
        document = {
            "model_name": contract.model,
            "model_version": str(self.served.version),
            "id": request_id if self.id is None else self.id,
            "parameters": {name: value for name, value in about_scores(scores).items() if value is not None},
            "outputs": described,
        }
        reply = self.served.reply(document)
        if not data:
            return reply
        head = reply.body
        return Reply(head + b"".join(data), OCTETS, {JSON_LENGTH: str(len(head))})


class OpenInference:
    """Pages about server and model, and inference."""

    media_types: tuple[str, ...] = (JSON, OCTETS)

    def predicts(self, request: HttpRequest, model: str) -> bool:
        """Only ``infer`` does."""
        if request.path in ("", "health/live", "health/ready"):
            refuse_method(request, "GET")
            return False
        named, _version, action = _parts_of_model(request.path)
        if named is None or action not in ("", "ready", "infer"):
            path = shortened(request.path, LONGEST_NAME)
            raise RequestError("unknown_path", f"nothing is at 'v2/{path}'; the model is at 'v2/models/{model}'")
        if named != model:
            raise RequestError(
                "unknown_model", f"there is no model {shortened(named, LONGEST_NAME)!r} here; there is {model!r}"
            )
        refuse_method(request, "POST" if action == "infer" else "GET")
        return action == "infer"

    def question(self, request: HttpRequest, body: bytes, served: ServedModel) -> Tensors:
        """The tensors of ``inputs``, row by row."""
        _require_version(request, served)
        read = None if JSON_LENGTH in request.headers else served.parser.columns_of_body(body)
        if read is not None:
            return Tensors(_instances(read[0]), served, _EVERYTHING, read[1])
        document, data = _divided(request, body)
        inputs = _list_of_objects(document, "inputs")
        if not inputs:
            raise RequestError("no_instances", "'inputs' is empty; send one tensor for each field", field="inputs")
        columns: dict[str, list[object]] = {}
        rows = None
        for tensor in inputs:
            name = _name_of(tensor, "inputs")
            if name in columns:
                raise RequestError("malformed_json", f"the tensor {name!r} comes twice", field=name)
            count = rows_of(tensor, name, served.contract.max_rows)
            rows = count if rows is None else rows
            if count != rows:
                raise RequestError(
                    "wrong_shape",
                    f"the tensor {name!r} has {count} rows, and {next(iter(columns))!r} has {rows}",
                    field=name,
                )
            if name == served.contract.key and tensor.get("datatype") in NARROW:
                raise RequestError(
                    "wrong_type",
                    f"the key {name!r} comes as {tensor['datatype']}, which holds few whole numbers exactly;"
                    " send BYTES or INT64",
                    field=name,
                )
            columns[name] = _values(tensor, name, count, data)
        data.require_end()
        return Tensors(_instances(columns), served, _wanted(document, served.contract), _id_of(document))

    def page(self, request: HttpRequest, load: Callable[[], ServedModel]) -> Reply:
        """Whether server or model is live or ready, and what they are."""
        if request.path == "":
            return json_reply({"name": "everloop", "version": __version__, "extensions": ["binary_tensor_data"]})
        if request.path == "health/live":
            return json_reply({"live": True})
        served = load()
        if request.path == "health/ready":
            return json_reply({"ready": True})
        _require_version(request, served)
        _, _, action = _parts_of_model(request.path)
        contract = served.contract
        if action == "ready":
            return json_reply({"name": contract.model, "ready": True})
        return json_reply(
            {
                "name": contract.model,
                "versions": [str(served.version)],
                "platform": "onnxruntime_onnx",
                "inputs": [_described(name, _input_type(served, name)) for name in served.parser.fields],
                "outputs": [
                    _described(name, kind, *([len(contract.classes)] if name == PROBABILITIES else []))
                    for name, kind in output_types(contract).items()
                ],
            }
        )

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> Reply:
        """One string, as the protocol has it: code, place, message."""
        places = [f"row {index}" if index is not None else "", f"field {field!r}" if field is not None else ""]
        place = f" ({', '.join(filter(None, places))})" if any(places) else ""
        return json_reply({"error": f"{code}{place}: {message}"})


def output_types(contract: ServingContract) -> dict[str, str]:
    """The datatype of each output."""
    one_row = np.zeros((1, len(contract.classes))) if contract.is_multiclass else np.zeros(1)
    example = outputs(contract, Scores.of(one_row, None, interval=contract.interval), "")
    return {name: "FP64" if name == PROBABILITIES else datatype_for(values) for name, values in example.items()}


class _Data:
    """The bytes behind the JSON of a request, taken tensor by tensor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: object, name: str) -> bytes:
        if type(size) is not int or not 0 <= size <= len(self._data) - self._at:
            left = len(self._data) - self._at
            raise RequestError(
                "wrong_shape",
                f"the tensor {name!r} says it has {shown(size)} bytes; {left} are left behind the JSON,"
                f" whose length the header {JSON_LENGTH} gives",
                field=name,
            )
        self._at += size
        return self._data[self._at - size : self._at]

    def require_end(self) -> None:
        if self._at != len(self._data):
            raise RequestError(
                "wrong_shape", f"{len(self._data) - self._at} bytes follow the last tensor that has binary_data_size"
            )


def _instances(columns: Mapping[str, list[object]]) -> list[object]:
    """The rows that columns have."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _divided(request: HttpRequest, body: bytes) -> tuple[dict[str, Any], _Data]:
    given = request.headers.get(JSON_LENGTH)
    size = len(body)
    if given is not None:
        if not (given.isascii() and given.isdigit() and len(given) < 12) or int(given) > len(body):
            raise RequestError(
                "malformed_json", f"the header {JSON_LENGTH} is {shown(given)}; the body has {len(body)} bytes"
            )
        size = int(given)
    document = parse_json(body[:size])
    if not isinstance(document, dict):
        raise RequestError("wrong_type", f'the body is {kind_of(document)}; send an object {{"inputs": [...]}}')
    return document, _Data(body[size:])


def _values(tensor: dict[str, Any], name: str, rows: int, data: _Data) -> list[object]:
    datatype = datatype_of(tensor, name)
    size = _parameters(tensor, name).get("binary_data_size")
    if size is not None:
        return from_bytes(data.take(size, name), datatype, rows, name)
    if "data" not in tensor:
        raise RequestError("wrong_type", f"the tensor {name!r} has no 'data', and no binary_data_size", field=name)
    return from_json(tensor["data"], datatype, rows, name)


def _wanted(document: dict[str, Any], contract: ServingContract) -> Wanted:
    others = _flag(_parameters(document, "the request"), "binary_data_output", False)
    if document.get("outputs") is None:
        return Wanted(None, {}, others)
    asked = _list_of_objects(document, "outputs")
    in_bytes = {
        _name_of(output, "outputs"): _flag(_parameters(output, "an output"), "binary_data", others) for output in asked
    }
    known = output_types(contract) if in_bytes else {}
    for name in in_bytes:
        if name not in known:
            message = f"there is no output {name!r}; there are {', '.join(known)}"
            raise RequestError("unknown_output", message, field=name)
    # An empty list asks for nothing in particular.
    return Wanted(tuple(in_bytes) or None, in_bytes, others)


def _flag(parameters: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise RequestError("wrong_type", f"the parameter {name!r} is {shown(value)}; send true or false")
    return value


def _parameters(document: dict[str, Any], what: str) -> Mapping[str, Any]:
    found = document.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise RequestError("wrong_type", f"the parameters of {what} are {kind_of(found)}; send an object")
    return found or {}


def _list_of_objects(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    if name not in document:
        code = "no_instances" if name == "inputs" else "wrong_type"
        raise RequestError(code, f'the field {name!r} is missing; send {{"inputs": [{{...}}, ...]}}', field=name)
    found = document[name]
    if not isinstance(found, list):
        raise RequestError("wrong_type", f"{name!r} is {kind_of(found)}; send a list of objects", field=name)
    for index, entry in enumerate(found):
        if not isinstance(entry, dict):
            message = f"{name!r} has {kind_of(entry)} at {index}; send a list of objects"
            raise RequestError("wrong_type", message, field=name)
    return found


def _name_of(tensor: dict[str, Any], where: str) -> str:
    name = tensor.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_GIVEN:
        raise RequestError(
            "wrong_type", f"{where!r} has a tensor whose name is {shown(name)}; send a string of 1 to {LONGEST_GIVEN}"
        )
    return name


def _id_of(document: dict[str, Any]) -> str | None:
    found = document.get("id")
    if found is not None and (not isinstance(found, str) or len(found) > LONGEST_GIVEN):
        message = f"'id' is {shown(found)}; send a string of {LONGEST_GIVEN} characters or fewer"
        raise RequestError("wrong_type", message, field="id")
    return found


@lru_cache(maxsize=64)
def _parts_of_model(path: str) -> tuple[str | None, str | None, str]:
    """Model, version and action of ``models/<model>[/versions/<version>][/<action>]``; no model where it is none."""
    parts = path.split("/")
    if parts[0] != "models" or len(parts) < 2:
        return None, None, ""
    model, rest = parts[1], parts[2:]
    version = None
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = rest[1], rest[2:]
    return (model, version, "/".join(rest)) if len(rest) < 2 else (None, None, "")


def _require_version(request: HttpRequest, served: ServedModel) -> None:
    _, version, _ = _parts_of_model(request.path)
    if version is not None and version != str(served.version):
        raise RequestError(
            "unknown_version",
            f"version {shortened(version, LONGEST_NAME)!r} does not serve; version {served.version} does",
        )


def _input_type(served: ServedModel, name: str) -> str:
    return "FP64" if name in served.parser.numbers else BYTES


def _described(name: str, datatype: str, *more: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": [-1, *more]}


PROTOCOL: DataPlaneProtocol = OpenInference()
