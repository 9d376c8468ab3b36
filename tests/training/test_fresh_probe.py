"""The job of fresh probes: as a process once, as SageMaker would run it; its steps in this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from everloop.documents.probe import (
    SERVED,
    VERSION,
    PlannedSpan,
    PlannedWarmStart,
    ProbeDocument,
    ProbePlan,
    ProbeRequest,
)
from everloop.infra.probe_definition import probe_job
from everloop.instants import instant_text
from everloop.manifest import FileEntry, Manifest, artifact_prefix, sha256_hex
from everloop.model_file.schema import Investment, ModelDeclaration
from everloop.model_file.schema import WarmStart as WarmStartDeclared
from everloop.retraining.probe.plan import read_result
from everloop.retraining.probe.requests import ProbeWindow
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.training.channels import Split, read_split
from everloop.training.fresh_probe import probe
from everloop.training.kept_estimator import About, making_of, pack
from everloop.training.learning import learn
from everloop.training.probe_files import FilesOnS3
from everloop.training.probe_window import read_window
from everloop.training.scoring import arrays, score
from everloop.training.warm_probe import WarmStart
from everloop.typed_json import as_json
from tests.fakes.object_store import FakeS3
from tests.training.scenes import CLASSIFIER, REGRESSOR, classification, regression, rows, unpacked_source, write_parts

pytestmark = pytest.mark.xdist_group("jobs")

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = 5


@dataclass
class Probing:
    """Probes of windows of five days, one after the other, of rows of which some were answered by version 3."""

    root: Path
    declaration: ModelDeclaration
    script: str
    s3: FakeS3 = field(default_factory=FakeS3)
    kept: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = unpacked_source(self.root / "source", self.declaration, self.script)

    def window(self, number: int) -> ProbeWindow:
        start = BEGIN + timedelta(days=20 + DAYS * number)
        return ProbeWindow(start, start + timedelta(days=DAYS))

    def plan(self, number: int) -> ProbePlan:
        window = self.window(number)
        return {
            "model": self.declaration.model,
            "window_start": window.start,
            "window_end": window.end,
            "as_of": window.end + timedelta(hours=30),
            "learns_from": window.start - timedelta(days=2),
            "lag_days": 1,
            "fresh_days": None,
            "spans": [],
            "champion": 3,
            "window_rows": 1000,
            "labelled_rows": 8000,
            "kept": self.kept[::-1],  # type: ignore[typeddict-item]  # as the registry gives them
            "versions": [{"version": 1, "uri": "s3://artifacts/artifacts/late_train/000001/"}],
        }

    def channels(self, number: int, folder: Path) -> tuple[Path, Path]:
        """Rows to learn from, and those of two days and the window as they were served."""
        train = write_parts(rows(self.declaration, 1500, 5, 10 + number), folder / "train")
        scored = rows(self.declaration, 100 * (DAYS + 2), 18 + DAYS * number, 50 + number)
        rng = np.random.default_rng(number)
        binary = self.declaration.problem.type == "binary_classification"
        scored[SERVED] = rng.uniform(0.2, 0.8, len(scored)) if binary else scored["label"] + 5.0
        scored[VERSION] = np.where(np.arange(len(scored)) % 4 == 0, 2.0, 3.0)
        return train, write_parts(scored, folder / "window")

    def run(self, number: int) -> tuple[ProbeDocument, pd.DataFrame]:
        """The job's document, and the rows it scored; the probe is kept for the next one."""
        folder = self.root / f"run-{number}"
        train, scored = self.channels(number, folder)
        plan = self.plan(number)
        document, files = probe(
            self.declaration,
            plan,
            read_split(train, self.declaration, labelled=True),
            read_window(scored, self.declaration, plan),
            code=self.code,
            files=FilesOnS3(self.s3, self.declaration.model),
        )
        prefix = f"probes/{number}/result/"
        self.s3.objects |= {prefix + name: data for name, data in files.items()}
        kept = {"window_end": plan["window_end"], "uri": f"s3://lake/{prefix}", "files": document["files"]}
        self.kept.append(kept)
        return document, pd.read_parquet(scored)

    def register(self, number: int) -> None:
        """Have the probe's model on record as version 1, which had learned up to the window's begin."""
        files = {name: self.read(number, name) for name in ("model.onnx", "contract.json")}
        entries = {name: FileEntry(sha256_hex(data), len(data)) for name, data in files.items()}
        manifest = Manifest("late_train", 1, "train-1", "s1", "c0de", self.window(number).start, entries)
        for name, data in {**files, "manifest.json": manifest.content}.items():
            self.s3.objects[artifact_prefix("late_train", 1) + name] = data

    def read(self, number: int, name: str) -> bytes:
        return self.s3.objects[f"probes/{number}/result/{name}"]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Probing, list[ProbeDocument], list[pd.DataFrame]]:
    probing = Probing(tmp_path_factory.mktemp("probes"), classification(), CLASSIFIER)
    found = [probing.run(0)]
    probing.register(0)
    found += [probing.run(number) for number in (1, 2)]
    return probing, [document for document, _ in found], [frame for _, frame in found]


