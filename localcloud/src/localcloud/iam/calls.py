"""A request, taken apart, and what it needs to be allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


def one(service: str, call: Call, *resources: str, action: str | None = None, **context: str) -> list[Access]:
    """The one access of a request: its action, on a resource that may be spelled in several ways.

    Parameters
    ----------
    action : str, optional
        The IAM action where it is not called as the API's.
    **context : str
        Condition keys of the service; ``__`` stands for the colon.
    """
    keys = {key.replace("__", ":"): (value,) for key, value in context.items()}
    return [Access(f"{service}:{action or call.action}", resources or ("*",), keys)]


def only(call: Call, *names: str) -> Any:
    """The one of these parameters that is there: AWS takes them as alternatives, and who acts may take another one.

    Raises
    ------
    UnclearRequestError
        When more than one of them is there.
    """
    given = [name for name in names if call.params.get(name)]
    if len(given) > 1:
        raise UnclearRequestError(f"{call.action} accepts only one of {' and '.join(given)}")
    return call.params[given[0]] if given else None


@dataclass(frozen=True)
class Needs:
    """How one service's requests are read.

    Attributes
    ----------
    prefix : str
        What its IAM actions begin with.
    accesses : callable or None
        The accesses of a request; None, from it or instead of it, means that the action is decided against ``*``.
    passed_roles : callable or None
        Roles that a request hands to a service: the ARN of each, and the principal that will assume it.
    """

    prefix: str
    accesses: Callable[[Call], Iterable[Access] | None] | None = None
    passed_roles: Callable[[Call], Iterable[tuple[str, str]]] | None = None
