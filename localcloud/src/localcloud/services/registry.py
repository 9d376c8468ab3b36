"""Which services there are: what the entry points of group ``localcloud.services`` of all installed distributions name.

A new service is a new folder and a line in a distribution's metadata; nothing here knows any by name.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from localcloud.cloudformation.cdk_metadata import CdkMetadata
from localcloud.cloudformation.resource import Handler
from localcloud.iam.calls import Needs
from localcloud.services.service import Service

GROUP = "localcloud.services"


class ServiceRegistrationError(RuntimeError):
    """What the entry points name is not a service, or two claim the same; the message says which and what to do."""


@cache
def services() -> tuple[Service, ...]:
    """All services, by the name of their entry point.

    Raises
    ------
    ServiceRegistrationError
        When there are none, when one can't be loaded or is none, and when two answer to one signing name.
    """
    found: dict[str, Service] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            service = point.load()
        except (ImportError, AttributeError) as error:
            raise ServiceRegistrationError(
                f"entry point {point.name} = {point.value} of group {GROUP} can not be loaded: {error}; fix it in"
                " the pyproject.toml of its distribution, and install that again"
            ) from error
        if not isinstance(service, Service):
            raise ServiceRegistrationError(f"entry point {point.name} = {point.value}: {service!r} is not a Service")
        other = found.setdefault(service.signing_name, service)
        if other is not service:
            raise ServiceRegistrationError(
                f"{other.package} and {service.package} both answer requests signed for {service.signing_name}: "
                "uninstall one of their distributions"
            )
    if not found:
        raise ServiceRegistrationError(
            f"no installed distribution has entry points of group {GROUP}: install localcloud (in a clone, `pip"
            " install -e localcloud`) instead of putting its folder on the path"
        )
    return tuple(found.values())


@cache
def handlers() -> dict[str, Handler]:
    """Every resource type that can be deployed, with how."""
    made = [handler for service in services() for handler in service.handlers()]
    return {handler.type: handler for handler in (*made, CdkMetadata())}


def needs() -> dict[str, Needs]:
    """What requests need, by what they are signed for."""
    return {service.signing_name: service.needs() for service in services()}
