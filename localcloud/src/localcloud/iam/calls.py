"""A request, taken apart, and what it needs to be allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class UnclearRequestError(Exception):
    """A request that could mean one thing to who decides and another to who acts."""


@dataclass(frozen=True)
class Access:
    """One action on one resource.

    Attributes
    ----------
    resources : tuple of str
        Spellings of the one resource; the action is allowed when it is on any of them.
    context : mapping
        Condition keys of the service, in lower case.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request, taken apart."""

    action: str
    params: Mapping[str, Any]
    region: str
    account: str
    path: str
    method: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def named_arn(self, service: str, prefix: str, value: str) -> str:
        """``value`` when it is an ARN, else the ARN it names."""
        return value if value.startswith("arn:") else self.arn(service, prefix + value)
