"""moto forgets what its backends let go of.

Replaces: the list of every model that moto ever made, of all services, kept for the page that shows them.
Why: deleted objects, received messages and a copy of every table for each transaction would stay for the year that a
    cloud lives through, and nobody reads them.
Obsolete: once moto keeps them only when it is asked to.
"""

from __future__ import annotations

from typing import Any

from moto.core.common_models import BaseModel

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace


def install(_context: CloudContext) -> None:
    """Make models without keeping them."""

    def new(cls: type[BaseModel], *_arguments: Any, **_keywords: Any) -> BaseModel:
        return object.__new__(cls)

    replace(BaseModel, "__new__", new)
