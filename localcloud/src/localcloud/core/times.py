"""moto's records get their times from the local clock.

Creation dates, ages and, in CloudWatch Logs, which events are too old or too new to be taken.

Replaces: the computer's clock in the backends of services that follow the local one.
Why: a clock that is moved knows nothing of the computer's.
Obsolete: once moto takes its time from one place that can be set.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow as moto_utcnow

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap


def install(context: CloudContext, backends: Iterable[str]) -> None:
    """Replace the idea of now in these backends of moto."""
    is_naive = moto_utcnow().tzinfo is None

    def utcnow() -> datetime:
        now = context.clock.now()
        return now.replace(tzinfo=None) if is_naive else now

    def with_local_default(original: Any) -> Any:
        return lambda moment=None: original(moment or utcnow())

    for name in backends:
        module = importlib.import_module(f"moto.{name}.models")
        if hasattr(module, "utcnow"):
            replace(module, "utcnow", utcnow)
        for function in ("unix_time", "unix_time_millis"):
            if hasattr(module, function):
                wrap(module, function, with_local_default)
