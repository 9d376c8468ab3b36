"""The jobs in the SageMaker image's environment, run by AWS's own training toolkit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from everloop.evaluation.report import Report
from everloop.infra.packaging.requirements import Target, read_lines
from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.core.context import CloudContext
from localcloud.services.sagemaker.jobs.root import JobRoot
from localcloud.services.sagemaker.jobs.script_mode import FRAMEWORK, Script
from localcloud.services.sagemaker.jobs.training import TrainingJob
from tests.helpers import sagemaker_image
from tests.helpers.sagemaker_image import IMAGE, LOCK, SHOW, Image, ImageMissingError, write_job
from tests.training.scenes import CLASSIFIER, Jobs, classification

pytestmark = [pytest.mark.xdist_group("toolkit"), pytest.mark.slow]

ON_IMAGE = Target("3.12", "x86_64")
FILES = ("model.onnx", "contract.json", "profile.json", "parity.json")
"""What a training makes of rows, code and declaration alone."""

TOOLS = ("sh", "tar", "gzip", "mkdir", "dirname")
"""Programs of the image's system that the evaluation needs; its Dockerfile installs tar and gzip."""


@pytest.fixture(scope="module")
def image() -> Image:
    try:
        return sagemaker_image.image()
    except ImageMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return Jobs(tmp_path_factory.mktemp("jobs"), classification(), CLASSIFIER)


