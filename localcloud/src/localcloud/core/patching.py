"""How a hook changes moto, and how that is taken back.

Hooks stack: each :func:`wrap` gets what is there now, another hook's work included, so two hooks of one method both
have their say. What stands alone can not: :func:`replace` is refused where another hook is, since it would cut that
one off in silence. :func:`restore` takes everything back, newest first, and moto is as it was shipped.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


class MotoChangedError(RuntimeError):
    """moto no longer has what a hook changes, or has by itself what a hook adds; the message names it."""


class HookConflictError(RuntimeError):
    """Two hooks want to stand alone in one place; the message names the place and who was first."""


@dataclass(frozen=True)
class _Change:
    """One change: what ``owner`` itself had under ``name`` before, if it had anything of its own."""

    owner: Any
    name: str
    before: Any
    by: str


_NOTHING = object()
_changes: list[_Change] = []
_first_by: dict[tuple[int, str], str] = {}
"""Who was the first to change a name of an owner, which its change keeps alive."""


def wrap(owner: Any, name: str, build: Callable[[Any], Any]) -> None:
    """Set ``owner.name`` to ``build(what is there now)``, which calls it.

    Static and class methods stay what they are, and ``build`` gets the plain function.

    Raises
    ------
    MotoChangedError
        When ``owner`` has no such attribute.
    """
    current = _attribute(owner, name)
    kind = type(current) if isinstance(current, staticmethod | classmethod) else None
    changed = build(current.__func__ if kind else current)
    _set(owner, name, kind(changed) if kind else changed, _caller())


def replace(owner: Any, name: str, new: Any) -> None:
    """Set ``owner.name`` to ``new``, which does without what was there.

    Raises
    ------
    MotoChangedError
        When ``owner`` has no such attribute.
    HookConflictError
        When another hook has changed it: that one would be cut off.
    """
    current = _attribute(owner, name)
    earlier = _first_by.get((id(owner), name))
    if earlier is not None:
        raise HookConflictError(
            f"{_where(owner)}.{name}: {earlier} has changed it, and {_caller()} would bypass that change; use"
            " wrap and call the original, or call restore() first if this is another local cloud"
        )
    kind = type(current) if isinstance(current, staticmethod | classmethod) else None
    _set(owner, name, kind(new) if kind else new, _caller())


def add(owner: Any, name: str, new: Any) -> None:
    """Give ``owner`` an attribute that moto does not have.

    Raises
    ------
    MotoChangedError
        When moto has it by now: what the hook adds may be obsolete.
    HookConflictError
        When another hook added it.
    """
    earlier = _first_by.get((id(owner), name))
    if earlier is not None:
        raise HookConflictError(f"{_where(owner)}.{name}: {earlier} has added it already")
    if inspect.getattr_static(owner, name, _NOTHING) is not _NOTHING:
        raise MotoChangedError(
            f"{_where(owner)}.{name}: this moto already has it; check whether the hook is still needed"
        )
    _set(owner, name, new, _caller())


def wrap_in_holders(package: str, name: str, build: Callable[[Any], Any]) -> None:
    """Wrap ``name`` in every loaded module of ``package``, for helpers that moto imports by name.

    Raises
    ------
    MotoChangedError
        When no module of the package holds the name.
    """
    for module in _holders(package, name):
        wrap(module, name, build)


def replace_in_holders(package: str, name: str, new: Any) -> None:
    """Replace ``name`` in every loaded module of ``package``.

    Raises
    ------
    MotoChangedError, HookConflictError
        As :func:`wrap_in_holders` and :func:`replace`.
    """
    for module in _holders(package, name):
        replace(module, name, new)


def restore() -> None:
    """Take every change back, newest first."""
    _first_by.clear()
    while _changes:
        change = _changes.pop()
        if change.before is _NOTHING:
            delattr(change.owner, change.name)
        else:
            setattr(change.owner, change.name, change.before)


def _attribute(owner: Any, name: str) -> Any:
    found = inspect.getattr_static(owner, name, _NOTHING)
    if found is _NOTHING:
        raise MotoChangedError(
            f"{_where(owner)}.{name}: this moto has no such attribute; install the version of moto that"
            " localcloud's distribution pins"
        )
    return found


def _set(owner: Any, name: str, new: Any, by: str) -> None:
    _changes.append(_Change(owner, name, vars(owner).get(name, _NOTHING), by))
    _first_by.setdefault((id(owner), name), by)
    setattr(owner, name, new)


def _holders(package: str, name: str) -> list[ModuleType]:
    prefix = f"{package}."
    holders = [
        module
        for module_name, module in list(sys.modules.items())
        if (module_name.startswith(prefix) or module_name == package) and module is not None and name in vars(module)
    ]
    if not holders:
        raise MotoChangedError(f"{package}: no module of this moto has {name}")
    return holders


def _where(owner: Any) -> str:
    return getattr(owner, "__qualname__", getattr(owner, "__name__", repr(owner)))


def _caller() -> str:
    """The module of the hook that asked for a change."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")) if frame is not None else "a hook"
