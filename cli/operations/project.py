"""The project in the working directory, and its templates."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.assembly_cache import MODELS_CONTEXT, SynthesisFailedError, synthesize_if_changed

CACHE = Path(".cache")
"""Of the project, which is the working directory."""


def project_folder() -> Path:
    """The folder of the project: the working directory.

    Raises
    ------
    CommandError
        It is none: it has no ``app.py``.
    """
    folder = Path.cwd()
    if not (folder / "app.py").is_file():
        raise CommandError(
            f"{folder} is not a project: it has no app.py",
            "go to the project's folder; `everloop init` makes a new one",
        )
    return folder


def synthesize_model(say: Callable[[str], None], model: str, models_directory: Path) -> Path:
    """The assembly of this project as if it had one model: what is tried alone waits for no other.

    Parameters
    ----------
    model : str
        The name of its folder in ``models_directory``.
    """
    with TemporaryDirectory() as scratch:
        alone = Path(scratch) / "models"
        shutil.copytree(models_directory / model, alone / model)
        return synthesize_project(say, alone)


def synthesize_project(say: Callable[[str], None], models_directory: Path | None = None) -> Path:
    """The assembly of this project, synthesized again only where its inputs changed.

    Parameters
    ----------
    models_directory : Path, optional
        Where the declarations are; the project's own where none is given.
    """
    context = {} if models_directory is None else {MODELS_CONTEXT: str(models_directory.resolve())}
    try:
        return synthesize_if_changed(project_folder(), CACHE / "assembly", say, context=context)
    except SynthesisFailedError as error:
        raise CommandError(
            str(error), "fix what the error names; `everloop check` checks only the declarations"
        ) from error