def inside(probing: Probing, number: int, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["time"] >= pd.Timestamp(probing.window(number).start.replace(tzinfo=None))]


def test_the_champion_is_as_it_was_served_on_the_rows_that_it_answered(probed: Any) -> None:
    probing, documents, frames = probed
    own = inside(probing, 0, frames[0])
    own = own[own[VERSION] == 3]
    champion = documents[0]["champion"]
    assert (champion["version"], sum(champion["rows"])) == (3, len(own))
    expected = log_loss(own["label"], own[SERVED], labels=[0.0, 1.0])
    assert sum(champion["losses"]["loss"]) / len(own) == pytest.approx(expected)
    acts = own[SERVED] >= 0.5
    money = np.where(acts, np.where(own["label"] == 1, 0.0, 1.0), np.where(own["label"] == 1, 3.0, 0.0))
    assert sum(champion["losses"]["money"]) == pytest.approx(money.sum())
    # The one that costs least: a false alarm costs a third of a miss.
    low = np.where(own[SERVED] >= 0.25, np.where(own["label"] == 1, 0.0, 1.0), np.where(own["label"] == 1, 3.0, 0.0))
    assert sum(champion["best_threshold_money"]) == pytest.approx(low.sum())


def test_the_probe_is_this_models_own_program_on_rows_before_the_window(probed: Any) -> None:
    probing, documents, frames = probed
    document = documents[0]
    assert (document["trained_rows"], document["labelled_rows"], sum(document["rows"])) == (1500, 8000, 500)
    assert document["days"] == ["2013-01-21", "2013-01-22", "2013-01-23", "2013-01-24", "2013-01-25"]
    assert document["trained_until"] < document["window_start"]
    frame = inside(probing, 0, frames[0])
    contract = ServingContract.from_json(probing.read(0, "contract.json"))
    write_parts(frame, probing.root / "again")
    split = read_split(probing.root / "again", probing.declaration, labelled=True)
    raw = score(Scorer.from_bytes(probing.read(0, "model.onnx"), contract), *arrays(contract, split))
    # Its first day is served as the model says it: nothing was learned yet.
    first = (frame["time"] < frame["time"].iloc[0].floor("D") + pd.Timedelta(days=1)).to_numpy()
    expected = log_loss(frame["label"][first], raw[first], labels=[0.0, 1.0]) * first.sum()
    assert document["fresh"]["loss"][0] == pytest.approx(expected)
    assert sum(document["fresh"]["loss"]) != pytest.approx(log_loss(frame["label"], raw) * len(frame), rel=1e-6)


