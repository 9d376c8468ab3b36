"""Topics forget what was published.

moto keeps every message that was sent to a topic, for whoever tests a publisher. Nobody reads it here, and a cloud that
lives through a year can not keep it all. Superfluous once moto keeps them only when asked to.
"""

from __future__ import annotations

from typing import Any

from moto.sns.models import Topic

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Publish messages without keeping them."""

    def forgetting(original: Any) -> Any:
        def publish(self: Topic, *arguments: Any, **keywords: Any) -> Any:
            answer = original(self, *arguments, **keywords)
            self.sent_notifications.clear()
            return answer

        return publish

    wrap(Topic, "publish", forgetting)
