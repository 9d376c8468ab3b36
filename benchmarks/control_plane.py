"""A day of monitors of 1,000 models against one registry: what is asked of the account, and how long decisions take.

    python benchmarks/control_plane.py [--models 1000] [--minutes 0 15 60] [--days 60]

First one model lives for 60 days by the real code: the monitor's handler over a lake in DuckDB, the publisher of
calibrations, the registry's writer, all on moto's DynamoDB. Each call to the table is weighed as DynamoDB bills it (by
the bytes of what it reads and writes, twice in transactions, once more for each index that an item stands in), with the
partitions of its keys. So there is a list of calls for a model of every age.

Then 1,000 models, of ages drawn from those, each with such a list, are due at the same minute, spread over none or
more minutes. The account is a queue for each limit: Athena's active queries (one more is refused, and its invocation is
tried again after one and two minutes, then it is in the dead-letter queue), Lambda's concurrency and its API, and the
table's partitions, each with 3,000 reads and 1,000 writes a second and five minutes of what was not used. An index has
partitions of its own. A throttled call is tried again as boto3 does it.

How long a query and a handler take is assumed and printed. Everything else is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import heapq
import io
import itertools
import json
import math
import random
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from moto import mock_aws  # noqa: E402

from benchmarks.refit import markdown  # noqa: E402
from everloop.documents.calibration import LearnedCalibration  # noqa: E402
from everloop.names import CALIBRATION_LEARNED  # noqa: E402
from everloop.registry.store import RegistryStore  # noqa: E402
from everloop.rollout.calibrator import Calibrator  # noqa: E402
from everloop.typed_json import read_as  # noqa: E402
from tests.fakes.registry_function import FakeRegistryFunction, remote_registry  # noqa: E402
from tests.fakes.registry_table import TABLE, dynamodb  # noqa: E402
from tests.functions.monitor.test_handler import World  # noqa: E402

QUERY_SECONDS = 3.0
"""Of one query of Athena's, queued or not: assumed."""

HANDLER_SECONDS = 2.0
"""Of the monitor's own work before and after its queries: assumed."""

CALL_SECONDS = 0.005
"""Of one call to the table: assumed."""

MODEL = "late_train"
"""The one that lives by the real code."""

READS, WRITES, BURST_SECONDS = 3_000.0, 1_000.0, 300.0
"""Of one partition, a second; what was not used is kept for so long."""

PARTITIONS = 4
"""Of a new table on demand: 12,000 reads and 4,000 writes a second."""

ASYNCHRONOUS_RETRIES = (60.0, 120.0)
TABLE_RETRIES, CONTROL_RETRIES = 10, 4
"""boto3's further attempts at a throttled call, of DynamoDB's and of others'."""

Then = Callable[[], Any]


@dataclass(frozen=True)
class Call:
    """One call to the table: units by (table or index, partition key)."""

    reads: tuple[tuple[str, str, float], ...]
    writes: tuple[tuple[str, str, float], ...]


@dataclass
class Metered:
    """Passes calls on to DynamoDB and weighs them."""

    client: Any
    calls: list[Call] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def get_item(self, **arguments: Any) -> Any:
        """Read one item."""
        answer = self.client.get_item(**arguments)
        size = _size(answer.get("Item", {}))
        self._read(arguments["Key"]["pk"]["S"], size)
        return answer

    def query(self, **arguments: Any) -> Any:
        """Read a page."""
        answer = self.client.query(**arguments)
        partition = next(v["S"] for k, v in arguments["ExpressionAttributeValues"].items() if k == ":partition")
        self._read(partition, sum(_size(item) for item in answer["Items"]))
        return answer

    def put_item(self, **arguments: Any) -> Any:
        """Write one item."""
        answer = self.client.put_item(**arguments)
        self.calls.append(Call((), tuple(_written(arguments["Item"], 1))))
        return answer

    def transact_write_items(self, **arguments: Any) -> Any:
        """Write all or nothing."""
        answer = self.client.transact_write_items(**arguments)
        writes: list[tuple[str, str, float]] = []
        for action in arguments["TransactItems"]:
            (what,) = action.values()
            if "Item" in what:
                writes += _written(what["Item"], 2)
            else:  # an update, a deletion or a check: the item's size is at least its key's
                writes.append(("table", what["Key"]["pk"]["S"], 2.0))
        self.calls.append(Call((), tuple(writes)))
        return answer

    def _read(self, partition: str, size: int) -> None:
        # Each read is consistent: a unit for 4 KB.
        self.calls.append(Call((("table", partition, max(1.0, math.ceil(size / 4096))),), ()))


