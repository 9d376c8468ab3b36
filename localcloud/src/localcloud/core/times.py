"""moto's records get their times from the local clock.

Creation dates, ages and, in CloudWatch Logs, which events are too old or too new to be taken.
"""

from __future__ import annotations

import importlib
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow as moto_utcnow

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace

_MODULES = ("events", "iam", "logs", "s3", "sagemaker", "scheduler", "ssm")


def install(context: CloudContext) -> None:
    """Replace moto's idea of now where it matters to somebody who looks."""
    is_naive = moto_utcnow().tzinfo is None

    def utcnow() -> datetime:
        now = context.clock.now()
        return now.replace(tzinfo=None) if is_naive else now

    def with_local_default(original: Any) -> Any:
        return lambda moment=None: original(moment or utcnow())

    for name in _MODULES:
        module = importlib.import_module(f"moto.{name}.models")
        if hasattr(module, "utcnow"):
            replace(module, "utcnow", lambda _original: utcnow)
        for function in ("unix_time", "unix_time_millis"):
            if hasattr(module, function):
                replace(module, function, with_local_default)
