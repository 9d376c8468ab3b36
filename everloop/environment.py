"""Settings that infrastructure hands to a function."""

from __future__ import annotations

from collections.abc import Mapping

from everloop.exceptions import TerminalError


class MissingSettingError(TerminalError, RuntimeError):
    """A function was deployed without an environment variable that it needs."""


def required_setting(environment: Mapping[str, str], name: str) -> str:
    """The value of the environment variable ``name``.

    Raises
    ------
    MissingSettingError
        When it is absent or empty.
    """
    value = environment.get(name, "")
    if not value:
        raise MissingSettingError(f"the environment variable {name} is not set: deploy the model's stack again")
    return value