def _size(item: dict[str, Any]) -> int:
    """The bytes of an item closely as DynamoDB counts them: names, and values as text."""
    values = ((name, next(iter(value.values()))) for name, value in item.items())
    return sum(len(name) + len(value if isinstance(value, str) else json.dumps(value)) for name, value in values)


def _written(item: dict[str, Any], times: int) -> Iterator[tuple[str, str, float]]:
    units = times * max(1.0, math.ceil(_size(item) / 1024))
    yield "table", item["pk"]["S"], units
    for index in ("state", "snapshot"):
        if f"{index}_pk" in item:
            yield f"by_{index}", item[f"{index}_pk"]["S"], units


@dataclass(frozen=True)
class Day:
    """What one day's run of the monitor, and the calibration that came of it, ask for."""

    queries: int
    monitor: tuple[Call, ...]
    publisher: tuple[Call, ...]
    control_calls: int
    record_bytes: int


def days_of_one_model(days: int) -> list[Day]:
    """A model lives for that many days by the real code; what each day asked for."""
    with mock_aws():
        client = Metered(dynamodb())
        function = FakeRegistryFunction(client, MODEL)
        world = World(RegistryStore(client, TABLE, MODEL, pause=lambda _: None))
        # Served as a rollout leaves it: by a published version, with the code that its record names.
        world.function.deploy_code("fc1")
        world.crown("train-1")
        world.function.alias["FunctionVersion"] = "10"
        publisher = Calibrator(remote_registry(client, MODEL, function=function), world.using.target)
        found = []
        for day in range(days):
            world.live(day)
            client.calls, world.queries, sent = [], 0, len(world.bus.details(CALIBRATION_LEARNED))
            world.watch(day)
            monitor, queries = tuple(client.calls), world.queries
            client.calls, called = [], len(world.function.calls)
            for detail in world.bus.details(CALIBRATION_LEARNED)[sent:]:
                learned = read_as(LearnedCalibration, detail, "event", "the monitor sends it")
                published = publisher.calibrate(learned, at=world.scheduled(day))
                assert published["published"], published["reason"]
            size = len(json.dumps(world.document(day)))
            found.append(Day(queries, monitor, tuple(client.calls), len(world.function.calls) - called, size))
        return found


