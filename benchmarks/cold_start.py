"""How much processor time the prediction function's cold start and requests cost, beside a bare handler.

``python -m benchmarks.cold_start [--turns 15] [--flights .cache/flight_delay.parquet] [--without-caches] [--rest]``.
With ``--rest`` the events are those of a REST API, whose bodies the bare handler decodes too. With the flights
(``make loop`` writes the file) the worked example's model is trained on the first two months and measured too.
Bare means: the same model in onnxruntime with one thread, JSON read and written, and nothing else. All are measured in
turn, and the least of the turns counts: what else the machine does only adds. A cold start is a fresh process, from its
beginning to the first answer, if asked for also without the modules' compiled caches; a request is one of a process
that answers already. What its caller waits for and what is done after the answer, by the thread that is registered as
an extension, are told apart: both are billed. Reads of the artefact come from this disk, the captured rows go nowhere,
and the log to ``/dev/null``: no network is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from everloop.serving.contract import ServingContract
from tests.helpers.artifacts import PREFIX, StoredArtifact, row, small_contract, small_model
from tests.helpers.http_events import as_rest, http_event

ROOT = Path(__file__).resolve().parent.parent
ROWS = (1, 100)
"""Of one request."""

BARE = """
import json, os, sys
import numpy as np, onnxruntime as ort
FOLDER = sys.argv[1]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(FOLDER + "/model.onnx", options, providers=["CPUExecutionProvider"])
NUMBERS, CATEGORIES = %r
def answer(event, request_id="r"):
    rows = json.loads(event["body"])["instances"]
    numbers = np.array([[r.get(name) for name in NUMBERS] for r in rows], dtype=float)
    texts = np.array([[r.get(name) or "" for name in CATEGORIES] for r in rows], dtype=object)
    scores = session.run(["score"], {"num": numbers, "cat": texts})[0]
    return {"statusCode": 200, "body": json.dumps({"predictions": scores.ravel().tolist()})}
"""

OF_REST = ('event["body"]', '__import__("base64").b64decode(event["body"])')
"""How the bare handler reads a REST API's event, which has all bodies in base64."""

SENT = {
    "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    "user-agent": "python-requests/2.32.3",
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",
    "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130301/us-east-1/execute-api/aws4_request",
    "x-amz-date": "20130301T050000Z",
    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
    "content-length": "120",
}
"""The headers of a signed request, and those that API Gateway adds: each of a REST API's is looked at."""

OURS = """
import io, json, os, sys
from pathlib import Path
from everloop.functions.predict.handler import Environment, Predictor
from everloop.serving.after_answer import Deadline
os.environ["_X_AMZN_TRACE_ID"] = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
FOLDER = sys.argv[1]
class Objects:
    def get_object(self, *, Bucket, Key):
        return {"Body": io.BytesIO(Path(FOLDER, Key.rsplit("/", 1)[1]).read_bytes())}
class Stream:
    def put_record_batch(self, **given):
        return {"FailedPutCount": 0}
environment = Environment(
    model=%r, artifact_bucket="a", predictions_stream="p", version=7, artifact_prefix=%r, manifest_sha256=%r
)
predictor = Predictor(environment, s3_client=Objects(), firehose_client=Stream(), deadline=Deadline())
def answer(event, request_id="r"):
    return predictor.handle(event, "4", request_id)
"""

ONCE = """
event = json.load(open(FOLDER + "/1.json"))
assert answer(event)["statusCode"] == 200
"""

FOLLOWED = """
import time
from everloop.serving.after_answer import Invocation
def after():
    predictor.finish(Invocation("r", time.time() + 60))
"""
"""What the thread does that is registered as an extension. To wake it takes the answer some microseconds more."""

ALONE = """
def after():
    pass
"""

