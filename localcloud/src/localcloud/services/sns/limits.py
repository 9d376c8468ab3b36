"""What SNS refuses for its size: messages above 256 KB.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from typing import Any

from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

LARGEST_NOTIFICATION_BYTES = 262_144
"""SNS kept its limit when SQS, EventBridge and asynchronous invocations went to a megabyte."""


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    wrap(SNSBackend, "publish", _limited_notification)


def _limited_notification(original: Any) -> Any:
    def publish(self: SNSBackend, message: str, *rest: Any, **more: Any) -> Any:
        if len(message.encode()) > LARGEST_NOTIFICATION_BYTES:
            raise InvalidParameterValue("Invalid parameter: Message too long")
        return original(self, message, *rest, **more)

    return publish
