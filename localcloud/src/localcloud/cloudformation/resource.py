"""What a resource type must say for itself."""

from __future__ import annotations

import random
import string
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.cloudformation.exceptions import ResourceError, UnsupportedResourceError
from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import Problem, PropertyTable

Properties = Mapping[str, Any]

Wait = Callable[[Callable[[], bool]], bool]
"""Waits until something holds; false when it gives up before."""

_LOOK_AGAIN_SECONDS = 0.1
_GIVE_UP_SECONDS = 5.0


def wait_a_moment(holds: Callable[[], bool]) -> bool:
    """Wait a few seconds of the computer's clock: who deploys from a shell is told soon what goes on."""
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True


@dataclass(frozen=True)
class Place:
    """Where a resource is deployed.

    Attributes
    ----------
    stack, logical_id, type : str
        The resource, as its template names it.
    client : Callable[[str], Any]
        Gives the boto3 client of a service.
    begun : list[Made]
        What a creation of several calls appends once the resource exists, so that a later failure deletes it.
    wait : Wait
        Waits for what a service does beside its answer.
    """

    stack: str
    stack_id: str
    logical_id: str
    type: str
    account_id: str
    region: str
    client: Callable[[str], Any]
    begun: list[Made] = field(default_factory=list)
    wait: Wait = wait_a_moment

    @property
    def where(self) -> str:
        """The resource, for messages."""
        return f"stack {self.stack}, resource {self.logical_id} ({self.type})"

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def new_name(self, maximum: int = 64, *, lower: bool = False, suffix: str = "") -> str:
        """A physical name for a resource whose template gives none, as CloudFormation makes them."""
        unique = "".join(random.choices(string.ascii_uppercase + string.digits, k=12))
        room = maximum - len(unique) - len(suffix) - 1
        logical = self.logical_id[: room // 2] if len(self.stack) + len(self.logical_id) + 1 > room else self.logical_id
        name = f"{self.stack[: room - len(logical) - 1]}-{logical}-{unique}{suffix}"
        return name.lower() if lower else name

    def unsupported(self, property_name: str, sentence: str = "is not supported") -> UnsupportedResourceError:
        """An error about one property of this resource."""
        return UnsupportedResourceError(f"{self.where}: property {property_name} {sentence}")

    def exists_already(self, name: str) -> ResourceError:
        """An error about a name that something outside this stack has."""
        return ResourceError(f"{self.where}: {name} already exists; delete it or give this resource another name")

    def check(self, value: Properties, understood: set[str] | frozenset[str], path: str) -> None:
        """Refuse what is nested under ``path`` and not ``understood``."""
        unknown = sorted(set(value) - understood)
        if unknown:
            raise self.unsupported(f"{path}.{unknown[0]}")


class Handler(ABC):
    """How resources of one type are created, updated and deleted.

    Attributes
    ----------
    type : str
        The CloudFormation type.
    table : PropertyTable
        What becomes of each property; a template with any that is not in it is refused.
    attributes : frozenset[str]
        What ``Fn::GetAtt`` can ask of a resource.
    required : frozenset[str]
        Those a template must give.
    create_only : frozenset[str]
        Those that can not change on a living resource: a change replaces it.
    name_property : str | None
        The property that names the physical resource: while a template gives it, a replacement must change it.
    """

    type: ClassVar[str]
    table: ClassVar[PropertyTable]
    attributes: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[frozenset[str]] = frozenset()
    create_only: ClassVar[frozenset[str]] = frozenset()
    name_property: ClassVar[str | None] = None

    @property
    def properties(self) -> frozenset[str]:
        """The names of the properties that it takes, without what is nested in them."""
        return self.table.names

    def problems(self, properties: Properties) -> Iterator[Problem]:
        """What keeps a resource with these properties from being made here; parts of them may not be known yet."""
        yield from self.table.problems(properties)
        for name in sorted(self.required - set(properties)):
            yield Problem(name, "is missing")
        yield from self.value_problems(properties)

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Values that are refused, of properties that are not; what is not known yet is passed over."""
        yield from ()

    def validate(self, where: str, properties: Properties) -> None:
        """Refuse properties that this type does not understand, or lacks.

        Raises
        ------
        UnsupportedResourceError
            Naming stack, logical id, type and property.
        """
        for problem in self.problems(properties):
            raise UnsupportedResourceError(f"{where}: {problem}")

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """Whether a change of properties needs a new physical resource."""
        return any(old.get(name) != new.get(name) for name in self.create_only)

    @abstractmethod
    def create(self, place: Place, properties: Properties) -> Made:
        """Make the resource."""

    @abstractmethod
    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change a living resource from ``old`` to ``new`` properties, none of them `create_only`."""

    @abstractmethod
    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the resource; one that is gone already is fine."""


def known(properties: Any, *path: str) -> Any:
    """The value at a path of mappings; None where there is none, or where it is not known yet."""
    for name in path:
        properties = properties.get(name) if isinstance(properties, Mapping) else None
    return properties if is_known(properties) else None


def names(text: str) -> frozenset[str]:
    """A set of property names from a text that lists them."""
    return frozenset(text.split())


def changed(old: Properties, new: Properties, *properties: str) -> bool:
    """Whether any of ``properties`` differs."""
    return any(old.get(name) != new.get(name) for name in properties)


def subset(properties: Properties, *wanted: str) -> dict[str, Any]:
    """Those of ``properties`` that are ``wanted``."""
    return {name: properties[name] for name in wanted if name in properties}


def without(properties: Properties, *unwanted: str) -> dict[str, Any]:
    """``properties`` but for the ``unwanted`` ones."""
    return {name: value for name, value in properties.items() if name not in unwanted}


def tag_map(tags: Any) -> dict[str, str]:
    """Tags as a mapping, from CloudFormation's list of keys and values or from a mapping."""
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {tag["Key"]: str(tag["Value"]) for tag in tags or []}


def ignoring(call: Callable[[], Any], *codes: str) -> None:
    """Make a call for which some error codes mean that there is nothing to do."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