TURNS = """
import json, sys, time
kinds = []
for code in %r:
    kinds.append(dict(sys=sys))
    exec(code, kinds[-1])
for count in %r:
    event = json.load(open(f"{sys.argv[1]}/{count}.json"))
    found = [[], []]
    for _ in range(%d):
        for kind, rows in zip(kinds, found):
            answer, after, waited, later = kind["answer"], kind["after"], [], []
            for _ in range(50):
                since = time.thread_time_ns()
                answered = answer(event)
                there = time.thread_time_ns()
                after()
                waited.append(there - since)
                later.append(time.thread_time_ns() - there)
                assert answered["statusCode"] == 200
            rows.append((sorted(waited)[5] / 1e3, sorted(later)[5] / 1e3))
    print(json.dumps([count, *([min(times) for times in zip(*rows[1:])] for rows in found)]), file=sys.stderr)
"""
"""Fifty requests of each kind in turn, in one process: what else the machine does weighs on both alike.

Of fifty the time counts that a tenth stay below: the first ones, and those that something interrupts, are slower. Of
all turns the least counts.
"""


@dataclass(frozen=True)
class Measured:
    """A model, and rows that it is asked for."""

    contract: ServingContract
    model: bytes
    rows: list[dict[str, object]]


def tiny() -> Measured:
    """A linear model of two numbers and three categories."""
    return Measured(small_contract(), small_model(), [row(f"t{number}") for number in range(max(ROWS))])


def flights(data: Path) -> Measured:
    """The worked example's model, of the first two months; asked for the flights after them."""
    import pandas as pd

    from everloop.model_file.reader import read_model_file
    from everloop.training.contract import build_contract
    from everloop.training.onnx_export.convert import export_onnx
    from everloop.training.onnx_export.inputs import ModelInputs

    declaration = read_model_file(ROOT / "models/flight_delay/model.yaml")
    table = pd.read_parquet(data)
    until = table[declaration.data.time].min() + pd.Timedelta(days=60)
    known = table[declaration.data.time] < until
    numbers = tuple(f.name for f in declaration.data.numbers)
    categories = tuple(f.name for f in declaration.data.categories)
    features = table.loc[known, [*numbers, *categories]]
    code: dict[str, Any] = {}
    exec((ROOT / "models/flight_delay/train.py").read_text(encoding="utf-8"), code)
    outcomes = table.loc[known, declaration.data.target].to_numpy()
    rows_known = ~np.isnan(outcomes)
    parameters = declaration.training.parameters
    fitted = code["train"](features[rows_known], outcomes[rows_known].astype(int), seed=7, parameters=parameters)
    inputs = ModelInputs(columns=tuple(features.columns), numbers=numbers, categories=categories)
    model = export_onnx(fitted, inputs, declaration.problem.type).SerializeToString()
    columns = [declaration.data.key, *numbers, *categories]
    asked = json.loads(table.loc[~known, columns].head(max(ROWS)).to_json(orient="records", double_precision=15))
    return Measured(build_contract(declaration, features, inputs), model, asked)


def main(turns: int, data: Path | None, *, without_caches: bool, rest: bool) -> None:
    """Print the ratios."""
    for name, measured in (("tiny", tiny()), *([("flights", flights(data))] if data else ())):
        print(f"\n{name}: {len(measured.model):,} bytes of model\n")
        compare(measured, turns, without_caches=without_caches, rest=rest)


