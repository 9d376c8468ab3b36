"""How a hook changes moto: replace an attribute, and be able to do so again without wrapping the wrapper."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

_originals: dict[tuple[int, str], tuple[Any, Any]] = {}


class MotoChangedError(RuntimeError):
    """moto no longer has what a hook replaces; the message names it."""


def replace(owner: Any, name: str, build: Callable[[Any], Any]) -> None:
    """Set ``owner.name`` to ``build(original)``.

    The original is what moto shipped, however often this is called: a second local cloud in one process
    replaces the first one's hook. Static and class methods stay what they are, and ``build`` gets the plain
    function.

    Raises
    ------
    MotoChangedError
        When ``owner`` has no such attribute.
    """
    key = (id(owner), name)
    if key not in _originals:
        try:
            _originals[key] = (owner, inspect.getattr_static(owner, name))
        except AttributeError:
            where = getattr(owner, "__qualname__", getattr(owner, "__name__", repr(owner)))
            raise MotoChangedError(
                f"{where}.{name}: this moto has no such attribute; the local cloud is written for the version "
                "pinned in requirements-dev.txt"
            ) from None
    original = _originals[key][1]
    kind = type(original) if isinstance(original, staticmethod | classmethod) else None
    changed = build(original.__func__ if kind else original)
    setattr(owner, name, kind(changed) if kind else changed)


def replace_in_holders(package: str, name: str, build: Callable[[Any], Any]) -> None:
    """Replace ``name`` in every loaded module of ``package``, for helpers that moto imports by name.

    Raises
    ------
    MotoChangedError
        When no module of the package holds the name.
    """
    holders = [
        module
        for module_name, module in list(sys.modules.items())
        if module is not None
        and (module_name == package or module_name.startswith(package + "."))
        and name in vars(module)
    ]
    if not holders:
        raise MotoChangedError(f"{package}: no module of this moto holds {name}")
    for module in holders:
        replace(module, name, build)
