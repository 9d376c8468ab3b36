"""How many objects each store of a local cloud holds in this process, texts and numbers included."""

from __future__ import annotations

import gc
import types
from collections import Counter
from collections.abc import Iterable
from typing import Any

_NOT_HELD = (type, types.ModuleType, types.FrameType, types.CodeType)
_CLIENTS = ("boto3.", "botocore.", "urllib3.", "threading", "concurrent.")


def stores() -> Counter[str]:
    """Objects by store: by moto's backend, and by the hook of the local cloud that keeps them.

    An object that two stores reach counts for the first of them by name.
    """
    from moto.core.base_backend import BaseBackend

    from localcloud.core import patching

    gc.collect()
    roots: dict[str, list[Any]] = {}
    for found in gc.get_objects():
        if issubclass(type(found), BaseBackend):
            roots.setdefault(f"{type(found).__module__}.{type(found).__qualname__}", []).append(found)
    for change in patching._changes:
        roots.setdefault(change.by, []).append(vars(change.owner).get(change.name))
    seen = {id(root) for found in roots.values() for root in found} | {id(roots)}
    return Counter({name: reachable(roots[name], seen) for name in sorted(roots)})


def reachable(roots: Iterable[Any], seen: set[int]) -> int:
    """How many objects are held, however indirectly, beyond the roots and those seen; adds them to ``seen``."""
    waiting = [held for root in roots for held in _held_by(root)]
    count = 0
    while waiting:
        found = waiting.pop()
        if id(found) in seen or _is_elsewhere(found):
            continue
        seen.add(id(found))
        count += 1
        waiting.extend(_held_by(found))
    return count


def _is_elsewhere(found: Any) -> bool:
    kind = type(found)
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    return (
        isinstance(found, _NOT_HELD)
        or module.startswith(_CLIENTS)
        or kind.__qualname__ in ("CloudContext", "Clock", "Activity")
    )


def _held_by(found: Any) -> list[Any]:
    if isinstance(found, types.FunctionType):
        return [*(found.__closure__ or ()), *(found.__defaults__ or ())]
    # The collector passes over keys that are texts.
    keys = list(dict.keys(found)) if isinstance(found, dict) else []
    return [*keys, *gc.get_referents(found)]