def archived(source: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(source.iterdir()):
            tar.add(path, arcname=path.name)
    return archive


@pytest.fixture(scope="module")
def trained(image: Image, jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``/opt/ml`` of a training job that the toolkit has run."""
    root = tmp_path_factory.mktemp("trained")
    channels = {"train": jobs.train_channel, "test_features": jobs.features_channel}
    opt_ml = write_job(root / "ml", archived(jobs.source, root / "code.tar.gz"), "train_entry.py", channels)
    finished = image.train(opt_ml)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return opt_ml


def installed_in(image: Image) -> dict[str, str]:
    listed = subprocess.run(
        [image.python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    return {canonicalize_name(one["name"]): one["version"] for one in json.loads(listed.stdout)}


def pinned(lines: list[Requirement]) -> dict[str, str]:
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in lines}


def locked() -> dict[str, str]:
    """What the lock asks of the image's Python."""
    wanted: dict[str, str] = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        text = line.removesuffix("\\").strip()
        if text and not text.startswith(("#", "--hash=")):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(ON_IMAGE.markers):
                wanted |= pinned([requirement])
    return wanted


def test_the_toolkit_installs_the_lock_and_nothing_else_changes(image: Image) -> None:
    """Every hash is taken, nothing comes that is not locked, and the rest of the image stays as it was."""
    assert "Installing dependencies from requirements.txt" in image.log
    assert re.search(r"Successfully installed (\S+ )*annotated-types-", image.log)
    image_pins = pinned([line.requirement for line in read_lines(IMAGE)])
    assert installed_in(image) == {**image_pins, **locked()}
    # Where the lock replaces what the image's own tools were pinned to, they have to go on working: the jobs below.
    assert "sagemaker-training 4.8.0 requires protobuf<=3.20.3,>=3.9.2, but you have protobuf 6" in image.log


def test_the_image_has_other_releases_of_what_decides_scores() -> None:
    """So a lock of direct requirements alone would leave some of the image's: joblib and threadpoolctl for two."""
    image_pins, lock = pinned([line.requirement for line in read_lines(IMAGE)]), locked()
    other = {name for name in image_pins.keys() & lock.keys() if image_pins[name] != lock[name]}
    assert {"numpy", "pandas", "scikit-learn", "joblib", "threadpoolctl", "protobuf"} <= other
    assert lock.keys() - image_pins.keys() >= {"onnx", "onnxruntime", "pydantic"}


def test_the_toolkit_trains_the_model(image: Image, trained: Path) -> None:
    assert (trained / "output" / "success").is_file()
    assert not (trained / "output" / "failure").exists()
    assert {path.name for path in (trained / "model").iterdir()} == {*FILES, "training.json"}
    record = json.loads((trained / "model" / "training.json").read_bytes())
    assert record["python"].startswith("3.12.")
    assert record["packages"] == dict(sorted(installed_in(image).items()))
    assert record["lock"]["unmet"] == []


def test_another_python_trains_the_same_bytes(jobs: Jobs, trained: Path) -> None:
    """The image's Python and this one: nothing that is recorded may depend on how one of them rounds."""
    process, model = jobs.train("here")
    assert process.returncode == 0, process.stdout + process.stderr
    for name in FILES:
        assert (model / name).read_bytes() == (trained / "model" / name).read_bytes(), name


def test_a_job_that_fails_says_why_where_sagemaker_looks(image: Image, jobs: Jobs, tmp_path: Path) -> None:
    source = shutil.copytree(jobs.source, tmp_path / "source")
    (source / "user_model" / "train.py").write_text("def train(features, target, *, seed, parameters):\n    1 / 0\n")
    channels = {"train": jobs.train_channel, "test_features": jobs.features_channel}
    opt_ml = write_job(tmp_path / "ml", source, "train_entry.py", channels)
    finished = image.train(opt_ml)
    assert finished.returncode == 1
    # The toolkit keeps a reason that is there.
    reason = (opt_ml / "output" / "failure").read_text()
    assert "division by zero" in reason
    assert "Failure file exists" in finished.stderr


USER_PARAMETERS = {
    "depth": "3",
    "rate": "0.5",
    "name": '"quoted"',
    "plain": "text",
    "flag": "true",
    "nothing": "null",
    "a": "x",
    "learning-rate": "1e-3",
    "layers": "[1, 2]",
    "nested": '{"b": 1, "a": "z"}',
    "sagemaker_own": "7",
}


def test_the_local_cloud_gives_a_program_what_the_toolkit_gives(image: Image, tmp_path: Path) -> None:
    """Arguments, working directory, and the toolkit's variables name by name."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "show.py").write_text(SHOW, encoding="utf-8")
    opt_ml = write_job(tmp_path / "ml", source, "show.py", {})
    job = local_job(source)
    for name, document in job.config_files().items():
        (opt_ml / "input" / "config" / name).write_text(json.dumps(document))
    # As in the studio's local mode: the toolkit does not wait for the name algo-1 to resolve.
    finished = image.train(opt_ml, {"SM_STUDIO_LOCAL_MODE": "true", "TRAINING_JOB_NAME": job.name})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    shown = json.loads((opt_ml / "model" / "shown.json").read_text())

    script = Script.from_hyperparameters(job.request["HyperParameters"])
    assert script.arguments() == shown["arguments"]
    assert shown["cwd"] == str(opt_ml / "code")
    theirs = toolkits_own(shown["environment"])
    del theirs["SM_STUDIO_LOCAL_MODE"]
    # What the image's own wheel is called, which is on no index; without it the toolkit runs the program itself.
    theirs["SM_FRAMEWORK_MODULE"] = theirs["SM_TRAINING_ENV"]["framework_module"] = FRAMEWORK
    assert toolkits_own(job.environment(JobRoot(opt_ml), script)) == theirs


def local_job(source: Path) -> TrainingJob:
    """A job of the local cloud with hyperparameters and channels of every kind."""
    channels = [
        {"ChannelName": name, "DataSource": {"S3DataSource": {"S3Uri": "s3://b/rows/"}}, **more}
        for name, more in (("train", {"ContentType": "application/x-parquet"}), ("Odd-name", {}))
    ]
    names = {"sagemaker_program": "show.py", "sagemaker_submit_directory": str(source)}
    request = {
        "TrainingJobName": "job-1",
        "HyperParameters": {**names, **USER_PARAMETERS},
        "InputDataConfig": channels,
        "ResourceConfig": {"InstanceType": "ml.m5.large"},
    }
    activity = Activity()
    context = CloudContext(Clock(activity), activity, 0, source, source)
    return TrainingJob(context, request, "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1")


def toolkits_own(environment: Mapping[str, str]) -> dict[str, Any]:
    """The variables that the toolkit sets, read as JSON where they are."""
    found: dict[str, Any] = {}
    for name, value in environment.items():
        if name.startswith("SM_"):
            try:
                found[name] = json.loads(value)
            except ValueError:
                found[name] = value
    return found


def bare_path(image: Image, folder: Path) -> str:
    """A search path of the environment and the programs that the image's system is known to have."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool, path=os.defpath)
        assert found is not None
        (folder / tool).symlink_to(found)
    return os.pathsep.join([str(image.folder / "bin"), str(folder)])


def test_the_evaluation_job_runs_in_the_image(image: Image, jobs: Jobs, trained: Path, tmp_path: Path) -> None:
    """The pipeline's own entry point and arguments, with no program on the path but the image's."""
    here = replace(jobs, root=tmp_path / "jobs", search_path=bare_path(image, tmp_path / "bin"))
    process, output = here.evaluate(trained / "model")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "to install" not in process.stdout
    environment = Report.from_json((output / "report.json").read_bytes()).environment
    assert environment is not None
    assert environment.python.startswith("3.12.")
    assert (environment.unmet, environment.differences) == ((), ())