def test_kept_probes_are_scored_by_age_and_stay_recalibrated(probed: Any) -> None:
    probing, documents, _ = probed
    assert [[past["age"] for past in d["past"]] for d in documents] == [[], [1.0], [1.0, 2.0]]
    states = json.loads(probing.read(2, "state.json"))
    assert set(states) == {"fresh", "version 1", *(instant_text(kept["window_end"]) for kept in probing.kept[:2])}
    # GIVEN labels a day late, THEN each knows its own windows up to the day before the last one's eve.
    last = (probing.window(2).end - datetime(1970, 1, 1, tzinfo=UTC)).days - 3
    assert {state["window"] for state in states.values()} == {last}
    assert states[instant_text(probing.kept[0]["window_end"])]["labelled"] > states["fresh"]["labelled"]


def test_what_can_not_be_scored_is_named_and_holds_up_nothing(probed: Any) -> None:
    _, documents, _ = probed
    assert "version 1" in documents[0]["left_out"]
    assert documents[0]["champion"]["versions"] == []


def test_an_older_version_is_recalibrated_as_it_would_be_served_and_goes_on_from_probe_to_probe(probed: Any) -> None:
    """GIVEN version 1, which is the model of the first probe: that one is recalibrated since an earlier window."""
    probing, documents, frames = probed
    older = [document["champion"]["versions"] for document in documents]
    assert [[v["version"] for v in versions] for versions in older] == [[], [1], [1]]
    first, second = (json.loads(probing.read(number, "state.json"))["version 1"] for number in (1, 2))
    assert second["labelled"] - first["labelled"] == DAYS
    # What it says itself would have lost something else.
    frame = inside(probing, 2, frames[2])
    own = frame[frame[VERSION] == 3]
    split = read_split(write_parts(own, probing.root / "older"), probing.declaration, labelled=True)
    contract = ServingContract.from_json(probing.read(0, "contract.json"))
    raw = score(Scorer.from_bytes(probing.read(0, "model.onnx"), contract), *arrays(contract, split))
    told, said = sum(older[2][0]["losses"]["loss"]), log_loss(own["label"], raw, labels=[0.0, 1.0]) * len(own)
    assert told != pytest.approx(said, rel=1e-6)
    assert told == pytest.approx(said, rel=0.1)


def test_a_kept_probe_whose_bytes_changed_is_left_out(tmp_path: Path) -> None:
    probing = Probing(tmp_path, classification(), CLASSIFIER)
    probing.run(0)
    probing.s3.objects["probes/0/result/model.onnx"] += b" "
    document, _ = probing.run(1)
    assert document["past"] == []
    name = f"probe of {instant_text(probing.kept[0]['window_end'])}"
    assert "is not the file that was recorded" in document["left_out"][name]


def test_a_regression_is_measured_too(tmp_path: Path) -> None:
    probing = Probing(tmp_path, regression(), REGRESSOR)
    probing.run(0)
    document, frame = probing.run(1)
    own = inside(probing, 1, frame)
    count = int((own[VERSION] == 3).sum())
    champion = document["champion"]
    assert champion is not None
    assert sum(champion["losses"]["loss"]) / count == pytest.approx(5.0)
    assert champion["losses"]["money"] == pytest.approx([0.5 * loss for loss in champion["losses"]["loss"]])
    assert champion["best_threshold_money"] is None
    # The noise of these labels has a standard deviation of 3.
    assert sum(document["fresh"]["loss"]) / sum(document["rows"]) < 4


def test_where_scores_are_frozen_probes_are_too(tmp_path: Path) -> None:
    declaration = classification().model_copy(update={"recalibration": None})
    probing = Probing(tmp_path, declaration, CLASSIFIER)
    probing.run(0)
    assert json.loads(probing.read(0, "state.json")) == {"fresh": None}


