"""moto forgets what its backends let go of.

moto keeps every model that it ever made, of all services, in a list for the page that shows them: objects that
were deleted, messages that were received, and a copy of every table for each transaction. It keeps what was sent
to each topic for whoever tests a publisher. Nobody reads either here, and a cloud that lives through a year can
not keep it all.
"""

from __future__ import annotations

from typing import Any

from moto.core.common_models import BaseModel
from moto.sns.models import Topic

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace


def install(_context: CloudContext) -> None:
    """Make models without keeping them, and publish messages without keeping them."""

    def plain(_original: Any) -> Any:
        def new(cls: type[BaseModel], *_arguments: Any, **_keywords: Any) -> BaseModel:
            return object.__new__(cls)

        return new

    def sent(original: Any) -> Any:
        def publish(self: Topic, *arguments: Any, **keywords: Any) -> Any:
            answer = original(self, *arguments, **keywords)
            self.sent_notifications.clear()
            return answer

        return publish

    replace(BaseModel, "__new__", plain)
    replace(Topic, "publish", sent)
