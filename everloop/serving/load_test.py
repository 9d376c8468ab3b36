"""What a load test found: how many requests were answered, how fast, and with which errors.

Requests are sent when they are due, whether or not earlier ones were answered, and each latency counts from when its
request was due: a server that stalls is charged for all who would have come meanwhile (G. Tene, "How NOT to measure
latency", 2013; https://github.com/giltene/wrk2 calls the opposite "coordinated omission").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from everloop.typed_json import JsonObject

TIMES_PEAK = 2
"""How many times the declared peak is tried."""


@dataclass(frozen=True)
class Asked:
    """One request: when it was due and when its answer was there, in seconds since the test began.

    ``status`` is the HTTP status; 0 where there was no answer.
    """

    due: float
    answered: float
    status: int

    @property
    def latency_ms(self) -> float:
        """From when it was due."""
        return (self.answered - self.due) * 1000


@dataclass(frozen=True)
class LoadFound:
    """The outcome of a load test.

    Attributes
    ----------
    rate : float
        Requests a second that were due.
    requests : int
        Requests that were sent.
    seconds : float
        From the first request's due time to the last answer.
    throughput : float
        Answers with status 200 a second.
    p50_ms, p95_ms, p99_ms : float or None
        Latencies of the answers with status 200; None where there was none.
    shed : int
        Requests that were refused with 429.
    errors : int
        Requests without an answer, or with a status of 400 or more other than 429.
    by_status : dict
        Requests by status; 0 for none.
    cold_starts : int or None
        Function processes that were started meanwhile; None where that can't be known.
    """

    rate: float
    requests: int
    seconds: float
    throughput: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    shed: int
    errors: int
    by_status: dict[str, int]
    cold_starts: int | None = None

    def to_json(self) -> JsonObject:
        """The outcome as JSON values."""
        return asdict(self)


def found_by(asked: Sequence[Asked], rate: float, cold_starts: int | None = None) -> LoadFound:
    """What the requests of a test say; of none, nothing was answered."""
    good = sorted(one.latency_ms for one in asked if one.status == 200)
    statuses = Counter(one.status for one in asked)
    seconds = max((one.answered for one in asked), default=0.0) - min((one.due for one in asked), default=0.0)
    return LoadFound(
        rate=rate,
        requests=len(asked),
        seconds=seconds,
        throughput=len(good) / seconds if seconds > 0 else 0.0,
        p50_ms=quantile(good, 0.5),
        p95_ms=quantile(good, 0.95),
        p99_ms=quantile(good, 0.99),
        shed=statuses[429],
        errors=sum(count for status, count in statuses.items() if status != 429 and not 200 <= status < 400),
        by_status={str(status): count for status, count in sorted(statuses.items())},
        cold_starts=cold_starts,
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of them do not exceed (nearest rank); None of no values."""
    return ordered[max(1, math.ceil(share * len(ordered))) - 1] if ordered else None


def unmet(found: LoadFound, p99_ms: float, error_rate: float) -> list[str]:
    """What of the declared limits the service did not keep, as sentences; what was shed counts as an error."""
    said = []
    refused = found.errors + found.shed
    if found.requests == 0:
        return ["no request was sent"]
    if refused / found.requests > error_rate:
        said.append(
            f"{refused} of {found.requests} requests were not answered ({refused / found.requests:.1%}); allowed are"
            f" {error_rate:.1%}"
        )
    if found.p99_ms is not None and found.p99_ms > p99_ms:
        said.append(f"the slowest 1% took longer than {found.p99_ms:,.0f} ms; allowed are {p99_ms:,.0f} ms")
    return said
