"""Trains a registered version again, from its record alone, and says what came out the same.

The record names everything: the snapshot's files by their hashes, the code archive, the lock of its packages, seed and
parameters. It runs in a folder and an environment of its own: what this machine has installed takes no part, unless the
lock can't be installed here, which is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.job_logs import RunJob, jobs_of
from everloop.cli.operations.run_facts import describe, registered_file
from everloop.documents.snapshot import HELD_OUT
from everloop.documents.training import (
    PARENT_CHANNEL,
    PARENT_SHA256,
    PARENT_VERSION,
    TUNED_CHANNEL,
)
from everloop.json_text import read_json
from everloop.manifest import ESTIMATOR, MODEL, REPORT, SIBLING, TRAINING
from everloop.registry.records import Version

PARITY = "parity.json"
LOCK = "requirements.txt"

_SETTLED = ("packages", "python", "platform", "lock", "tuning", "tuned_by")
"""Of ``training.json``: what is told of the environment apart, and how parameters were found, which are compared."""

_PASSED_ON = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")
"""Variables of this process that the jobs have too: none of them changes what a training learns."""

Say = Callable[[str], None]
Where = Literal["lock", "here"]


@dataclass(frozen=True)
class Rebuilt:
    """The environment that the training ran in.

    Attributes
    ----------
    whole : bool
        Whether the lock was installed, for the same Python: only then does a difference say something of the code.
    reason : str
        What stands in the way; empty where nothing does.
    """

    python: str
    whole: bool
    reason: str


@dataclass(frozen=True)
class Reproduced:
    """One model that was trained again: the evaluated one, or the refit.

    Attributes
    ----------
    identical : bool
        Whether ``model.onnx`` has the same bytes.
    files : dict of str to dict
        Of each file its hash as registered and as made, and whether they are the same.
    differences : list of str
        Why a file differs, as far as the two records say: rows, code, parameters, environment.
    metrics : dict of str to dict
        On the test part, as registered and of the new model. Empty of a refit, which learned from it, and where the
        bytes are the same, and so the metrics.
    """

    what: Literal["evaluated", "refit"]
    identical: bool
    files: dict[str, dict[str, Any]]
    differences: list[str]
    metrics: dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Reproduction:
    """Of a version: both of its models, where it has two."""

    model: str
    version: int
    environment: Rebuilt
    models: tuple[Reproduced, ...]

    @property
    def identical(self) -> bool:
        """Whether every model has the same bytes."""
        return all(one.identical for one in self.models)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "model": self.model,
            "version": self.version,
            "identical": self.identical,
            "environment": vars(self.environment),
            "models": [vars(one) for one in self.models],
        }


def reproduce(
    account: Account, model: str, number: int, folder: Path, *, environment: Where = "lock", say: Say
) -> Reproduction:
    """Train a version again below ``folder``, which has to be empty.

    Parameters
    ----------
    environment : str
        ``lock`` installs the packages' lock into an environment of its own; ``here`` uses what is installed.

    Raises
    ------
    CommandError
        When something that the record names is gone or altered, or the training fails.
    UnknownVersionError
    """
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty", "name a folder that is, or does not exist yet")
    version = account.registry(model).versions.get(number)
    training, *rest = jobs_of(model, version.run_id)
    refit = next(job for job in rest if job.purpose == "refit")
    code = _code(account, training, folder / "code")
    say(f"the code is unpacked in {code}")
    record = read_json(registered_file(account, version, _sibling(version, TRAINING)))
    rebuilt = _environment(folder / "environment", code / LOCK, str(record["python"]), environment, say)
    scene = _Scene(account, version, folder, code, rebuilt, say)
    models = [scene.train_again("evaluated", training)]
    if version.serves_refit:
        models.append(scene.train_again("refit", refit))
    return Reproduction(model, number, rebuilt, tuple(models))


def _sibling(version: Version, name: str) -> str:
    """Where a file of the evaluated model stands."""
    return f"{SIBLING}{name}" if version.serves_refit else name


@dataclass(frozen=True)
class _Scene:
    """Where a version is trained again."""

    account: Account
    version: Version
    folder: Path
    code: Path
    environment: Rebuilt
    say: Say

    def train_again(self, what: Literal["evaluated", "refit"], job: RunJob) -> Reproduced:
        names = {name: name if what == "refit" else _sibling(self.version, name) for name in (MODEL, TRAINING, PARITY)}
        registered = {name: registered_file(self.account, self.version, place) for name, place in names.items()}
        record = read_json(registered[TRAINING])
        self.say(f"training the {what} model again, of {record['rows']['train']:,} rows")
        made = self._train(what, record)
        found = {name: (made / name).read_bytes() for name in names}
        again = read_json(found[TRAINING])
        files = {
            name: {
                "registered": _sha256(registered[name]),
                "made": _sha256(found[name]),
                "same": _told(name, registered[name]) == _told(name, found[name]),
            }
            for name in names
        }
        identical = registered[MODEL] == found[MODEL]
        differences = [] if identical else list(self._why(record, again))
        metrics = {} if identical or what == "refit" else self._metrics(made)
        return Reproduced(what, identical, files, differences, metrics)

    def _train(self, what: str, record: Mapping[str, Any]) -> Path:
        made, channels = self.folder / what / "model", self.folder / "channels"
        variables: dict[str, str] = {
            "SM_MODEL_DIR": str(made),
            "SM_OUTPUT_DIR": str(self.folder / what / "output"),
        }
        for name, digest in record.get("data_sha256", {}).items():
            variables[f"SM_CHANNEL_{name.upper()}"] = str(self._part(channels / name, name))
            variables[f"EVERLOOP_SHA256_{name.upper()}"] = digest
        if "held_out" in record:
            variables[HELD_OUT] = f"{record['held_out']['after']}/{record['held_out']['until']}"
        if "tuning" in record or "tuned_by" in record:
            tuned = self.folder / what / TUNED_CHANNEL
            tuned.mkdir(parents=True)
            (tuned / TRAINING).write_text(json.dumps(record), encoding="utf-8")
            variables[f"SM_CHANNEL_{TUNED_CHANNEL.upper()}"] = str(tuned)
        parent = (record.get("update") or {}).get("parent")
        if parent is not None:
            older = self.account.registry(self.version.model).versions.get(parent["version"])
            kept = self.folder / what / PARENT_CHANNEL
            kept.mkdir(parents=True)
            (kept / ESTIMATOR).write_bytes(registered_file(self.account, older, ESTIMATOR))
            variables |= {
                f"SM_CHANNEL_{PARENT_CHANNEL.upper()}": str(kept),
                PARENT_VERSION: str(parent["version"]),
                PARENT_SHA256: parent["estimator_sha256"],
            }
        self._run([str(self.code / "train_entry.py")], variables, f"the training of the {what} model")
        return made

    def _part(self, folder: Path, name: str) -> Path:
        """The files of a part of the snapshot, fetched once; the job holds them against their hash."""
        if folder.is_dir():
            return folder
        snapshot = self.account.registry(self.version.model).snapshots.find(self.version.snapshot_hash)
        uri = None if snapshot is None else dict(snapshot.document.get("parts", {})).get(name)
        if not isinstance(uri, str):
            raise CommandError(
                f"the registry does not say where the {name} part of snapshot {self.version.snapshot_hash} is",
                "only versions that were trained since parts are recorded can be trained again",
            )
        place, s3 = urlsplit(uri), self.account.client("s3")
        folder.mkdir(parents=True)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=place.path.lstrip("/"))
        for item in (item for page in pages for item in page.get("Contents", [])):
            with (folder / item["Key"].rpartition("/")[2]).open("wb") as file:
                s3.download_fileobj(place.netloc, item["Key"], file)
        return folder

    def _metrics(self, made: Path) -> dict[str, dict[str, float | None]]:
        """The registered metrics beside those of the new model, by the version's own evaluation program."""
        archive, output = self.folder / "evaluated" / "archive", self.folder / "evaluated" / "evaluation"
        archive.mkdir()
        with tarfile.open(archive / "model.tar.gz", "w:gz") as tar:
            for path in sorted(made.iterdir()):
                tar.add(path, arcname=path.name)
        test = self._part(self.folder / "channels" / "test", "test")
        options = {
            "--code": str(self.code),
            "--model-data": str(archive),
            "--test": str(test),
            "--champion": "none",
            "--run-id": self.version.run_id,
            "--snapshot-hash": self.version.snapshot_hash,
            "--output": str(output),
            "--message": str(self.folder / "evaluated" / "message"),
        }
        words = [word for option in options.items() for word in option]
        self._run(["-m", "everloop.training.evaluate", *words], {}, "the evaluation of the new model")
        then = read_json(registered_file(self.account, self.version, REPORT))["candidate"]
        now = read_json((output / REPORT).read_bytes())["candidate"]
        return {
            name: {"registered": then[name]["value"], "made": now.get(name, {}).get("value")} for name in sorted(then)
        }

    def _run(self, words: list[str], variables: Mapping[str, str], what: str) -> None:
        bare = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        ran = subprocess.run(
            [self.environment.python, *words],
            cwd=self.code,
            env={**bare, "HOME": str(self.folder), **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if ran.returncode:
            last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-12:])
            raise CommandError(f"{what} failed:\n{last}", f"look into {self.folder}")

    def _why(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
        for name in ("code_sha256", "data_sha256", "parameters", "seed", "rows", "update"):
            if then.get(name) != now.get(name):
                yield f"{name}: {_short(then.get(name))} then, {_short(now.get(name))} now"
        for name in ("python", "platform"):
            if then.get(name) != now.get(name):
                yield f"{name}: {then.get(name)} then, {now.get(name)} now"
        packages, here = then.get("packages", {}), now.get("packages", {})
        # What the record has beside its lock is told where it is another release, not where it is absent.
        differing = sorted(name for name in packages if name in here and packages[name] != here[name])
        for name in differing:
            yield f"package {name}: {packages[name]} then, {here[name]} now"
        if not self.environment.whole:
            yield f"the environment was not rebuilt: {self.environment.reason}"


def _told(name: str, content: bytes) -> object:
    """A file as it is compared: of ``training.json`` without what is told of the environment apart."""
    if name != TRAINING:
        return content
    return {key: value for key, value in read_json(content).items() if key not in _SETTLED}


def _code(account: Account, job: RunJob, folder: Path) -> Path:
    """The code archive of a job, unpacked."""
    described = describe(account, job)
    if described is None:
        raise CommandError(
            f"SageMaker does not know the job {job.name}, which names the code archive",
            "ask in the account and region in which the version was trained",
        )
    uri = described["HyperParameters"]["sagemaker_submit_directory"].strip('"')
    place, archive = urlsplit(uri), folder.with_suffix(".tar.gz")
    folder.mkdir(parents=True)
    with archive.open("wb") as file:
        account.client("s3").download_fileobj(place.netloc, place.path.lstrip("/"), file)
    _unpack(archive, folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """Write an archive's files, if they are files and nothing else; ``tarfile`` itself checks from Python 3.11.4 on."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            outside = path.is_absolute() or ".." in path.parts
            if outside or not (member.isreg() or member.isdir()):
                raise CommandError(
                    f"the code archive has {member.name!r}, which is no file of a folder",
                    "find out who wrote it: the deployment's own archives hold files alone",
                )
            content = tar.extractfile(member)
            if content is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content.read())


def _environment(folder: Path, lock: Path, python: str, where: Where, say: Say) -> Rebuilt:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if where == "here":
        return Rebuilt(sys.executable, whole=False, reason="the packages of this machine were asked for")
    minor = ".".join(python.split(".")[:2])
    uv = shutil.which("uv") or _beside("uv")
    say(f"installing the version's lock for Python {minor}")
    try:
        if uv is not None:
            _install([uv, "venv", "--quiet", "--python", minor, str(folder)])
            found = str(_python_of(folder))
            _install([uv, "pip", "install", "--quiet", "--require-hashes", "--python", found, "-r", str(lock)])
            return Rebuilt(found, whole=True, reason="")
        if minor != here:
            return Rebuilt(
                sys.executable, whole=False, reason=f"it was Python {minor}, and this is {here}; uv finds it"
            )
        _install([sys.executable, "-m", "venv", str(folder)])
        found = str(_python_of(folder))
        _install([found, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)])
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return Rebuilt(sys.executable, whole=False, reason=" ".join(str(said).split())[:300])
    return Rebuilt(found, whole=True, reason="")


def _install(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def _beside(name: str) -> str | None:
    """A program that is installed beside this Python."""
    found = Path(sys.executable).parent / name
    return str(found) if found.is_file() else None


def _python_of(folder: Path) -> Path:
    windows = folder / "Scripts" / "python.exe"
    return windows if windows.is_file() else folder / "bin" / "python"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _short(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 120 else f"{text[:117]}…"
