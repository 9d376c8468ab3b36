"""How workers start, run and wait: keys of ``[lambda]`` in the settings.

``preload``, ``idle_minutes``, ``freeze`` and ``processor_share``.
"""

from __future__ import annotations

import logging
import sys
from datetime import timedelta

from localcloud.core.settings import Settings, SettingsError
from localcloud.services.lambda_.runtime.processor import CAN_SHARE

log = logging.getLogger(__name__)

_MOST_MINUTES = 525_600
_CLIENTS = ("awslambdaric", "runtime_client")


def preloaded_modules(settings: Settings) -> tuple[str, ...]:
    """The modules that are imported once for all functions with the same layers; none unless the settings name some.

    Raises
    ------
    SettingsError
        When ``preload`` is no list of names, or has one that can't be imported beforehand.
    """
    modules = settings.of("lambda").get("preload", [])
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise SettingsError(f"{settings.file}: [lambda] preload = {modules!r}: it is a list of modules' names")
    for name in modules:
        if name.partition(".")[0] in _CLIENTS:
            raise SettingsError(
                f"{settings.file}: [lambda] preload has {name!r}, which reads a worker's own address when it is "
                "imported; leave it out"
            )
    return tuple(modules)


def idle_time(settings: Settings) -> timedelta | None:
    """After how long on the local clock an unused worker is not used again; never unless the settings say so.

    Raises
    ------
    SettingsError
        When ``idle_minutes`` is no number above zero.
    """
    minutes = settings.of("lambda").get("idle_minutes")
    if minutes is None:
        return None
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < _MOST_MINUTES:
        raise SettingsError(
            f"{settings.file}: [lambda] idle_minutes = {minutes!r}: it is a number of minutes above 0 and below "
            f"{_MOST_MINUTES}"
        )
    return timedelta(minutes=minutes)


def freezes(settings: Settings) -> bool:
    """Whether an idle worker is stopped until its next event; not unless the settings say so.

    Raises
    ------
    SettingsError
        When ``freeze`` is neither true nor false.
    """
    return _asked_for("freeze", settings)


def shares_processor(settings: Settings) -> bool:
    """Whether a function's memory sets its share of a processor; not unless the settings say so.

    Where the system does not tell the processor time of a process, no share is set, and the log says so.

    Raises
    ------
    SettingsError
        When ``processor_share`` is neither true nor false.
    """
    asked = _asked_for("processor_share", settings)
    if asked and not CAN_SHARE:
        log.warning("on %s each function has all processors: [lambda] processor_share needs Linux", sys.platform)
    return asked and CAN_SHARE


def _asked_for(name: str, settings: Settings) -> bool:
    value = settings.of("lambda").get(name, False)
    if not isinstance(value, bool):
        raise SettingsError(f"{settings.file}: [lambda] {name} = {value!r}: it is true or false")
    return value