class Partitions:
    """The throughput of a table or an index: keys are spread over its partitions by their hash."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._tokens: dict[tuple[int, str], tuple[float, float]] = {}
        self._written: Counter[tuple[int, int]] = Counter()

    def take(self, key: str, kind: str, units: float, now: float) -> bool:
        """Whether the partition of ``key`` has so many units now."""
        rate = READS if kind == "reads" else WRITES
        partition = int(hashlib.sha256(key.encode()).hexdigest(), 16) % self.count
        tokens, since = self._tokens.get((partition, kind), (rate * BURST_SECONDS, 0.0))
        tokens = min(rate * BURST_SECONDS, tokens + (now - since) * rate)
        if tokens < units:
            self._tokens[partition, kind] = tokens, now
            return False
        self._tokens[partition, kind] = tokens - units, now
        if kind == "writes":
            self._written[partition, int(now)] += int(units)
        return True

    def busiest(self) -> int:
        """The most units that were written to one partition in one second."""
        return max(self._written.values(), default=0)


@dataclass
class Limits:
    """What models share, but for the table.

    Attributes
    ----------
    athena : int
        Active queries, the queued ones too.
    concurrent : int
        Functions that run at once.
    control : float
        Calls of Lambda's API a second, beside invocations.
    """

    athena: int = 200
    concurrent: int = 1_000
    control: float = 15.0


@dataclass
class Seen:
    """What came of a day."""

    decided: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)
    most_running: int = 0
    most_active: int = 0
    refused_queries: int = 0
    throttled_control: int = 0
    throttled_table: int = 0
    lost_windows: int = 0
    lost_calibrations: int = 0


class Account:
    """A day on which the monitors of many models are due at once, or spread over some minutes."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits, self.seen, self.now = limits, Seen(), 0.0
        self.tables = {name: Partitions(PARTITIONS) for name in ("table", "by_state", "by_snapshot")}
        self._rng = random.Random(seed)
        self._events: list[tuple[float, int, Then]] = []
        self._numbers = itertools.count()
        self._waiting: deque[Then] = deque()
        self._active = self._running = 0
        self._control, self._control_since = limits.control, 0.0

    def run(self, days: list[Day], models: int, minutes: float) -> Seen:
        """Everything from the first monitor that is due to the last calibration that serves."""
        for model in range(models):
            due = self._rng.random() * minutes * 60
            self._later(due, partial(self._invoke, partial(self._monitor, model, self._rng.choice(days), due, 0)))
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            what()
        return self.seen

    def _later(self, seconds: float, what: Then) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), what))

    def _invoke(self, what: Then) -> None:
        """Run a function as soon as the account has room for one more."""
        if self._running >= self.limits.concurrent:
            self._waiting.append(what)
            return
        self._running += 1
        self.seen.most_running = max(self.seen.most_running, self._running)
        what()

    def _end(self) -> None:
        self._running -= 1
        if self._waiting:
            self._invoke(self._waiting.popleft())

    def _again(self, attempt: int, what: Callable[[int], None]) -> bool:
        """End an invocation that failed; whether Lambda tries its event again."""
        self._end()
        if attempt == len(ASYNCHRONOUS_RETRIES):
            return False
        self._later(ASYNCHRONOUS_RETRIES[attempt], partial(self._invoke, partial(what, attempt + 1)))
        return True

    def _monitor(self, model: int, day: Day, due: float, attempt: int) -> None:
        self._later(HANDLER_SECONDS / 2 * self._about_one(), partial(self._query, model, day, due, attempt, 0))

    def _query(self, model: int, day: Day, due: float, attempt: int, number: int) -> None:
        if number == day.queries:
            decided = partial(self._decided, model, day, due)
            self._later(HANDLER_SECONDS / 2, partial(self._calls, model, day.monitor, 0, 0, decided))
        elif self._active >= self.limits.athena:
            self.seen.refused_queries += 1
            if not self._again(attempt, partial(self._monitor, model, day, due)):
                self.seen.lost_windows += 1
        else:
            self._active += 1
            self.seen.most_active = max(self.seen.most_active, self._active)
            answered = partial(self._answered, model, day, due, attempt, number)
            self._later(QUERY_SECONDS * self._about_one(), answered)

    def _answered(self, model: int, day: Day, due: float, attempt: int, number: int) -> None:
        self._active -= 1
        self._query(model, day, due, attempt, number + 1)

    def _decided(self, model: int, day: Day, due: float) -> None:
        self.seen.decided.append(self.now - due)
        self._end()
        if day.publisher:
            self._invoke(partial(self._publish, model, day, due, 0))

    def _publish(self, model: int, day: Day, due: float, attempt: int) -> None:
        self._control_calls(model, day, due, attempt, 0, 0)

    def _control_calls(self, model: int, day: Day, due: float, attempt: int, made: int, tries: int) -> None:
        """Calls of Lambda's API, one after the other; a throttled one is tried again as boto3 does it."""
        if made == day.control_calls:
            self._calls(model, day.publisher, 0, 0, partial(self._published, due))
        elif self._take_control():
            self._later(CALL_SECONDS, partial(self._control_calls, model, day, due, attempt, made + 1, 0))
        else:
            self.seen.throttled_control += 1
            if tries < CONTROL_RETRIES:
                pause = self._rng.random() * min(20.0, 2.0**tries)
                self._later(pause, partial(self._control_calls, model, day, due, attempt, made, tries + 1))
            elif not self._again(attempt, partial(self._publish, model, day, due)):
                self.seen.lost_calibrations += 1

    def _take_control(self) -> bool:
        rate = self.limits.control
        self._control = min(rate, self._control + (self.now - self._control_since) * rate)
        self._control_since = self.now
        if self._control < 1:
            return False
        self._control -= 1
        return True

    def _published(self, due: float) -> None:
        self.seen.published.append(self.now - due)
        self._end()

    def _calls(self, model: int, calls: tuple[Call, ...], position: int, tries: int, then: Then) -> None:
        """Calls to the table, one after the other."""
        if position == len(calls):
            then()
        elif self._fits(model, calls[position]):
            self._later(CALL_SECONDS, partial(self._calls, model, calls, position + 1, 0, then))
        else:
            self.seen.throttled_table += 1
            pause = self._rng.random() * min(20.0, 0.05 * 2**tries)
            if tries < TABLE_RETRIES:
                self._later(pause, partial(self._calls, model, calls, position, tries + 1, then))
            else:
                self.seen.lost_windows += 1
                self._end()

    def _fits(self, model: int, call: Call) -> bool:
        return all(
            self.tables[place].take(key.replace(MODEL, f"m{model}"), kind, units, self.now)
            for kind, uses in (("reads", call.reads), ("writes", call.writes))
            for place, key, units in uses
        )

    def _about_one(self) -> float:
        return self._rng.uniform(0.7, 1.3)


