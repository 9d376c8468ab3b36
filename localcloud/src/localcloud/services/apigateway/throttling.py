"""How many requests a stage lets through: a token bucket, as API Gateway describes its own.

The bucket holds ``burst`` tokens and gets ``rate`` of them a second; a request takes one, and is answered with 429
where there is none. A route with settings of its own has a bucket of its own. The default settings of a stage are one
bucket here for its other routes together. AWS's page on HTTP APIs does not say whether they are one or one for each
route, and its page on REST APIs speaks of "default per-method limits": what holds here holds with either. Time is real:
callers are as fast as this machine, wherever the local clock stands.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limit:
    """At most ``rate`` requests a second, and ``burst`` at once."""

    rate: float
    burst: int


@dataclass(frozen=True)
class Limits:
    """Of a stage: for those routes that have settings of their own, by route key, and for all others together."""

    default: Limit | None = None
    by_route: Mapping[str, Limit] = field(default_factory=dict)


class Buckets:
    """The buckets of an API's stages."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str, Limit], tuple[float, float]] = {}

    def take(self, stage: str, limits: Limits, route_key: str) -> bool:
        """Whether a request may pass. A bucket whose limit was changed begins full."""
        own = limits.by_route.get(route_key)
        limit, name = (limits.default, "") if own is None else (own, route_key)
        if limit is None:
            return True
        bucket = (stage, name, limit)
        with self._lock:
            now = self._timer()
            tokens, since = self._tokens.get(bucket, (float(limit.burst), now))
            tokens = min(float(limit.burst), tokens + (now - since) * limit.rate)
            passes = tokens >= 1
            self._tokens[bucket] = (tokens - passes, now)
            return passes
