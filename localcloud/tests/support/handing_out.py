"""Workers are given neighbouring tests together: a hook of pytest-xdist.

By itself it hands out each test that has no group alone, to whichever worker is free. So every worker sets up what the
tests of one module share, and each test costs a message. And to see how much a worker has left, it looks at all that
the worker was ever given, after every test: 4 s of processor time for 10,000 tests.
"""

from __future__ import annotations

from functools import cached_property

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

MOST = 50
"""So many tests at once, at most."""

PARTS = 8
"""And not more than this part of what would be a worker's even share of the rest: near the end, one at a time."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling | None:
    """The scheduler of ``--dist loadgroup``; another one is chosen as ever."""
    return Neighbours(config, log) if config.getvalue("dist") == "loadgroup" else None


class Neighbours(LoadGroupScheduling):  # type: ignore[misc]  # it has no types
    """Hands out a group, or tests without one that follow each other."""

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where a test stands in what each worker has collected, which is the same for all."""
        return {nodeid: place for place, nodeid in enumerate(self.collection or ())}

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A group that is done is looked at no more."""
        assigned, nodeid = self.assigned_work[node], self.registered_collections[node][item_index]
        scope = self._split_scope(nodeid)
        assigned[scope][nodeid] = True
        if all(assigned[scope].values()):
            del assigned[scope]
        self._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give it what comes next."""
        count = min(MOST, len(self.workqueue) // (PARTS * len(self.nodes)))
        given = dict([self.workqueue.popitem(last=False)])
        while len(given) < count and all(map(_alone, given)) and self.workqueue and _alone(next(iter(self.workqueue))):
            given |= [self.workqueue.popitem(last=False)]
        self.assigned_work[node] |= given
        tests = [nodeid for unit in given.values() for nodeid, completed in unit.items() if not completed]
        node.send_runtest_some([self._places[nodeid] for nodeid in tests])


def _alone(scope: str) -> bool:
    """Whether it is a test without a group: those have the test's name."""
    return "::" in scope
