"""What stands for a container image: ``[[sagemaker.images]]`` of the settings.

No image is pulled or run. Who starts the local cloud says for which images this machine has the program, and how to
start it; endpoints with any other image are refused when their model is created.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from localcloud.core.settings import Settings, SettingsError

_KEYS = {"image", "command", "environment", "preload", "preload_environment"}
PYTHON = ("python", "python3")
"""The words of a command that stand for this interpreter."""


@dataclass(frozen=True)
class Image:
    """An image that runs as a process.

    Attributes
    ----------
    pattern : str
        Matches its address, with ``*`` for any characters.
    command : tuple of str
        What ``docker run IMAGE serve`` runs in it. Words that begin with ``/opt/ml`` are led to the container's folder.
    environment : mapping
        What its ENV instructions set.
    preload : tuple of str
        Modules that its program imports each time: its containers start from a process that has done so once.
    preload_environment : mapping
        Variables that the program sets itself before it imports them.
    """

    pattern: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    preload: tuple[str, ...] = ()
    preload_environment: Mapping[str, str] = field(default_factory=dict)


def images_of(settings: Settings) -> tuple[Image, ...]:
    """Those of the settings.

    Raises
    ------
    SettingsError
        When an entry lacks its image or command, or has something else.
    """
    found = settings.of("sagemaker").get("images", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise SettingsError(f"{settings.file}: [sagemaker] images = {found!r}: write one [[sagemaker.images]] for each")
    return tuple(_image(settings, number, entry) for number, entry in enumerate(found, 1))


def image_for(images: Sequence[Image], address: str) -> Image | None:
    """The first whose pattern matches an address; None where there is none."""
    return next((image for image in images if fnmatchcase(address, image.pattern)), None)


def _image(settings: Settings, number: int, entry: Mapping[str, object]) -> Image:
    place = f"{settings.file}: [[sagemaker.images]] number {number}"
    wrong = sorted(set(entry) - _KEYS)
    if wrong:
        raise SettingsError(f"{place} has {wrong[0]}; it may have {', '.join(sorted(_KEYS))}")
    pattern, command, preload = entry.get("image"), entry.get("command"), entry.get("preload", [])
    if not isinstance(pattern, str) or not pattern:
        raise SettingsError(f"{place}: image = {pattern!r}: it is a text that matches the image's address")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise SettingsError(f"{place}: command = {command!r}: it is a list of the words that start the program")
    if not isinstance(preload, list) or not all(isinstance(name, str) for name in preload):
        raise SettingsError(f"{place}: preload = {preload!r}: it is a list of modules' names")
    if preload and command[0] not in PYTHON:
        raise SettingsError(f"{place}: preload is for a command that begins with python, not with {command[0]!r}")
    environment, preset = (_texts(place, entry, name) for name in ("environment", "preload_environment"))
    return Image(pattern, tuple(command), environment, tuple(preload), preset)


def _texts(place: str, entry: Mapping[str, object], name: str) -> Mapping[str, str]:
    found = entry.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SettingsError(f"{place}: {name} = {found!r}: it is a table of texts")
    return found
