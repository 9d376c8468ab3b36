from __future__ import annotations

from collections.abc import Sequence

import pytest

from everloop.registry.own_labels import BATCH, OwnLabels, own_labels, own_labels_of, windows_since
from everloop.registry.records import Window
from everloop.registry.store import RegistryStore
from tests.helpers.registry_scenes import at, open_run, register, text_at
from tests.helpers.window_records import labelled, registered

DAY = 24 * 60


def window(day: float, version: int, rows: int, loss: float | None) -> Window:
    end = at(day * DAY)
    return registered("flights", end, labelled(rows, loss, version=version, end=end))


def test_a_version_whose_answers_have_no_labels_yet_awaits_them() -> None:
    windows = [window(1, 1, 50, 0.4), window(2, 2, 0, None)]
    found = own_labels(windows, 2)
    assert found == OwnLabels(2, "awaiting")
    assert found.sentence == "awaiting its own labels"


def test_a_version_is_judged_by_the_windows_it_served_in_alone() -> None:
    # GIVEN windows of two champions, newest first as they are read
    windows = [window(4, 2, 30, 0.5), window(3, 2, 10, 0.9), window(2, 2, 0, None), window(1, 1, 50, 0.4)]
    # THEN every labelled row counts once
    found = own_labels(windows, 2)
    assert (found.state, found.since, found.until, found.rows) == ("judged", at(3 * DAY), at(4 * DAY), 40)
    assert found.loss == pytest.approx((30 * 0.5 + 10 * 0.9) / 40)
    assert f"since the window that ended {text_at(3 * DAY)}: 40 rows, mean loss 0.6" in found.sentence
    assert own_labels(reversed(windows), 2) == found


@pytest.mark.parametrize("days", [1, BATCH - 1, BATCH, BATCH + 1, 5 * BATCH])
def test_every_window_since_a_version_was_made_is_read_and_few_more(days: int) -> None:
    # GIVEN two hundred windows; WHEN those since an instant are read
    recorded = [window(day, 1, 1, 0.5) for day in range(200, 0, -1)]
    asked: list[int] = []

    def latest(count: int) -> Sequence[Window]:
        asked.append(count)
        return recorded[:count]

    found = windows_since(at((200 - days) * DAY), latest)
    # THEN all are there, and not many times as many
    assert {w.end for w in found} >= {w.end for w in recorded[:days]}
    assert len(found) <= 2 * max(days + 1, BATCH)
    assert len(asked) <= 4


@pytest.mark.slow
def test_a_version_is_judged_from_what_the_registry_holds(store: RegistryStore) -> None:
    open_run(store, "train-1")
    version = register(store, "train-1")
    for day in range(1, 2 * BATCH):
        store.windows.put(window(day, 1, 2, 0.25))
    found = own_labels_of(version, store.windows.latest)
    assert (found.since, found.rows, found.loss) == (at(DAY), 2 * (2 * BATCH - 1), 0.25)
