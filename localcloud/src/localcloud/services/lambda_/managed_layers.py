"""Layers that AWS publishes, stood in for by lists of pins.

Nobody can download them, so the packages that one holds are installed for the local Python instead. Which there are,
and what is in them, is set by who uses them (``[[lambda.managed_layers]]`` of the settings): localcloud knows none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.core.settings import Settings, SettingsError

_TABLE = {"freeze", "idle_minutes", "managed_layers", "preload", "processor_share"}
_KEYS = {"arn", "pins", "parameters"}


@dataclass(frozen=True)
class ManagedLayer:
    """A layer of AWS's.

    Attributes
    ----------
    arn : str
        A part of its versions' ARNs that is in no other's, such as ``:336392948345:layer:AWSSDKPandas-Python``.
    pins : Path
        The packages it holds, ``name==version`` each.
    parameters : mapping of str to str
        Public SSM parameters that lead to it, by name; ``{region}`` stands for the region.
    """

    arn: str
    pins: Path
    parameters: Mapping[str, str] = field(default_factory=dict)


def managed_layers(settings: Settings) -> tuple[ManagedLayer, ...]:
    """The layers that the settings list.

    Raises
    ------
    SettingsError
        When one lacks its ARN or its pins, has something else, or its pins are no file.
    """
    table = settings.of("lambda")
    unknown = sorted(set(table) - _TABLE)
    if unknown:
        raise SettingsError(f"{settings.file}: [lambda] has {unknown[0]}; it may have {', '.join(sorted(_TABLE))}")
    return tuple(_layer(settings, number, entry) for number, entry in enumerate(table.get("managed_layers", ()), 1))


def _layer(settings: Settings, number: int, entry: Mapping[str, Any]) -> ManagedLayer:
    place = f"{settings.file}: [[lambda.managed_layers]] number {number}"
    wrong = sorted(set(entry) - _KEYS) or sorted({"arn", "pins"} - set(entry))
    if wrong:
        raise SettingsError(
            f"{place}: {wrong[0]} is {'no key of it' if wrong[0] in entry else 'missing'}; it has {_KEYS}"
        )
    pins = settings.path(entry["pins"])
    if not pins.is_file():
        raise SettingsError(f"{place}: pins = {entry['pins']!r}: there is no file {pins}")
    return ManagedLayer(entry["arn"], pins, entry.get("parameters", {}))
