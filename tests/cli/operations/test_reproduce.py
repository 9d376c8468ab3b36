"""A registered version that is trained again, and runs that are held against each other."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from everloop.cli.commands import reproduce as command
from everloop.cli.commands import runs as runs_command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.cli.operations.job_logs import RunJob
from everloop.cli.operations.reproduce import Reproduction, reproduce
from everloop.cli.operations.run_compare import compare
from everloop.cli.operations.run_facts import RunFacts, job_facts
from everloop.names import TRAINING_JOB_LOGS
from everloop.registry.records import Run, Snapshot, Version
from everloop.registry.states import State
from tests.fakes.aws import aws_client
from tests.helpers.job_python import VARIABLES, job_path
from tests.helpers.registry_scenes import at
from tests.training.scenes import REGRESSOR, Jobs, regression

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jobs")]

ARTIFACTS, LAKE = "artifacts", "lake"
PREFIX = "artifacts/late_train/000001/"


class Recorded:
    """An account with one version, as its registry, S3 and SageMaker have it."""

    def __init__(self, jobs: Jobs, model: Path) -> None:
        self.s3 = aws_client("s3")
        for bucket in (ARTIFACTS, LAKE):
            self.s3.create_bucket(Bucket=bucket)
        self.platform = SimpleNamespace(artifact_bucket=ARTIFACTS)
        contents = {name: (model / name).read_bytes() for name in ("model.onnx", "training.json", "parity.json")}
        contents["report.json"] = b'{"candidate": {"mae": {"value": 1.5}, "rmse": {"value": 2.5}}}'
        for name, data in contents.items():
            self.s3.put_object(Bucket=ARTIFACTS, Key=PREFIX + name, Body=data)
        files = {n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in contents.items()}
        self.version: Any = Version(
            model="late_train",
            version=1,
            state=State.PRODUCTION,
            run_id="train-0123",
            snapshot_hash="abc",
            artifact_prefix=PREFIX,
            manifest_sha256="",
            code_sha256=json.loads(contents["training.json"])["code_sha256"],
            created_at=at(0),
            state_since=at(0),
            files=files,  # type: ignore[arg-type]  # a FileFacts each
        )
        parts = {}
        for name, folder in (("train", jobs.train_channel), ("test_features", jobs.features_channel)):
            parts[name] = f"s3://{LAKE}/{name}/"
            for path in folder.iterdir():
                self.s3.upload_file(str(path), LAKE, f"{name}/{path.name}")
        document: Any = {"parts": parts}
        self.snapshot = Snapshot("late_train", "abc", "", at(0), document)
        self.archive(jobs.source)

    def archive(self, source: Path) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for path in sorted(source.iterdir()):
                tar.add(path, arcname=path.name)
        self.s3.put_object(Bucket=LAKE, Key="code.tar.gz", Body=packed.getvalue())

    def model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(state_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:one")

    def registry(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(
            versions=SimpleNamespace(get=lambda number: self.version),
            snapshots=SimpleNamespace(find=lambda name: self.snapshot),
        )

    def client(self, service: str) -> Any:
        if service == "s3":
            return self.s3
        described = {"HyperParameters": {"sagemaker_submit_directory": f"s3://{LAKE}/code.tar.gz"}}
        return SimpleNamespace(describe_training_job=lambda **asked: described)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Jobs, Path]:
    jobs = Jobs(tmp_path_factory.mktemp("reproduced"), regression(), REGRESSOR, count=400)
    process, model = jobs.train()
    assert process.returncode == 0, process.stdout + process.stderr
    record = json.loads((model / "training.json").read_text(encoding="utf-8"))
    record["data_sha256"] = {name: record["data_sha256"][name] for name in ("train", "test_features")}
    return jobs, model


@pytest.fixture
def account(trained: tuple[Jobs, Path]) -> Iterator[Recorded]:
    with mock_aws():
        yield Recorded(*trained)


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs are those of this machine: an interpreter that has imported the packages already."""
    python = shutil.which("python3", path=job_path())
    monkeypatch.setattr("everloop.cli.operations.reproduce.sys.executable", python)
    monkeypatch.delenv("LANG", raising=False)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def again(account: Any, folder: Path) -> Reproduction:
    return reproduce(account, "late_train", 1, folder, environment="here", say=lambda _: None)


def test_the_record_alone_gives_the_same_bytes(account: Recorded, tmp_path: Path) -> None:
    found = again(account, tmp_path / "new")
    (model,) = found.models
    assert found.identical
    assert all(file["same"] for file in model.files.values()), model
    assert (model.differences, model.metrics) == ([], {})
    # AND it says that the environment is not the lock's
    assert not found.environment.whole