def _row(minutes: float, account: Account) -> list[str]:
    def spread(seconds: list[float]) -> str:
        if not seconds:
            return "none"
        return f"{statistics.median(seconds):.0f} / {np.percentile(seconds, 99):.0f} / {max(seconds):.0f}"

    seen = account.seen
    return [
        f"{minutes:g}",
        spread(seen.decided),
        spread(seen.published),
        str(seen.most_running),
        str(seen.most_active),
        f"{seen.refused_queries:,} / {seen.lost_windows:,}",
        f"{seen.throttled_control:,} / {seen.lost_calibrations:,}",
        f"{seen.throttled_table:,}",
        f"{account.tables['table'].busiest():,}",
    ]


HEADS = [
    "minutes of spread",
    "seconds to the decision: median / p99 / most",
    "to the calibration",
    "functions at once",
    "queries at once",
    "queries refused / windows lost",
    "Lambda API throttled / calibrations lost",
    "table calls throttled",
    "write units in the busiest second of a partition",
]


def _units(calls: tuple[Call, ...], kind: str) -> float:
    return float(sum(units for call in calls for _, _, units in getattr(call, kind)))


def _facts(days: list[Day]) -> str:
    """What one model asks for in a day, young and old."""
    ages = (days[0], days[-1])
    rows = [
        ["Athena's queries", *(f"{day.queries}" for day in ages)],
        ["read units of the monitor", *(f"{_units(day.monitor, 'reads'):,.0f}" for day in ages)],
        ["write units of the monitor", *(f"{_units(day.monitor, 'writes'):,.0f}" for day in ages)],
        ["read units of a calibration", *(f"{_units(day.publisher, 'reads'):,.0f}" for day in ages)],
        ["write units of a calibration", *(f"{_units(day.publisher, 'writes'):,.0f}" for day in ages)],
        ["calls of Lambda's API for it", *(f"{day.control_calls}" for day in ages)],
        ["bytes of a window's record", *(f"{day.record_bytes:,}" for day in ages)],
    ]
    return markdown(["one model, one day", "young", f"{len(days)} days old"], rows)


def _shared(days: list[Day]) -> str:
    """The partition keys that models have in common, of the table and its indexes."""
    calls = [call for day in days for call in (*day.monitor, *day.publisher)]
    keys = {f"{place}: {key}" for call in calls for place, key, _ in (*call.reads, *call.writes) if MODEL not in key}
    return ", ".join(sorted(keys)) or "none"


def main() -> None:
    """Print what one model asks for, and what a day of many comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--minutes", type=float, nargs="+", default=[0, 5, 15, 30, 60])
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--athena", type=int, default=Limits.athena)
    parser.add_argument("--concurrent", type=int, default=Limits.concurrent)
    parser.add_argument("--control", type=float, default=Limits.control)
    given = parser.parse_args()
    limits, begun = Limits(given.athena, given.concurrent, given.control), time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):  # the monitor's metrics
        days = days_of_one_model(given.days)
    print(_facts(days))
    print(f"\npartition keys that models share: {_shared(days)}\n")
    print(f"{given.models:,} models at once; {limits}\n")
    rows = []
    for minutes in given.minutes:
        account = Account(limits, seed=1)
        account.run(days, given.models, minutes)
        rows.append(_row(minutes, account))
    print(markdown(HEADS, rows))
    took = time.monotonic() - begun
    print(
        f"\nassumed: a query {QUERY_SECONDS:g} s, the monitor beside it {HANDLER_SECONDS:g} s,"
        f" a call {CALL_SECONDS:g} s"
    )
    print(f"the whole took {took:.0f} s")


if __name__ == "__main__":
    main()
