"""Every change to moto: the common ones, each service's, and the guard over all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import chain

from localcloud.core import actions, data_files, instances, instants, members, times, unused
from localcloud.core.context import CloudContext
from localcloud.core.patching import restore
from localcloud.iam import enforcement
from localcloud.services.registry import needs, services
from localcloud.services.service import Hook

log = logging.getLogger(__name__)


def service_hooks() -> list[Hook]:
    """The hooks of all services, in the order in which they are installed."""
    return list(chain.from_iterable(service.hook_modules() for service in services()))


def install(context: CloudContext) -> None:
    """Change moto for one local cloud; what was changed for another before is taken back."""
    data_files.keep()
    unused.leave_out()
    uninstall()
    actions.install(context)
    members.install(context)
    instances.install(context)
    instants.install(context)
    times.install(context, [service.backend for service in services() if service.follows_clock])
    for hook in service_hooks():
        hook.install(context)
    enforcement.install(context, needs())


def uninstall() -> None:
    """Let every hook close what it opened, and leave moto as it was shipped."""
    for hook in service_hooks():
        close = getattr(hook, "close", None)
        if close is not None:
            try:
                close()
            except Exception:  # the others must be closed all the same
                log.exception("%s did not close", hook)
    restore()


def memory_sources() -> dict[str, Callable[[], int]]:
    """What the services hold besides this process, by part: each tells how many MB now."""
    return {name: source for hook in service_hooks() for name, source in getattr(hook, "MEMORY_SOURCES", {}).items()}
