"""Workers are given groups whole, tests of no group with their neighbours, and near the end one at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from support.handing_out import MOST, pytest_xdist_make_scheduler

WORKERS = 3


class Worker:
    """What a scheduler asks of a worker; it keeps what it is given."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.given: list[list[int]] = []
        self.shutting_down = False

    def send_runtest_some(self, places: list[int]) -> None:
        self.given.append(places)

    def shutdown(self) -> None:
        self.shutting_down = True


class Run:
    """Workers that collected the same tests, and run them in turns."""

    def __init__(self, collected: list[str]) -> None:
        options = {"dist": "loadgroup", "tx": [f"{WORKERS}*popen"]}
        config: Any = SimpleNamespace(getvalue=options.get, option=SimpleNamespace(loadscopereorder=False))
        scheduler = pytest_xdist_make_scheduler(config, Producer("test"))
        assert scheduler is not None
        self.scheduler: Any = scheduler
        self.collected = collected
        self.workers = [self.joined(f"gw{number}") for number in range(WORKERS)]
        self.scheduler.schedule()

    def joined(self, name: str) -> Worker:
        worker = Worker(name)
        self.scheduler.add_node(worker)
        self.scheduler.add_node_collection(worker, self.collected)
        return worker

    def to_the_end(self) -> list[Worker]:
        """All workers, after each has run what it was given, one test in turn; two are left to it until its end."""
        ran = dict.fromkeys(self.workers, 0)
        while any(sum(map(len, worker.given)) > ran[worker] for worker in self.workers):
            for worker in self.workers:
                waiting = [place for places in worker.given for place in places][ran[worker] :]
                if waiting and (len(waiting) > 1 or worker.shutting_down):
                    self.scheduler.mark_test_complete(worker, waiting[0])
                    ran[worker] += 1
        return self.workers


LONG = [f"tests/test_long.py::test_{number}@long" for number in range(40)]
SINGLE = [f"tests/test_single.py::test_{number}" for number in range(2000)]


def test_every_test_is_run_once_a_group_by_one_worker() -> None:
    run = Run([*LONG, *SINGLE[:700], *(f"{name}@late" for name in LONG), *SINGLE[700:]])
    workers = run.to_the_end()
    assert sorted(place for worker in workers for places in worker.given for place in places) == list(range(2080))
    batches = [places for worker in workers for places in worker.given]
    assert list(range(40)) in batches
    assert list(range(740, 780)) in batches
    assert run.scheduler.tests_finished
    assert not run.scheduler.has_pending
    assert all(worker.shutting_down for worker in workers)


def test_neighbours_are_given_together_and_the_last_ones_alone() -> None:
    workers = Run([*LONG, *SINGLE]).to_the_end()
    batches = sorted(places for worker in workers for places in worker.given)
    assert [places for places in batches if places != list(range(places[0], places[-1] + 1))] == []
    sizes = [len(places) for places in batches[1:]]
    assert sizes[0] == MOST
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-20:] == [1] * 20
    assert len(sizes) < len(SINGLE) / 8


def test_what_a_worker_that_died_had_left_is_run_by_the_others() -> None:
    run = Run(SINGLE)
    dead = run.workers.pop()
    for place in dead.given[0][:7]:
        run.scheduler.mark_test_complete(dead, place)
    assert run.scheduler.remove_node(dead) == SINGLE[dead.given[0][7]]
    run.workers.append(run.joined("gw9"))
    run.scheduler.schedule()
    ran = [place for worker in run.to_the_end() for places in worker.given for place in places]
    assert sorted([*ran, *dead.given[0][:7]]) == list(range(len(SINGLE)))


@pytest.mark.parametrize("dist", ["no", "load", "worksteal"])
def test_another_way_of_distribution_is_as_ever(dist: str) -> None:
    config: Any = SimpleNamespace(getvalue={"dist": dist}.get)
    assert pytest_xdist_make_scheduler(config, Producer("test")) is None


def test_this_run_has_it(request: pytest.FixtureRequest) -> None:
    hook = request.config.pluginmanager.hook
    made = [one.function for one in hook.pytest_xdist_make_scheduler.get_hookimpls() if one.function is not None]
    assert pytest_xdist_make_scheduler in made
