"""moto forgets what its backends let go of.

moto keeps every model that it ever made, of all services, in a list for the page that shows them: objects that
were deleted, messages that were received, and a copy of every table for each transaction. Nobody reads it here, and a
cloud that lives through a year can not keep it all. Superfluous once moto keeps them only when asked to.
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
