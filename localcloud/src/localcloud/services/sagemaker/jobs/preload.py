"""What jobs find imported when they start: ``[sagemaker]`` of the settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.settings import Settings, SettingsError
from localcloud.services.sagemaker.jobs.root import INTERPRETER_VARIABLES
from localcloud.services.sagemaker.jobs.spot import INTERRUPTIONS

_KEYS = {"images", "preload", "preload_environment", INTERRUPTIONS}


def preloading(
    settings: Settings,
    environment: Mapping[str, str] | None = None,
    *,
    compiled: Path | None = None,
    standing: Path | None = None,
) -> Preloading:
    """A server of job programs that has imported the modules of ``preload``; with none, jobs start plainly.

    Parameters
    ----------
    environment : mapping, optional
        What programs start with; what jobs of a local cloud do unless given.
    compiled : Path, optional
        Where they leave what they compile, for programs of other servers too; a folder of this one's own unless given.
    standing : Path, optional
        Where the server stands for other clouds too.

    Raises
    ------
    SettingsError
        When ``preload`` is no list of names, ``preload_environment`` no table of texts, or there is something else.
    """
    table = settings.of("sagemaker")
    wrong = sorted(set(table) - _KEYS)
    if wrong:
        raise SettingsError(f"{settings.file}: [sagemaker] has {wrong[0]}; it may have {', '.join(sorted(_KEYS))}")
    modules, preset = table.get("preload", []), table.get("preload_environment", {})
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise SettingsError(f"{settings.file}: [sagemaker] preload = {modules!r}: it is a list of modules' names")
    if not isinstance(preset, dict) or not all(isinstance(value, str) for value in preset.values()):
        raise SettingsError(f"{settings.file}: [sagemaker.preload_environment] = {preset!r}: it is a table of texts")
    if environment is None:
        environment = {**INTERPRETER_VARIABLES, "PATH": os.environ.get("PATH", os.defpath)}
    return Preloading(modules, environment, preset, compiled=compiled, standing=standing)
