"""How CloudFormation spells what the API of REST APIs spells in another way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import is_known
from localcloud.cloudformation.properties import Problem
from localcloud.cloudformation.resource import Properties, tag_map
from localcloud.services.apigateway.rest_api import executed


def lowered(properties: Mapping[str, Any], *nested: str) -> dict[str, Any]:
    """Properties by the names that the API has for them."""
    return {
        name[0].lower() + name[1:]: lowered(value) if name in nested and isinstance(value, Mapping) else value
        for name, value in properties.items()
        if is_known(value)
    }


def problems(
    found: Iterable[executed.Problem], below: str = "", renamed: Mapping[str, str] | None = None
) -> Iterator[Problem]:
    """Problems of the API's parameters as those of properties below a path, some of which have other names."""
    for name, sentence in found:
        yield Problem(below + (renamed or {}).get(name, name[0].upper() + name[1:]), sentence)


def write_tags(client: Any, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags of an API or a stage from those of ``old`` to those of ``new``."""
    before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
    gone = sorted(set(before) - set(after))
    if gone:
        client.untag_resource(resourceArn=arn, tagKeys=gone)
    if after and before != after:
        client.tag_resource(resourceArn=arn, tags=after)