def test_the_job_runs_as_it_is_asked_for(tmp_path: Path) -> None:
    """GIVEN the job's own parameters, WHEN it runs in the container's layout, THEN its result is what is recorded."""
    probing = Probing(tmp_path, classification(), CLASSIFIER)
    asked = probe_job(probing.declaration, Investment(), next_state="Record", catch="Failed")["Parameters"]
    opt_ml = tmp_path / "opt-ml"

    def placed(word: str) -> str:
        return str(opt_ml) + word.removeprefix("/opt/ml") if word.startswith("/opt/ml") else word

    places = {item["InputName"]: Path(placed(item["S3Input"]["LocalPath"])) for item in asked["ProcessingInputs"]}
    train, window = probing.channels(0, tmp_path / "rows")
    for name, folder in (("train", train), ("window", window)):
        places[name].parent.mkdir(parents=True, exist_ok=True)
        folder.rename(places[name])
    places["plan"].mkdir(parents=True)
    plan = {**probing.plan(0), "versions": []}
    (places["plan"] / "plan.json").write_text(json.dumps(as_json(plan)), encoding="utf-8")
    places["code"].mkdir(parents=True)
    with tarfile.open(places["code"] / "0a1b.gz", "w:gz") as tar:
        for path in sorted(probing.code.iterdir()):
            tar.add(path, path.name)
    words = re.findall(r"'([^']*)'", asked["AppSpecification"]["ContainerArguments.$"])
    command = [placed(word) for word in [*asked["AppSpecification"]["ContainerEntrypoint"], *words]]
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (output,) = asked["ProcessingOutputConfig"]["Outputs"]
    result = Path(placed(output["S3Output"]["LocalPath"]))
    assert sorted(p.name for p in result.iterdir()) == ["contract.json", "model.onnx", "probe.json", "state.json"]
    request = {name: plan[name] for name in ("model", "window_start", "window_end", "as_of")}
    body = (result / "probe.json").read_bytes()
    found = read_result(body, request, probing.declaration, "here")  # type: ignore[arg-type]  # as it is asked for
    assert sum(found["rows"]) == 500
    # WHEN the script fails, THEN the message says where
    (places["window"] / "part-0.parquet").unlink()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 1
    assert "has no *.parquet file" in (opt_ml / "output" / "message").read_text(encoding="utf-8")


def test_probes_of_other_spans_are_measured_beside_it(tmp_path: Path) -> None:
    probing = Probing(tmp_path, classification(), CLASSIFIER)
    train, scored = probing.channels(0, tmp_path / "rows")
    planned: list[PlannedSpan] = [{"days": days, "labelled_rows": 700, "folder": f"spans/{days}"} for days in (3, 4)]
    plan: ProbePlan = {**probing.plan(0), "spans": planned}
    split = read_split(train, probing.declaration, labelled=True)
    newest = split.only(split.times > split.times.max() - np.timedelta64(3, "D"))
    window = read_window(scored, probing.declaration, plan)

    def of(declaration: ModelDeclaration) -> tuple[ProbeDocument, dict[str, bytes]]:
        spans = [(planned[0], newest), (planned[1], split)]
        return probe(
            declaration, plan, split, window, spans=spans, code=probing.code, files=FilesOnS3(probing.s3, "late_train")
        )

    document, files = of(probing.declaration)
    shorter, whole = document["spans"]
    assert (shorter["days"], shorter["trained_rows"], shorter["labelled_rows"]) == (3, len(newest), 700)
    assert sum(shorter["losses"]["loss"]) > sum(document["fresh"]["loss"])
    # The same rows give the same model, so what differs between spans is what they learned from.
    assert whole["losses"] == document["fresh"]
    assert set(files) == {"model.onnx", "contract.json", "state.json"}
    # WHEN the job has no time left, THEN the other spans are left out, and the probe is there
    retraining = probing.declaration.retraining
    no_time = retraining.model_copy(update={"investment": Investment.model_construct(probe_minutes=0)})
    hurried, _ = of(probing.declaration.model_copy(update={"retraining": no_time}))
    assert (hurried["spans"], hurried["fresh"]) == ([], document["fresh"])
    assert set(hurried["left_out"]) >= {"probe of the newest 3 days", "probe of the newest 4 days"}


