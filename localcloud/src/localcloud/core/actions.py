"""moto learns once which actions a service has.

Replaces: a look through all members of a service's class at every request.
Why: it takes a tenth of a request, and a class keeps its members.
Obsolete: once moto remembers them.
"""

from __future__ import annotations

from functools import cache

from moto.core import responses
from moto.core.utils import camelcase_to_underscores, get_service_model

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Remember the actions of each class. What hooks add is there by the first request."""
    remember_actions()


def remember_actions() -> None:
    """The same, where there is moto and no local cloud around it."""
    wrap(responses, "method_names_from_class", cache)


@cache
def methods_of(service: str) -> dict[str, str]:
    """Each action of a service, with what moto calls the method that answers it."""
    return {name: camelcase_to_underscores(name) for name in get_service_model(service).operation_names}
