"""Whether work grows with its input as it should: ratios of what it costs, never seconds."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

TIMES = 8
"""How much larger the large input is."""

GENEROUS, EXACT = 3, 1.5
"""How much more than in proportion it may cost, measured and counted. The square would be ``TIMES`` more."""

TRIES = 3
"""How often the ratio is measured before it is believed to be too large."""

Cost = Callable[[Callable[[], Any]], float]


def processor_seconds(act: Callable[[], Any], tries: int = 3) -> float:
    """The fastest of a few tries, since other processes can only slow one down.

    Whatever else lives in the process is set apart: the collector would go through all of it for each large input, and
    so add a cost of its own that has nothing to do with ``act``. To collect it first would take longer than most acts.
    """
    costs = []
    gc.freeze()
    try:
        for _ in range(tries):
            began = time.process_time()
            act()
            costs.append(time.process_time() - began)
    finally:
        gc.unfreeze()
    return max(min(costs), 1e-4)


def once(act: Callable[[], Any]) -> float:
    """A single try."""
    return processor_seconds(act, tries=1)


def calls(act: Callable[[], Any]) -> float:
    """How many functions are called and generators gone on with: exact, but blind to what C code does by itself."""
    count = 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        act()
    finally:
        sys.setprofile(before)
    return float(count)


def assert_linear(
    make: Callable[[int], Any], act: Callable[[Any], Any], *, size: int, cost: Cost = processor_seconds
) -> None:
    """``act`` on an input of ``TIMES * size`` costs not much more than ``TIMES`` what it costs on one of ``size``.

    ``size`` has to be so large that what is fixed in the cost does not hide the growth. What grows too fast does so
    each time it is measured; a neighbour of the processor's cache does not.
    """
    small, large = make(size), make(size * TIMES)
    allowed = TIMES * (EXACT if cost is calls else GENEROUS)
    ratios: list[float] = []
    while not ratios or (min(ratios) >= allowed and len(ratios) < TRIES):
        # The large one once at first: what slows it down can only fail, and then it is tried as often as the small one.
        of_large = once if cost is processor_seconds and not ratios else cost
        ratios.append(of_large(lambda: act(large)) / cost(lambda: act(small)))
    assert min(ratios) < allowed, f"{TIMES} times the input costs {min(ratios):.0f} times as much"
