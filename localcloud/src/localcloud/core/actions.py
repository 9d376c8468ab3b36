"""moto learns once which actions a service has.

Replaces: a look through all members of a service's class at every request.
Why: it takes a tenth of a request, and a class keeps its members.
Superfluous: once moto remembers them.
"""

from __future__ import annotations

from functools import cache

from moto.core import responses

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Remember the actions of each class. What hooks add is there by the first request."""
    remember_actions()


def remember_actions() -> None:
    """The same, where there is moto and no local cloud around it."""
    wrap(responses, "method_names_from_class", cache)
