"""A training that starts by itself finds a whole test part that its champion has not learned from."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from everloop.numbers_of import number_of
from tests.helpers.declarations import binary_document, declare

QUOTA = {"quota": {"runs": 4, "days": 60}}
QUALITY = {"quality": {"days": 7, "minimum_increase": 0.05}}
NONE = {"quality": None, "drift": None}


def refusals(retraining: dict[str, Any], refit: str = "after_gate") -> list[tuple[tuple[Any, ...], Any, str]]:
    try:
        declare(binary_document(retraining={**retraining, **QUOTA}, training={"refit": refit}))
    except ValidationError as error:
        return [(e["loc"], e["input"], e["msg"]) for e in error.errors()]
    return []


@pytest.mark.parametrize(
    ("retraining", "key", "found"),
    [
        ({**QUALITY, "cooldown_days": 6.5}, "cooldown_days", 6.5),
        ({**NONE, "drift": {"windows": 2}, "cooldown_days": 0}, "cooldown_days", 0),
        ({**NONE, "schedule_days": 6, "cooldown_days": 1}, "schedule_days", 6),
        ({**QUALITY, "cooldown_days": 1}, "cooldown_days", 1),
    ],
)
def test_a_training_that_comes_too_early_is_refused_with_what_is_allowed(
    retraining: dict[str, Any], key: str, found: float
) -> None:
    ((place, value, says),) = refusals(retraining)
    assert (place, value) == (("retraining", key), found)
    assert "at least 7, the days of data.split.test_days" in says
    assert f"a training {number_of(found, 'day')} later" in says
    # AND where the served bytes have not learned from the test rows, it may come
    assert refusals(retraining, refit="none") == []


@pytest.mark.parametrize(
    "retraining",
    [
        {**QUALITY, "cooldown_days": 7},
        {**NONE, "cooldown_days": 0},
        {**NONE, "schedule_days": 7, "cooldown_days": 1},
        {**NONE, "schedule_days": 3, "cooldown_days": 7},
        {**QUALITY, "schedule_days": 3, "cooldown_days": 7},
    ],
    ids=["after the test part", "by hand alone", "a schedule alone", "a schedule held back", "both held back"],
)
def test_what_comes_late_enough_or_by_hand_is_taken(retraining: dict[str, Any]) -> None:
    assert refusals(retraining) == []


def test_both_are_told_at_once() -> None:
    found = refusals({**QUALITY, "schedule_days": 3, "cooldown_days": 2})
    assert [place for place, *_ in found] == [("retraining", "cooldown_days"), ("retraining", "schedule_days")]