def test_what_serves_is_continued_beside_it(tmp_path: Path) -> None:
    # GIVEN a champion that learned from an older world, and its estimator
    plain = classification()
    training = plain.training.model_copy(update={"warm_start": WarmStartDeclared(added_trees=10, max_trees=60)})
    declaration = plain.model_copy(update={"training": training})
    probing = Probing(tmp_path, declaration, CLASSIFIER)
    folder = probing.code / "user_model"
    old = read_split(write_parts(rows(declaration, 1000, 0, 3), tmp_path / "old"), declaration, labelled=True)
    estimator = learn(declaration, folder, old, old).estimator
    made: Any = making_of(declaration, folder)
    about: About = {"model": declaration.model, "learned_until": old.last, "trees": 25, "making": made}
    data = pack(estimator, about)
    planned: PlannedWarmStart = {
        "version": 3,
        "estimator_uri": "s3://artifacts/artifacts/late_train/000003/estimator.zip",
        "estimator_sha256": sha256_hex(data),
    }
    train, scored = probing.channels(0, tmp_path / "rows")
    split = read_split(train, declaration, labelled=True)
    plan: ProbePlan = {**probing.plan(0), "warm_start": planned, "labelled_rows": len(split)}
    window = read_window(scored, declaration, plan)
    newer = np.flatnonzero(split.after(old.last))

    def of(kept: bytes, given: Split = split) -> ProbeDocument:
        warm = WarmStart.of(planned, lambda asked: kept, {**plan, "labelled_rows": len(given)}, [(None, given)])
        files = FilesOnS3(probing.s3, "late_train")
        return probe(declaration, plan, split, window, warm=warm, code=probing.code, files=files)[0]

    # WHEN it is continued, THEN what it would have lost stands beside what the probe lost
    document = of(data)
    warm = document["warm_start"]
    assert warm is not None
    assert (warm["version"], warm["trained_rows"]) == (3, len(newer))
    assert len(warm["losses"]["loss"]) == DAYS
    assert warm["losses"]["loss"] != document["fresh"]["loss"]
    read_result(json.dumps(as_json(document)).encode(), asked_by(plan), declaration, "here")
    # WHEN the estimator was exchanged, or there is too little to learn from, THEN it is left out and says why
    exchanged = of(pack(estimator, {**about, "trees": 24}))
    assert exchanged["warm_start"] is None
    assert "it was replaced" in exchanged["left_out"]["warm start of version 3"]
    few = of(data, split.only(np.arange(len(split)) < newer[20]))
    assert "20 rows are later than" in few["left_out"]["warm start of version 3"]
    assert few["fresh"] == document["fresh"]


def test_what_serves_is_not_held_against_a_probe_of_a_sample(tmp_path: Path) -> None:
    declaration = classification()
    split = read_split(write_parts(rows(declaration, 300, 0, 3), tmp_path / "rows"), declaration, labelled=True)
    planned: PlannedWarmStart = {"version": 3, "estimator_uri": "s3://a/b", "estimator_sha256": "ab"}
    plan: Any = {"fresh_days": None, "labelled_rows": 300, "spans": []}

    def rows_of(plan: Any, *by_span: tuple[int | None, Split]) -> Split | None:
        return WarmStart.of(planned, lambda asked: b"", plan, by_span).rows

    assert rows_of(plan, (None, split)) is split
    assert rows_of({**plan, "labelled_rows": 301}, (None, split)) is None
    # GIVEN a fresh probe that learns from a span; THEN what is continued takes from all rows
    of_all: Any = {"days": None, "labelled_rows": 300, "folder": "spans/all"}
    spanning = {"fresh_days": 5, "labelled_rows": 100, "spans": [of_all]}
    newest = split.only(np.arange(300) >= 200)
    assert rows_of(spanning, (5, newest), (None, split)) is split
    assert rows_of({**spanning, "labelled_rows": 101}, (5, newest), (None, split)) is None


def asked_by(plan: ProbePlan) -> ProbeRequest:
    return {name: plan[name] for name in ("model", "window_start", "window_end", "as_of")}  # type: ignore[return-value]  # its keys
