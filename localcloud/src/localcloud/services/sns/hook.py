"""Topics forget what was published.

Replaces: every message that was sent to a topic, kept for whoever tests a publisher.
Why: nobody reads it here, and a cloud that lives through a year can not keep it all.
Superfluous: once moto keeps them only when it is asked to.
"""

from __future__ import annotations

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import Topic, sns_backends

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

CERTIFICATES_KEPT = 100


def install(_context: CloudContext) -> None:
    """Publish messages without keeping them."""

    def forgetting(original: Any) -> Any:
        def publish(self: Topic, *arguments: Any, **keywords: Any) -> Any:
            answer = original(self, *arguments, **keywords)
            self.sent_notifications.clear()
            certificates = sns_backends[DEFAULT_ACCOUNT_ID][self.sns_backend.region_name]._message_public_keys
            for name in list(certificates)[:-CERTIFICATES_KEPT]:
                certificates.pop(name, None)
            return answer

        return publish

    wrap(Topic, "publish", forgetting)