def test_other_code_is_named_and_what_is_not_there_stops_it(
    account: Recorded, trained: tuple[Jobs, Path], tmp_path: Path
) -> None:
    # GIVEN a code archive that was exchanged
    source = shutil.copytree(trained[0].source, tmp_path / "source")
    script = source / "user_model" / "train.py"
    script.write_text(script.read_text(encoding="utf-8").replace("Ridge()", "Ridge(alpha=500)"), encoding="utf-8")
    account.archive(source)
    # WHEN it is trained again, with a test part to score the other model on
    for path in trained[0].test_channel.iterdir():
        account.s3.upload_file(str(path), LAKE, f"test/{path.name}")
    parts: Any = account.snapshot.document["parts"]
    parts["test"] = f"s3://{LAKE}/test/"
    found = again(account, tmp_path / "more")
    (model,) = found.models
    assert not found.identical
    assert any(told.startswith("code_sha256: ") for told in model.differences)
    assert model.metrics["mae"]["registered"] == 1.5
    assert model.metrics["mae"]["made"] != 1.5
    # AND an altered artefact is refused
    account.s3.put_object(Bucket=ARTIFACTS, Key=f"{PREFIX}model.onnx", Body=b"other")
    with pytest.raises(CommandError, match="is not what was registered"):
        again(account, tmp_path / "altered")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../train.py", tarfile.REGTYPE), ("/tmp/train.py", tarfile.REGTYPE), ("train.py", tarfile.SYMTYPE)],
)
def test_a_code_archive_with_more_than_files_is_refused(
    account: Recorded, tmp_path: Path, name: str, kind: bytes
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "elsewhere"
        tar.addfile(member)
    account.s3.put_object(Bucket=LAKE, Key="code.tar.gz", Body=packed.getvalue())
    with pytest.raises(CommandError, match=f"the code archive has '{name}'"):
        again(account, tmp_path / "new")
    assert not list(tmp_path.rglob("train.py"))


def test_the_command_says_so_by_its_exit_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from everloop.cli.operations.reproduce import Rebuilt, Reproduced

    def told(identical: bool) -> int:
        file = {"registered": "a" * 64, "made": "b" * 64, "same": identical}
        model = Reproduced("evaluated", identical, {"model.onnx": file}, ["seed: 1 then, 2 now"], {})
        found = Reproduction("late_train", 1, Rebuilt("python", False, "no network"), (model,))
        monkeypatch.setattr(command, "Account", lambda: SimpleNamespace(model=lambda name: None))
        monkeypatch.setattr(command, "reproduce", lambda *a, **k: found)
        ran = CliRunner().invoke(everloop, ["reproduce", "late_train", "1", "--keep", str(tmp_path)])
        assert "The environment was not rebuilt: no network." in ran.output
        return ran.exit_code

    assert (told(True), told(False)) == (0, 3)


JOB = {
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "AlgorithmSpecification": {"TrainingImage": "image:1"},
    "TrainingJobStatus": "Failed",
    "BillableTimeInSeconds": 360,
    "FailureReason": "AlgorithmError: no rows",
}


def facts(**changed: Any) -> RunFacts:
    trigger: Any = {"kind": "manual", "reason": "new stations", "started_by": "arn:aws:iam::1:user/ada"}
    run = Run(model="late_train", run_id="a", kind="train", started_at=at(0), as_of=at(0), trigger=trigger)
    run = replace(run, status="failed", ended_at=run.started_at + timedelta(seconds=400))
    training: Any = {"seed": 7, "parameters": {"c": 1.0}, **changed.pop("training", {})}
    job = job_facts(RunJob("training", TRAINING_JOB_LOGS, "job-a"), JOB)
    return RunFacts(replace(run, **changed), "arn:aws:iam::1:user/ada", "def", None, training, (job,))


def test_a_failed_run_has_its_jobs_and_their_cost() -> None:
    found = facts()
    assert found.seconds == 400
    assert found.usd == pytest.approx(0.0115)
    document: Any = found.to_json()
    assert document["jobs"][0]["failure"] == "AlgorithmError: no rows"
    assert document["started_by"] == "arn:aws:iam::1:user/ada"


def test_the_cost_is_not_known_where_that_of_one_job_is_not() -> None:
    strange = {**JOB, "ResourceConfig": {"InstanceType": "ml.p9.large", "InstanceCount": 1}}
    job = job_facts(RunJob("training", TRAINING_JOB_LOGS, "job-a"), strange)
    assert job.usd is None
    assert replace(facts(), jobs=(*facts().jobs, job)).usd is None
    assert replace(facts(), jobs=()).usd is None


def test_runs_differ_in_what_they_were_made_of_alone() -> None:
    trials = [{"value": 0.5}, {"value": 0.4}]
    other = facts(
        run_id="b",
        verdict="pass",
        training={"parameters": {"c": 2.0}, "tuning": {"trials": trials, "best": 1, "ended_by": "trials"}},
    )
    found = compare(facts(), other)
    assert {one.what: (one.a, one.b) for one in found.differences} == {
        "verdict": (None, "pass"),
        "training.parameters.c": (1.0, 2.0),
        "training.tuning.trials": (None, 2),
        "training.tuning.value": (None, 0.4),
        "training.tuning.ended_by": (None, "trials"),
    }
    assert compare(facts(), facts(run_id="b")).differences == ()


def test_both_commands_show_what_was_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: Any = {"number": 0, "state": "complete", "value": 0.4, "seconds": 1.0, "parameters": {"c": 1.0}}
    known = {
        "a": facts(training={"tuning": {"trials": [tried], "best": 0, "ended_by": "space"}}),
        "b": facts(run_id="b", training={"seed": 8}),
    }
    monkeypatch.setattr(runs_command, "Account", lambda: SimpleNamespace(model=lambda name: None))
    monkeypatch.setattr(runs_command, "facts_of", lambda account, model, run_id: known[run_id])
    shown = CliRunner().invoke(everloop, ["runs", "show", "late_train", "a"])
    assert shown.exit_code == 0, shown.output
    for text in ("arn:aws:iam::1:user/ada", "ml.m5.large", "0.0115", "best", "complete"):
        assert text in shown.output
    compared = CliRunner().invoke(everloop, ["runs", "compare", "late_train", "a", "b", "--json"])
    differences = {d["what"]: (d["a"], d["b"]) for d in json.loads(compared.output)["differences"]}
    assert differences["training.seed"] == (7, 8)