def compare(measured: Measured, turns: int, *, without_caches: bool, rest: bool) -> None:
    """Print the ratios of one model."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bare, ours = codes(measured, written(folder, measured, rest=rest))
        bare = bare.replace(*OF_REST) if rest else bare
        kinds = {"bare handler": (bare, True), "prediction function": (ours, True)}
        caches = None
        if without_caches:
            kinds |= {f"{name}, no caches": (code, False) for name, (code, _) in kinds.items()}
            caches = _caches_of_the_standard_library(folder, bare + ONCE, ours + ONCE)
        starts: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(turns):
            for name, (code, with_caches) in kinds.items():
                starts[name].append(_processor_seconds(code + ONCE, folder, None if with_caches else caches))
        _show_starts(starts)
        found = _requests((bare + ALONE, ours + FOLLOWED), folder, 10 * turns)
    print("\n| rows of a request | bare, µs | until the answer, µs | ÷ bare | and after it, µs | all ÷ bare |")
    print("|---|---|---|---|---|---|")
    for count in ROWS:
        (without, _), (waited, later) = found[count]
        ratios = waited / without, (waited + later) / without
        print(f"| {count} | {without:.0f} | {waited:.0f} | {ratios[0]:.2f} | {later:.0f} | {ratios[1]:.2f} |")


def _show_starts(starts: dict[str, list[float]]) -> None:
    """The least of the turns, and the middle of their ratios: what else the machine does weighs on both of a turn."""
    bare = starts["bare handler"]
    print("| a cold start, to the first answer | seconds of the processor | ÷ bare | middle of the turns |")
    print("|---|---|---|---|")
    for name, seconds in starts.items():
        middle = statistics.median(own / without for own, without in zip(seconds, bare, strict=True))
        print(f"| {name} | {min(seconds):.3f} | {min(seconds) / min(bare):.2f} | {middle:.2f} |")


def codes(measured: Measured, artifact: StoredArtifact) -> tuple[str, str]:
    """The code of the bare handler, and that of the prediction function; their ``answer`` takes an event."""
    contract = measured.contract
    names = tuple(tuple(field.name for field in fields) for fields in (contract.numbers, contract.categories))
    return BARE % (names,), OURS % (contract.model, PREFIX, artifact.manifest_sha256)


def written(folder: Path, measured: Measured, *, rest: bool = False) -> StoredArtifact:
    """The artefact's files in a folder, and beside them an event for each number of rows."""
    artifact = StoredArtifact(measured.contract, measured.model)
    for key, data in artifact.objects.items():
        (folder / key.removeprefix(PREFIX)).write_bytes(data)
    for count in ROWS:
        body = {"instances": measured.rows[:count]}
        event = http_event(body, path=f"/models/{measured.contract.model}/predictions", headers=SENT if rest else None)
        event = as_rest(event) if rest else event
        (folder / f"{count}.json").write_text(json.dumps(event), encoding="utf-8")
    return artifact


def _caches_of_the_standard_library(folder: Path, *codes: str) -> Path:
    """A folder of compiled caches that lacks those of the packages and of this project: AWS's image has the others."""
    caches = folder / "caches"
    for code in codes:
        _run(code, folder, {"PYTHONPYCACHEPREFIX": str(caches)})
    for place in (str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        shutil.rmtree(f"{caches}{place}", ignore_errors=True)
    return caches


def _processor_seconds(code: str, folder: Path, caches: Path | None) -> float:
    """What a process costs from its beginning to its end."""
    variables = {} if caches is None else {"PYTHONPYCACHEPREFIX": str(caches), "PYTHONDONTWRITEBYTECODE": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(code, folder, variables)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _requests(codes: tuple[str, str], folder: Path, turns: int) -> dict[int, list[tuple[float, float]]]:
    """Microseconds of the processor that a request of each size takes until its answer, and after it, by each code."""
    told = _run(TURNS % (codes, ROWS, turns), folder, {}).stderr
    found = [json.loads(line) for line in told.splitlines() if line.startswith("[")]
    return {count: rows for count, *rows in found}


def _run(code: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"} | variables
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        check=True,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,  # who reads a pipe meanwhile takes the processor's nearest memory
        stderr=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15, help="how often each is measured")
    parser.add_argument("--flights", type=Path, help="the file of flights, whose model is measured too")
    parser.add_argument("--without-caches", action="store_true", help="measure cold starts without compiled caches too")
    parser.add_argument("--rest", action="store_true", help="measure the events of a REST API")
    options = parser.parse_args()
    main(options.turns, options.flights, without_caches=options.without_caches, rest=options.rest)
