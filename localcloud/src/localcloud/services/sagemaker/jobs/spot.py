"""Takes the instance of a spot training back: once its program has kept something, as often as the settings say."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from localcloud.core.settings import Settings, SettingsError
from localcloud.services.sagemaker.jobs.process import JobProcess

INTERRUPTIONS = "spot_interruptions"
"""The key of ``[sagemaker]`` that says how often each spot training is interrupted."""

DEFAULT_INTERRUPTIONS = 1

BILLED_SHARE = 0.3
"""Of a spot training's seconds. AWS bills by a market's price; this stands for it."""

_LOOK_SECONDS = 0.05


def is_spot(request: dict[str, Any]) -> bool:
    """Whether a training runs on spare capacity."""
    return bool(request.get("EnableManagedSpotTraining"))


def spot_interruptions(settings: Settings) -> int:
    """How often each spot training is interrupted.

    Raises
    ------
    SettingsError
        When it is no whole number from 0 to 10.
    """
    found = settings.of("sagemaker").get(INTERRUPTIONS, DEFAULT_INTERRUPTIONS)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= 10:
        raise SettingsError(f"{settings.file}: [sagemaker] {INTERRUPTIONS} = {found!r}: it is a number from 0 to 10")
    return found


class TakenBack:
    """Watches a checkpoint folder while a program runs, and interrupts the program once there is a new file.

    Files that begin with a dot are not looked at: those are being written.
    """

    def __init__(self, process: JobProcess, folder: Path) -> None:
        self._process, self._folder = process, folder
        self._ended = threading.Event()
        self._before = self._files()
        self._thread = threading.Thread(target=self._watch, name=f"spot {folder}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if self._files() - self._before:
                self._process.interrupt()
                return

    def _files(self) -> frozenset[Path]:
        found = (path for path in self._folder.rglob("*") if not path.name.startswith("."))
        return frozenset(path for path in found if path.is_file())
