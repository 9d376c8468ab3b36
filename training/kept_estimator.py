"""The fitted estimator of a version, kept beside its files for the next training to continue.

A zip archive of two members: ``about.json`` says what the training was made of, ``estimator.pickle`` is the estimator.
A pickle runs what it says when it is read, so this is read by trainings and probes alone: the jobs that run the model's
own program anyway. One reads it only if its hash is that of the registry, and ``about.json`` names the very packages
that the job has. Everything else takes the archive as bytes.
"""

from __future__ import annotations

import io
import pickle
import platform
import zipfile
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

from everloop.instants import instant_text
from everloop.json_text import canonical_json, read_json
from everloop.manifest import sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.shown import shown
from everloop.training.exceptions import ParentError
from everloop.training.record import code_hash
from everloop.typed_json import as_json, read_as

ABOUT, PICKLE = "about.json", "estimator.pickle"

PACKAGES = ("joblib", "numpy", "pandas", "scikit-learn", "scipy")
"""Whose objects an estimator consists of: one of another release may be read as something else."""

_WRITTEN = (1980, 1, 1, 0, 0, 0)
"""The instant of both members: the same estimator gives the same bytes."""


class Making(TypedDict):
    """What an estimator was made of, besides its rows: to continue it, all of it has to be the same."""

    python: str
    platform: str
    packages: dict[str, str]
    script: str
    code_sha256: str
    parameters: dict[str, str | float | int | bool]
    features: list[list[str]]
    target: str
    type: str


class About(TypedDict):
    """``about.json``."""

    model: str
    learned_until: datetime
    trees: int | None
    making: Making


@dataclass(frozen=True)
class KeptEstimator:
    """A version's estimator as it was kept; it is not unpickled before :meth:`load`."""

    version: int
    sha256: str
    about: About
    pickled: bytes

    def load(self) -> Any:
        """The estimator.

        Raises
        ------
        ParentError
            When the bytes are none.
        """
        try:
            return pickle.loads(self.pickled)  # held against the registry's hash
        except Exception as error:
            raise ParentError(f"the estimator of version {self.version} can't be read: {shown(error)}") from error


def making_of(declaration: ModelDeclaration, user_folder: Path) -> Making:
    """What a training of this job is made of."""
    major, minor, *_ = platform.python_version_tuple()
    return {
        "python": f"{major}.{minor}",
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "script": declaration.training.script,
        "code_sha256": code_hash(user_folder, without=("model.yaml",)),
        "parameters": dict(declaration.training.parameters),
        "features": [[feature.name, feature.type] for feature in declaration.data.features],
        "target": declaration.data.target,
        "type": declaration.problem.type,
    }


def difference(then: Making, now: Making) -> str | None:
    """What of a making is another one now, as a part of a sentence; None where all is the same."""
    for name in PACKAGES:
        if then["packages"].get(name) != now["packages"][name]:
            return f"{name} {then['packages'].get(name)}, and this job has {now['packages'][name]}"
    if then["python"] != now["python"]:
        return f"Python {then['python']}, and this job has {now['python']}"
    if then["platform"] != now["platform"]:
        return f"the platform {then['platform']}, and this job is on {now['platform']}"
    if then["features"] != now["features"]:
        return "other features than are declared now"
    if (then["script"], then["code_sha256"]) != (now["script"], now["code_sha256"]):
        return "other code: a file of the model's folder has changed since"
    if then["parameters"] != now["parameters"]:
        return "other training.parameters than are declared now"
    if (then["target"], then["type"]) != (now["target"], now["type"]):
        return "another target than is declared now"
    return None


def pack(estimator: Any, about: About) -> bytes:
    """The archive.

    Raises
    ------
    ParentError
        When the estimator can't be pickled.
    """
    try:
        pickled = pickle.dumps(estimator, protocol=5)
    except Exception as error:
        raise ParentError(
            f"the estimator can't be kept for a warm start: {shown(error)}; leave training.warm_start out"
        ) from error
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in ((ABOUT, canonical_json(as_json(about)).encode()), (PICKLE, pickled)):
            archive.writestr(zipfile.ZipInfo(name, _WRITTEN), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def read_kept(data: bytes, *, version: int, sha256: str, model: str) -> KeptEstimator:
    """Read an archive, without unpickling.

    Parameters
    ----------
    sha256 : str
        What the registry says it has to be.

    Raises
    ------
    ParentError
        When it is another one, none, or of another model.
    """
    found = sha256_hex(data)
    if found != sha256:
        raise ParentError(
            f"the kept estimator of version {version} has sha256 {found} ({number_of(len(data), 'byte')}), and the"
            f" registry says {sha256}: it was replaced; find out who writes there, then train in full"
        )
    what, again = f"{ABOUT} of version {version}", "train in full"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            about = read_as(About, read_json(archive.read(ABOUT)), what, again)
            pickled = archive.read(PICKLE)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ParentError(f"the kept estimator of version {version} can't be read: {error}; {again}") from error
    if about["model"] != model:
        raise ParentError(f"the kept estimator of version {version} is of {shown(about['model'])}, not of {model}")
    return KeptEstimator(version, sha256, about, pickled)


def told(kept: KeptEstimator) -> str:
    """What a log says of it."""
    return f"version {kept.version}, which learned until {instant_text(kept.about['learned_until'])}"
