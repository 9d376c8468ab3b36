"""A protocol is imported when it is first asked for: a cold start pays for the one that it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from everloop.serving.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import json, sys
from everloop.functions.predict.handler import Environment, Predictor
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact
from tests.helpers.http_events import http_event

stored, path = StoredArtifact(), sys.argv[1]
environment = Environment(
    model=MODEL, artifact_bucket="artifacts", predictions_stream="predictions", version=7, artifact_prefix=PREFIX,
    manifest_sha256=stored.manifest_sha256,
)
before = set(sys.modules)
predictor = Predictor(environment, s3_client=FakeS3(stored.objects), firehose_client=FakeFirehose())
answer = predictor.handle(http_event("", path=f"/models/{MODEL}", proxy=path), "4")
loaded = [n for n in sys.modules if n not in before and n.startswith("everloop.")]
print(json.dumps([answer["statusCode"], loaded]))
"""

ALONE = {
    "predictions": set(),
    "v2/models/late_train/infer": {"everloop.serving.tensors"},
    "mlflow/invocations": {"everloop.serving.invocations"},
    "sagemaker/invocations": {"everloop.serving.invocations"},
}
"""What each brings along beside its own file."""


@pytest.mark.slow
@pytest.mark.parametrize("path", ALONE)
def test_the_first_answer_imports_one_protocol(path: str) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, path], cwd=ROOT, capture_output=True, text=True, check=True)
    status, loaded = json.loads(run.stdout.splitlines()[-1])
    assert status == 400, "an empty body"
    assert set(loaded) == {f"everloop.serving.protocols.{path.partition('/')[0]}"} | ALONE[path]


def test_every_protocol_is_held_to_it() -> None:
    assert {path.partition("/")[0] for path in ALONE} == set(PROTOCOLS.names)
