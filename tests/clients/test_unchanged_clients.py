"""Clients of other projects, as they are published, ask ``everloop serve`` and understand what it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from everloop import __version__
from tests.helpers.artifacts import MODEL, row
from tests.helpers.server import Server

pytestmark = pytest.mark.slow

ROWS = [row("t1"), row("t2", line="south", distance=0, wind=None, operator="zz", day="mon")]
ASKING = Path(__file__).with_name("asking.py")


@pytest.fixture(scope="module")
def native(server: Server) -> list[dict[str, Any]]:
    """What the native protocol says of the same rows."""
    status, body = server.ask("POST", "/predictions", {"instances": [ROWS[0] | {"day": ""}, ROWS[1]]})
    assert status == 200
    predictions: list[dict[str, Any]] = json.loads(body)["predictions"]
    return predictions


def asked(python: Path, server: Server, client: str) -> dict[str, Any]:
    command = [python, ASKING, client, server.url, MODEL]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def scores(native: list[dict[str, Any]]) -> list[list[float]]:
    return [[p["prediction"] for p in native], [p["probability"] for p in native]]


def test_triton(python: Path, server: Server, native: list[dict[str, Any]]) -> None:
    told = asked(python, server, "triton")
    assert (told["live"], told["ready"], told["model ready"]) == (True, True, [True, False])
    assert (told["server"], told["inputs"]) == ("everloop", list(row()))
    for form in ("binary", "json", "compressed"):
        assert told[form][:2] == scores(native), form
    assert told["id"] == "mine"
    status, message = told["refused"]
    assert status == "400"
    assert message == "out_of_range (row 0, field 'distance'): 'distance' is 9999.0; allowed is from 0 to 5000"


def test_kserve(python: Path, server: Server, native: list[dict[str, Any]]) -> None:
    told = asked(python, server, "kserve")
    assert (told["live"], told["ready"], told["model ready"]) == (True, True, [True, False])
    assert told["binary"] == told["json"] == scores(native)
    assert told["id"] == "mine"
    assert told["refused"][0] == "400"
    assert "'distance' is 9999.0; allowed is from 0 to 5000" in told["refused"][1]


def test_mlflow(python: Path, server: Server, native: list[dict[str, Any]]) -> None:
    told = asked(python, server, "mlflow")
    assert told["version"] == __version__
    assert told["frame"] == scores(native)
    assert told["records"] == scores(native)[0]
    assert "INVALID_PARAMETER_VALUE" in told["refused"]
    assert "'distance' is 9999.0; allowed is from 0 to 5000" in told["refused"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"instances": ROWS})),
        ("application/jsonlines", "\n".join(map(json.dumps, ROWS))),
        ("text/csv", "t1,120,3.5,north,a,\nt2,0,,south,zz,mon\n"),
    ],
)
def test_sagemaker_runtime(
    server: Server, native: list[dict[str, Any]], content_type: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=server.url,
        region_name="eu-west-1",
        aws_access_key_id="A",
        aws_secret_access_key="B",
        config=Config(retries={"total_max_attempts": 1}),
    )
    answer = client.invoke_endpoint(EndpointName=MODEL, ContentType=content_type, Accept="application/json", Body=body)
    assert answer["ContentType"] == "application/json"
    predictions = json.loads(answer["Body"].read())["predictions"]
    assert [p["probability"] for p in predictions] == [p["probability"] for p in native]
    same = client.invoke_endpoint(EndpointName=MODEL, ContentType=content_type, Body=body)
    assert same["ContentType"].startswith(content_type)
    with pytest.raises(ClientError) as refused:
        client.invoke_endpoint(EndpointName=MODEL, ContentType=content_type, Body=body.replace("120", "9999"))
    assert refused.value.response["Error"]["Code"] == "out_of_range"
    assert "allowed is from 0 to 5000" in refused.value.response["Error"]["Message"]
