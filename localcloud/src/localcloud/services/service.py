"""What the local cloud must know of one AWS service.

A service is a folder: its **hook** teaches moto what it only records, its **resources** say how CloudFormation makes
what it has, its **accesses** say which IAM actions a request needs. Modules are named here and imported when they are
needed: who deploys an assembly needs no moto, and who runs the cloud needs no template.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localcloud.cloudformation.resource import Handler
from localcloud.core.context import CloudContext
from localcloud.iam.calls import Needs


class Hook(Protocol):
    """A module that changes moto. It may also have ``close()`` and ``MEMORY_SOURCES``."""

    def install(self, context: CloudContext) -> None:
        """Change moto for one local cloud."""


@dataclass(frozen=True)
class Service:
    """One AWS service.

    Attributes
    ----------
    package : str
        The folder, as a package; the modules below are named from there.
    signing_name : str
        What requests to it are signed for.
    backend : str
        What moto calls it.
    iam_prefix : str
        What its actions begin with in policies; the signing name unless given.
    hooks : tuple of str
        Modules with ``install(context)``, in the order in which they are installed.
    follows_clock : bool
        Whether moto's own records of it are dated by the local clock.
    resources : tuple of str
        Modules with ``HANDLERS``, one for each CloudFormation type.
    settings : str or None
        The table of the settings file that it reads.
    accesses : str or None
        The module with ``accesses(call)`` and, where requests hand roles on, ``passed_roles(call)``. Without one every
        action is decided against ``*``.
    has_one_url : bool
        Whether moto answers all of its requests at one URL, so that they need no routing.
    metrics : frozenset of str
        The metrics that it puts: namespace, a space and name.
    refused : mapping
        Requests that moto would record and nothing would act on, by their action (of S3, method and subresource:
        ``PUT ?website``), with what to do instead. An action that moto does not have need not be here.
    executes : callable
        Whether a request to this path is executed: some signing names stand for several APIs.
    """

    package: str
    signing_name: str
    backend: str
    iam_prefix: str = ""
    hooks: tuple[str, ...] = ()
    follows_clock: bool = False
    resources: tuple[str, ...] = ("resource",)
    settings: str | None = None
    accesses: str | None = "accesses"
    has_one_url: bool = True
    metrics: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    executes: Callable[[str], bool] = lambda path: True

    def hook_modules(self) -> list[Hook]:
        """Its hooks, imported."""
        return [self._module(name) for name in self.hooks]

    def handlers(self) -> Iterator[Handler]:
        """Its CloudFormation types, imported."""
        for name in self.resources:
            yield from self._module(name).HANDLERS

    def needs(self) -> Needs:
        """What its requests need, imported."""
        module = self._module(self.accesses) if self.accesses else None
        prefix = self.iam_prefix or self.signing_name
        return Needs(prefix, getattr(module, "accesses", None), getattr(module, "passed_roles", None))

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")


def refusals(by_remedy: Mapping[str, str]) -> dict[str, str]:
    """:attr:`Service.refused`, from texts that list actions, with what to do instead of each of them."""
    return {action: remedy for actions, remedy in by_remedy.items() for action in actions.split()}


def metrics_of(namespace: str, names: str) -> frozenset[str]:
    """Metrics of a namespace, from a text that lists their names."""
    return frozenset(f"{namespace} {name}" for name in names.split())
