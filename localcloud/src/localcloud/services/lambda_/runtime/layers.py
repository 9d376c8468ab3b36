"""Layers for the local Python.

A layer's zip holds packages built for the deployed platform, which need not run here. A layer that lists its
packages in ``python/requirements.lock`` (exact pins) is installed again for the local Python, once per content:
by hard links out of the running environment when that has every pin, otherwise by uv or pip. A layer without
the list is used as it is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name

from localcloud.services.lambda_.runtime.exceptions import LayerNotMaterialisedError

LOCK_FILE = "requirements.lock"

RUNTIME_PACKAGES = (
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "urllib3",
    "python-dateutil",
    "six",
)
"""What AWS's Python runtime brings along besides the standard library."""

RUNTIME_CLIENT_PACKAGES = ("awslambdaric", "simplejson", "snapshot-restore-py")


def parse_lock(text: str, place: str) -> dict[str, str]:
    """Exact pins by canonical name; lines whose marker does not hold here are left out.

    Raises
    ------
    LayerNotMaterialisedError
        On a line that is not an exact pin.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.split(" #")[0].strip().rstrip("\\").strip()
        if not content or content.startswith(("#", "--")):
            continue
        try:
            requirement = Requirement(content)
        except InvalidRequirement as error:
            raise LayerNotMaterialisedError(f"{place} line {number}: {error}") from None
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or not _is_exact(specifiers[0]):
            raise LayerNotMaterialisedError(
                f"{place} line {number}: {content!r} is not an exact pin; write name==version"
            )
        pins[canonicalize_name(requirement.name)] = specifiers[0].version
    return pins


def _is_exact(specifier: Specifier) -> bool:
    return specifier.operator in ("==", "===") and not specifier.version.endswith("*")


class LayerInstaller:
    """Installs pinned packages for the local Python under a cache directory, by their content."""

    def __init__(self, cache_directory: Path) -> None:
        self._directory = cache_directory / "layers"
        self._lock = threading.Lock()

    def python_paths(self, layer_directory: Path, runtime: str) -> list[Path]:
        """The import paths of an unpacked layer, installing its packages first where it lists them."""
        lock = layer_directory / "python" / LOCK_FILE
        if lock.is_file():
            return [self.install(parse_lock(lock.read_text(), str(lock)))]
        candidates = [
            layer_directory / "python" / "lib" / runtime / "site-packages",
            layer_directory / "python",
        ]
        return [path for path in candidates if path.is_dir()]

    def install(self, pins: dict[str, str]) -> Path:
        """A directory with exactly these packages.

        Raises
        ------
        LayerNotMaterialisedError
            When neither the running environment nor an installer has them; the message has the installer's words.
        """
        lines = [f"{name}=={version}" for name, version in sorted(pins.items())]
        identity = "\n".join([*lines, sys.version, sysconfig.get_platform(), platform.machine()])
        target = self._directory / hashlib.sha256(identity.encode()).hexdigest()[:32]
        with self._lock:
            if target.is_dir():
                return target
            partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}")
            partial.mkdir(parents=True)
            try:
                if not link_from_environment(pins, partial):
                    _install(lines, partial)
                os.rename(partial, target)
            except OSError:
                if not target.is_dir():
                    raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            return target

    def install_runtime(self, *, with_client: bool) -> Path:
        """A directory with what AWS's runtime brings, and its client when asked for."""
        names: Iterable[str] = RUNTIME_PACKAGES + (RUNTIME_CLIENT_PACKAGES if with_client else ())
        return self.install({canonicalize_name(name): importlib.metadata.version(name) for name in names})


def link_from_environment(pins: dict[str, str], target: Path) -> bool:
    """Fill ``target`` with hard links to the running environment's packages; False when it lacks one."""
    distributions = []
    for name, version in pins.items():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return False
        editable = '"editable"' in (distribution.read_text("direct_url.json") or "")
        if distribution.version != version or editable or not distribution.files:
            return False
        distributions.append(distribution)
    made: set[Path] = set()
    for distribution in distributions:
        for file in distribution.files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            source = Path(str(distribution.locate_file(file)))
            if source.is_file():
                _link(source, target / file, made)
                _link_compiled(source, target / file, made)
    return True


def _link(source: Path, destination: Path, made: set[Path]) -> None:
    if destination.parent not in made:
        destination.parent.mkdir(parents=True, exist_ok=True)
        made.add(destination.parent)
    try:
        os.link(source, destination)
    except FileExistsError:
        pass  # two packages that share a namespace ship the same file
    except OSError:
        shutil.copy2(source, destination)


def _link_compiled(source: Path, destination: Path, made: set[Path]) -> None:
    if source.suffix != ".py":
        return
    compiled = Path(importlib.util.cache_from_source(str(source)))
    if compiled.is_file():
        _link(compiled, destination.parent / "__pycache__" / compiled.name, made)


def _install(lines: list[str], target: Path) -> None:
    failures = []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(lines) + "\n")
        requirements.flush()
        for command in _installers(target, Path(requirements.name)):
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode == 0:
                return
            failures.append(f"{' '.join(command[:4])} …: {finished.stderr.strip()[-1500:]}")
    raise LayerNotMaterialisedError(
        f"the layer's packages ({', '.join(lines)}) are neither in this environment nor installable:\n"
        + ("\n".join(failures) or "neither uv nor pip is installed; install one of them")
    )


def _installers(target: Path, requirements: Path) -> list[list[str]]:
    common = ["--target", str(target), "--no-deps", "-r", str(requirements)]
    found = []
    if importlib.util.find_spec("uv"):
        found.append([sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, *common])
    elif shutil.which("uv"):
        found.append(["uv", "pip", "install", "--python", sys.executable, *common])
    if importlib.util.find_spec("pip"):
        found.append([sys.executable, "-m", "pip", "install", "--no-input", *common])
    return found
