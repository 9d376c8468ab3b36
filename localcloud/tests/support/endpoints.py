"""Endpoints of a local cloud whose containers are a small program of the test's."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.settings import Settings
from support.in_process import START, Cloud, MakeCloud, allow

SAGEMAKER = "sagemaker.amazonaws.com"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/served:1"

SERVER = """
import http.server, json, os, pathlib, sys, time
sys.stdout.reconfigure(line_buffering=True)
model = pathlib.Path(sys.argv[1])
settings = json.loads((model / "settings.json").read_text())
if settings.get("crash"):
    sys.exit("no model here")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(503 if settings.get("unwell") else 200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die":
            os._exit(3)
        if body == b"fail":
            return self.answer(500, b"broken")
        if body == b"refuse":
            return self.answer(400, b"not so")
        if body == b"wait":
            time.sleep(0.4)
        told = {
            "who": settings["who"], "body": body.decode(), "type": self.headers["Content-Type"],
            "more": os.environ.get("MORE"), "key": bool(os.environ.get("AWS_SESSION_TOKEN")),
            "authorization": self.headers["Authorization"],
            "custom": self.headers["X-Amzn-SageMaker-Custom-Attributes"],
            "folder": os.environ.get("FOLDER") == str(model),
        }
        back = {"Content_Type": "application/json", "X_Amzn_SageMaker_Custom_Attributes": "back"}
        self.answer(200, json.dumps(told).encode(), **back)

    def log_message(self, *_):
        pass

print("serving", settings["who"])
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


class Endpoints:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("sagemaker")
        self.runtime = cloud.client("sagemaker-runtime")
        cloud.client("s3").create_bucket(Bucket="models")
        self.role = cloud.role("served", SAGEMAKER, allow(["s3:GetObject", "s3:ListBucket"]))

    def model(
        self, name: str, role: str | None = None, variables: Mapping[str, str] | None = None, **settings: object
    ) -> None:
        packed = io.BytesIO()
        text = json.dumps({"who": name, **settings}).encode()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo("settings.json")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        self.cloud.client("s3").put_object(Bucket="models", Key=f"{name}.tar.gz", Body=packed.getvalue())
        container = {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://models/{name}.tar.gz",
            "Environment": {"MORE": "yes", "FOLDER": "/opt/ml/model", **(variables or {})},
        }
        self.client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role or self.role)

    def config(self, name: str, *variants: tuple[str, str, float], **each: Any) -> None:
        self.client.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InitialVariantWeight": weight,
                    **(each or {"InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}),
                }
                for variant, model, weight in variants
            ],
        )

    def create(self, config: str, name: str = "e") -> dict[str, Any]:
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def settled(self, name: str = "e") -> dict[str, Any]:
        self.cloud.wait_until_quiet()
        return dict(self.client.describe_endpoint(EndpointName=name))

    def ask(self, body: bytes = b"{}", **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        answer = self.runtime.invoke_endpoint(EndpointName="e", Body=body, ContentType="application/json", **more)
        return json.loads(answer["Body"].read()), answer

    def answers(self) -> bool:
        try:
            self.ask()
        except ClientError as error:
            return error.response["Error"]["Code"] not in ("ServiceUnavailable", "ModelError")
        return True

    def share(self, times: int = 60) -> Counter[str]:
        return Counter(self.ask()[1]["InvokedProductionVariant"] for _ in range(times))

    def count(self, metric: str, variant: str, statistic: str = "Sum") -> float:
        found = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": variant}],
            StartTime=START - timedelta(minutes=5),
            EndTime=START + timedelta(minutes=5),
            Period=600,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in found))

    def log(self) -> list[str]:
        logs = self.cloud.client("logs")
        group = "/aws/sagemaker/Endpoints/e"
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        pages = (logs.get_log_events(logGroupName=group, logStreamName=s["logStreamName"]) for s in streams)
        return [event["message"] for page in pages for event in page["events"]]


@pytest.fixture
def endpoints(make_cloud: MakeCloud, tmp_path: Path) -> Endpoints:
    program = tmp_path / "served.py"
    program.write_text(SERVER)
    command = ["python", "-S", str(program), "/opt/ml/model"]
    settings = Settings(Path("test.toml"), {"sagemaker": {"images": [{"image": "*/served:*", "command": command}]}})
    return Endpoints(make_cloud(settings=settings))
