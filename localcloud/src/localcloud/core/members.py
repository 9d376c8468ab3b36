"""Under which names a member of an answer may be held is worked out once.

Replaces: the names that each member may have, by five rules and in two spellings, at every look for one.
Why: it is most of what an answer of many records costs, such as the events of an execution. A model's member always has
    the same ones, where what holds it is a dictionary.
Obsolete: once moto remembers them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from moto.core.model import Shape
from moto.core.serialize import (
    DEFAULT_ALIAS_PROVIDERS,
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
)

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Remember them for every answer."""
    remember_names()


def remember_names() -> None:
    """The same, where there is moto and no local cloud around it."""

    def remembering(original: Any) -> Any:
        def get_value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
            picker = self._value_picker
            if (
                type(value) is not dict
                or type(picker) is not XFormedAttributePicker
                or picker.alias_providers is not DEFAULT_ALIAS_PROVIDERS
                or picker.response_transformers
            ):
                return original(self, value, key, shape)
            names = _names(shape, key)
            if names is None:
                return original(self, value, key, shape)
            return next((value[name] for name in names if name in value), None)

        return get_value

    wrap(ResponseSerializer, "get_value", remembering)


@cache
def _names(shape: Shape, key: str) -> tuple[str, ...] | None:
    """In the order in which they are looked for; None where one is a path of names."""
    context = AttributePickerContext(
        obj={}, key=key, shape=shape, operation_model=None, service_model=None, key_path=""
    )
    names = tuple(dict.fromkeys(XFormedAttributePicker().get_possible_keys(context)))
    return None if any("." in name for name in names) else names
