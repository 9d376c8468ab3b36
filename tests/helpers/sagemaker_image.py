"""The SageMaker scikit-learn image's Python environment, with the lock of the jobs' packages installed over it.

Built once, in ``.cache/sagemaker-image``, and kept for as long as the image's packages and the lock are the same. AWS's
own training toolkit installs the lock, as it does on AWS when a job starts: its log is kept beside the environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from everloop.infra.packaging.compiled import interpreter

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "tests" / "training" / "toolkit" / "image-1.9-0.txt"
LOCK = ROOT / "training" / "requirements.txt"
PYTHON = "3.12"
"""The image's."""

HOST = "localhost"
"""The toolkit waits for the name of each host to resolve; ``algo-1`` does in SageMaker alone."""

UNREACHABLE = ("Failed to fetch", "error sending request", "Connection", "dns error")
"""What uv and pip say of an index that they can't reach."""

NO_COMPILER = ("error: command 'gcc' failed", "error: command 'cc' failed", "No such file or directory: 'gcc'")

SHOW = """
import json, os, sys

with open(os.environ["SM_MODEL_DIR"] + "/shown.json", "w") as file:
    json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd()}, file)
"""
"""A job's program that leaves what it was given."""


class ImageMissingError(Exception):
    """There is no such environment on this machine: why, and what is unproved without it."""


@dataclass(frozen=True)
class Image:
    """The environment.

    Attributes
    ----------
    folder : Path
        The virtual environment.
    log : str
        What the toolkit and pip wrote when they installed the lock.
    """

    folder: Path
    log: str

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    @property
    def path(self) -> str:
        """The container's search path: the environment first, then the system's programs."""
        return os.pathsep.join([str(self.folder / "bin"), os.defpath])

    def train(self, opt_ml: Path, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the container's ``train`` for a job whose ``/opt/ml`` is a folder."""
        return train(self.folder, opt_ml, variables or {})


def train(environment: Path, opt_ml: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the toolkit of an environment as the container's entry point does."""
    bare = {
        "PATH": os.pathsep.join([str(environment / "bin"), os.defpath]),
        "HOME": str(opt_ml),
        "LANG": "C.UTF-8",
        "SAGEMAKER_BASE_DIR": str(opt_ml),
        "AWS_REGION": "us-east-1",
        "OMP_NUM_THREADS": "1",
    }
    # Where pip finds its packages is this machine's business.
    bare |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    # Two of the image's packages bring a program `train`, and which of them wrote it last is chance.
    command = [str(environment / "bin" / "python"), "-m", "sagemaker_training.cli.train"]
    return subprocess.run(
        command, env=bare | variables, cwd=opt_ml, capture_output=True, text=True, check=False, timeout=570
    )


def write_job(
    opt_ml: Path, source: Path, program: str, channels: dict[str, Path], hyperparameters: dict[str, str] | None = None
) -> Path:
    """Lay a training job's files out as SageMaker does.


    Parameters
    ----------
    source : Path
        A folder, or an archive of it.
    channels : dict of str to Path
        Folders, by name of the channel.
    hyperparameters : dict of str to str, optional
        The user's own, as CreateTrainingJob takes them.
    """
    for folder in ("input/config", "input/data", "model", "output/data"):
        (opt_ml / folder).mkdir(parents=True)
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    documents: dict[str, object] = {
        "hyperparameters.json": {
            "sagemaker_program": program,
            "sagemaker_submit_directory": str(source),
            "sagemaker_region": "us-east-1",
            "sagemaker_container_log_level": "20",
            **(hyperparameters or {}),
        },
        "inputdataconfig.json": {name: {**channel, "ContentType": "application/x-parquet"} for name in channels},
        "resourceconfig.json": {
            "current_host": HOST,
            "hosts": [HOST],
            "network_interface_name": "lo",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "instance_groups": [
                {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": [HOST]}
            ],
        },
    }
    for name, files in channels.items():
        shutil.copytree(files, opt_ml / "input" / "data" / name)
    for file, document in documents.items():
        (opt_ml / "input" / "config" / file).write_text(json.dumps(document), encoding="utf-8")
    return opt_ml


@cache
def image() -> Image:
    """The environment, built where it is not there yet.

    Raises
    ------
    ImageMissingError
        When this machine can't build it.
    RuntimeError
        When the toolkit does not install the lock.
    """
    python = interpreter(PYTHON)
    if python is None:
        raise ImageMissingError(
            f"there is no Python {PYTHON} on this machine: that the lock installs over the SageMaker image's packages,"
            " and that AWS's toolkit runs the jobs on them, is unproved here"
        )
    digest = hashlib.sha256()
    for part in (IMAGE.read_bytes(), LOCK.read_bytes(), python.encode(), str(ROOT).encode()):
        digest.update(part)
    kept = ROOT / ".cache" / "sagemaker-image"
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / digest.hexdigest()[:16]
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = folder / "toolkit.log"
        if not log.is_file():
            # Half a gigabyte each: those of other locks go.
            for other in kept.iterdir():
                if other.is_dir():
                    shutil.rmtree(other)
            _build(folder, python, log)
    return Image(folder, log.read_text(encoding="utf-8"))


def _build(folder: Path, python: str, log: Path) -> None:
    _tell(f"building the SageMaker image's environment in {folder.relative_to(ROOT)}, once: a minute or two")
    try:
        here = str(folder / "bin" / "python")
        if importlib.util.find_spec("uv") is None:
            _run([python, "-m", "venv", str(folder)])
            _run([here, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(IMAGE)])
        else:
            # pip is one of the image's packages.
            _run([python, "-m", "venv", "--without-pip", str(folder)])
            _run([sys.executable, "-m", "uv", "pip", "sync", "--quiet", "--python", here, str(IMAGE)])
        job = folder / "first-job"
        source = job / "source"
        source.mkdir(parents=True)
        shutil.copy(LOCK, source / "requirements.txt")
        (source / "show.py").write_text(SHOW, encoding="utf-8")
        _tell("the toolkit installs the lock over it")
        # A job compiles what it imports; pip would compile all there is, which takes longer than all else here.
        done = train(folder, write_job(job / "ml", source, "show.py", {}), {"PIP_COMPILE": "0"})
        _check(done, "the toolkit's first job")
        shutil.rmtree(job)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    log.write_text(done.stdout + done.stderr, encoding="utf-8")


def _run(command: list[str]) -> None:
    _check(subprocess.run(command, capture_output=True, text=True, check=False, timeout=570), " ".join(command[:5]))


def _check(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    if any(text in said for text in UNREACHABLE):
        raise ImageMissingError(
            "the package index can't be reached, or lacks a package: that the lock installs over the SageMaker image's"
            " packages, and that AWS's toolkit runs the jobs on them, is unproved here"
        )
    if any(text in said for text in NO_COMPILER):
        raise ImageMissingError("there is no C compiler, which the training toolkit is built with: it runs no job here")
    raise RuntimeError(f"{what} ended with {done.returncode}:\n{said[-4000:]}")


def _tell(text: str) -> None:
    # pytest keeps what a test writes; whoever waits for this should not wait in the dark.
    print(f"\n{text}", file=sys.__stderr__, flush=True)
