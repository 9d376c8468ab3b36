"""How workers start and wait: ``preload``, ``idle_minutes`` and ``freeze`` of ``[lambda]`` in the settings."""

from __future__ import annotations

from datetime import timedelta

from localcloud.core.settings import Settings, SettingsError

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
    freeze = settings.of("lambda").get("freeze", False)
    if not isinstance(freeze, bool):
        raise SettingsError(f"{settings.file}: [lambda] freeze = {freeze!r}: it is true or false")
    return freeze
