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

from everloop.documents.probe import SERVED, VERSION, ProbeDocument, ProbePlan
from everloop.infra.probe_definition import probe_job
from everloop.instants import instant_text
from everloop.model_file import ModelDeclaration
from everloop.model_file.schema import Investment
from everloop.retraining.probe.plan import read_result
from everloop.retraining.probe.requests import ProbeWindow
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.training.channels import read_split
from everloop.training.fresh_probe import probe, read_window
from everloop.training.scoring import arrays, score
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
            "recent_days": None,
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
            s3=self.s3,
        )
        prefix = f"probes/{number}/result/"
        self.s3.objects |= {prefix + name: data for name, data in files.items()}
        kept = {"window_end": plan["window_end"], "uri": f"s3://lake/{prefix}", "files": document["files"]}
        self.kept.append(kept)
        return document, pd.read_parquet(scored)

    def read(self, number: int, name: str) -> bytes:
        return self.s3.objects[f"probes/{number}/result/{name}"]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Probing, list[ProbeDocument], list[pd.DataFrame]]:
    probing = Probing(tmp_path_factory.mktemp("probes"), classification(), CLASSIFIER)
    found = [probing.run(number) for number in range(3)]
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
    assert set(states) == {"fresh", *(instant_text(kept["window_end"]) for kept in probing.kept[:2])}
    # GIVEN labels a day late, THEN each knows its own windows up to the day before the last one's eve.
    last = (probing.window(2).end - datetime(1970, 1, 1, tzinfo=UTC)).days - 3
    assert {state["window"] for state in states.values()} == {last}
    assert states[instant_text(probing.kept[0]["window_end"])]["labelled"] > states["fresh"]["labelled"]


def test_what_can_not_be_scored_is_named_and_holds_up_nothing(probed: Any) -> None:
    _, documents, _ = probed
    assert "version 1" in documents[0]["left_out"]
    assert documents[0]["champion"]["versions"] == []


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
    assert "holds no *.parquet file" in (opt_ml / "output" / "message").read_text(encoding="utf-8")


def test_a_probe_of_recent_rows_is_measured_beside_the_other(tmp_path: Path) -> None:
    probing = Probing(tmp_path, classification(), CLASSIFIER)
    train, scored = probing.channels(0, tmp_path / "rows")
    plan: ProbePlan = {**probing.plan(0), "recent_days": 3}
    split = read_split(train, probing.declaration, labelled=True)
    newest = split.only(split.times > split.times.max() - np.timedelta64(3, "D"))
    window = read_window(scored, probing.declaration, plan)
    document, files = probe(probing.declaration, plan, split, window, recent=newest, code=probing.code, s3=probing.s3)
    recent = document["recent"]
    assert recent is not None
    assert (recent["days"], recent["trained_rows"]) == (3, len(newest))
    assert sum(recent["losses"]["loss"]) > sum(document["fresh"]["loss"])
    assert set(files) == {"model.onnx", "contract.json", "state.json"}
