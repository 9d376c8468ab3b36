"""The synthesized assembly, made again only when something that goes into it has changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import everloop
from everloop.cli.operations.app_sources import app_sources

INPUT_FILES = ("cdk.json", "constraints.txt", "requirements.txt")
"""Of the project, besides its models, ``app.py`` with the modules beside it, and what that imports or names."""

CDK = ("aws-cdk-lib", "constructs", "jsii")
"""What is installed and writes the templates: it may have changed where no line of the project has."""

PACKAGE = Path(everloop.__file__).parent
NO_INPUTS = frozenset({"cli", "docs"})
"""Parts of ``everloop`` that no template and no package holds anything of."""

MODELS_CONTEXT = "everloop:models_dir"
IGNORED_FOLDERS = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"})
KEPT = 3
"""How many assemblies stay in the cache; each holds its layers."""

IN_USE = timedelta(minutes=15)
"""For so long after it was asked for one stays in any case: another process may be deploying it."""

VALIDATING = ("@aws-cdk/core:validateAgainstDefaultRules", "@aws-cdk/core:strictCfnValidateErrors")
"""With one of these in its context an app fails where its templates break the CDK's own rules; without, nothing comes
of it but lines on an output that is not shown here, for almost half of the synthesis' processor time."""

REMEDY = "run `python app.py` to see the whole error"


class SynthesisFailedError(RuntimeError):
    """``app.py`` could not synthesize; the message is what it said."""


def synthesize_if_changed(
    root: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda line: None,
    *,
    context: Mapping[str, str] | None = None,
) -> Path:
    """The folder of the assembly of the project at ``root``.

    ``app.py`` runs as a process of its own, as the CDK's command line runs it, when no assembly of the same
    inputs is in ``cache``. The inputs are the sources, the pins, the context, the CDK's versions and the Python
    running. Of the project those files count that ``app.py`` imports or names, as far as they lie in its folder
    (:mod:`everloop.cli.operations.app_sources`), and so do the environment variables that its code names.

    Parameters
    ----------
    root : Path
        The project's folder, with ``app.py``.
    cache : Path
        Belongs to this function; the newest assemblies stay in it.
    progress : callable
        Told in a sentence before something takes long.
    context : mapping, optional
        CDK context, e.g. ``{"everloop:architecture": "arm64"}``; it wins over ``cdk.json``.

    Raises
    ------
    SynthesisFailedError
        With the mistakes ``app.py`` printed. Nothing is kept then.
    """
    effective = {**_file_context(root), **(context or {})}
    target = cache / inputs_hash(root, effective)
    cache.mkdir(parents=True, exist_ok=True)
    if not _asked_for(target):
        progress("Synthesizing the templates; the first time this also installs the functions' packages.")
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            made = Path(scratch) / "assembly"
            _run(root, made, effective)
            _move(made, target)
    with _alone_in(cache):
        os.utime(target)
        _prune(cache, keep=target)
    return target


def _asked_for(target: Path) -> bool:
    """Whether the assembly is there; from now on it is in use."""
    with _alone_in(target.parent):
        is_there = (target / "manifest.json").is_file()
        if is_there:
            os.utime(target)
    return is_there


@contextlib.contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Nobody else looks for an assembly or deletes one meanwhile."""
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def inputs_hash(root: Path, context: Mapping[str, str]) -> str:
    """A hash of everything the assembly follows from."""
    whole = hashlib.sha256()
    # Of the models' folder only the content counts: it may be anywhere, and the templates don't say where.
    rest = {name: value for name, value in context.items() if name != MODELS_CONTEXT}
    models = root / context.get(MODELS_CONTEXT, "models")
    sources = app_sources(root, without=(PACKAGE, models), environment=os.environ)
    facts = [platform.python_version(), {name: _installed(name) for name in CDK}, rest, sources.variables]
    whole.update(json.dumps(facts, sort_keys=True).encode())
    for name, path in sorted({**sources.files, **dict(_inputs(root, models))}.items()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{name}\0{content}\n".encode())
    return whole.hexdigest()


def _inputs(root: Path, models: Path) -> Iterator[tuple[str, Path]]:
    for path in (*(root / name for name in INPUT_FILES), *sorted(root.glob("*.py"))):
        if path.is_file():
            yield path.name, path
    yield from ((f"everloop/{path.name}", path) for path in sorted(PACKAGE.glob("*.py")))
    parts = sorted(path for path in PACKAGE.iterdir() if path.is_dir() and path.name not in NO_INPUTS | IGNORED_FOLDERS)
    for name, folder in (*((f"everloop/{part.name}", part) for part in parts), ("models", models)):
        for path in sorted(folder.rglob("*")):
            within = path.relative_to(folder)
            if path.is_file() and path.suffix != ".pyc" and not IGNORED_FOLDERS.intersection(within.parts):
                yield f"{name}/{within.as_posix()}", path


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _file_context(root: Path) -> dict[str, str]:
    """The context in ``cdk.json``, which the CDK's command line would pass on."""
    file = root / "cdk.json"
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).get("context", {}))
    except (ValueError, AttributeError, TypeError) as error:
        raise SynthesisFailedError(f"{file}: not a JSON object with a context: {error}") from error


def _run(root: Path, output: Path, context: Mapping[str, str]) -> None:
    environment = {**os.environ, "CDK_OUTDIR": str(output), "CDK_CONTEXT_JSON": json.dumps(dict(context))}
    if not any(context.get(flag) for flag in VALIDATING):
        environment.setdefault("CDK_VALIDATION", "false")
    finished = subprocess.run(
        [sys.executable, "app.py"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode or not (output / "manifest.json").is_file():
        said = finished.stderr.strip() or finished.stdout.strip() or f"exit status {finished.returncode}"
        raise SynthesisFailedError(f"the app in {root} does not synthesize ({REMEDY}):\n{said}")


def _move(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        if not (target / "manifest.json").is_file():  # otherwise somebody else was faster, with the same result
            raise


def _prune(cache: Path, *, keep: Path) -> None:
    folders = (p for p in cache.iterdir() if p.is_dir() and not p.name.startswith("building-"))
    asked = {folder: folder.stat().st_mtime for folder in folders}
    in_use = time.time() - IN_USE.total_seconds()
    for old in sorted(asked, key=lambda folder: asked[folder], reverse=True)[KEPT:]:
        if old != keep and asked[old] < in_use:
            shutil.rmtree(old, ignore_errors=True)
