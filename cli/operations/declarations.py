"""The declarations on disk, as the commands use them. What reads one is imported when one is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.cli.exceptions import CommandError

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


def find_declaration(model: str, models_directory: Path) -> ModelDeclaration:
    """The declaration of ``model``.

    Raises
    ------
    CommandError
        There is no folder of that name; the message lists those there are.
    ModelFileError
        The file is there and wrong.
    """
    path = models_directory / model / "model.yaml"
    if not path.is_file():
        there = ", ".join(declared_models(models_directory)) or "none"
        raise CommandError(
            f"no declaration at {path} (models there: {there})",
            "run the command in the project's folder, or give the folder of the models: --models-directory DIRECTORY",
        )
    from everloop.model_file.reader import read_model_file

    return read_model_file(path)


def is_project(models_directory: Path) -> bool:
    """Whether declarations are looked for in a project: a folder without any, beside an ``app.py``, is one too."""
    return models_directory.is_dir() or (models_directory.parent / "app.py").is_file()


def model_folders(models_directory: Path) -> list[str]:
    """The names of all folders below ``models_directory`` that a deployment takes for models, sorted."""
    if not models_directory.is_dir():
        return []
    return sorted(path.name for path in models_directory.iterdir() if path.is_dir() and path.name[0] not in "._")


def declared_models(models_directory: Path) -> list[str]:
    """The names of the models declared below ``models_directory``, sorted."""
    return sorted(path.parent.name for path in models_directory.glob("*/model.yaml"))


def sample_of(model_folder: Path) -> Path | None:
    """The sample rows in a model's folder; None when there are none."""
    from everloop.model_file.samples import SAMPLES

    return next((model_folder / name for name in SAMPLES if (model_folder / name).is_file()), None)
