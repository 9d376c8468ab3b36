"""From how many of the newest days a training learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.retraining.spans import FEWEST_DAYS, HALF_LIFE, Lead, choose_span, span_told

NUMBERS = st.floats(-1e3, 1e3)
WINDOWS = st.lists(st.lists(NUMBERS, max_size=7), max_size=6)


def test_the_newest_windows_count_most() -> None:
    rising = Lead.of([[-1.0] * 7, [1.0] * 7])
    share = 0.5 ** (1 / HALF_LIFE)
    assert rising.less == pytest.approx((1 - share) / (1 + share))
    assert (rising.windows, rising.days) == (2, 14)


def test_days_are_draws_where_windows_agree() -> None:
    days = np.array([0.1, 0.3, 0.2, 0.4])
    lead = Lead.of([days.tolist()])
    assert lead.less == pytest.approx(days.mean())
    assert lead.error == pytest.approx(days.std(ddof=1) / math.sqrt(4))


def test_what_windows_differ_by_adds_to_the_error() -> None:
    """Fifty days that agree within each of two windows say no more than two draws do."""
    apart = Lead.of([[0.0] * 25, [1.0] * 25], half_life=math.inf)
    assert apart.error == pytest.approx(math.sqrt(((0.5 * 0.5) ** 2 * 2) * 2))
    assert not apart.is_sure()


@pytest.mark.slow
@given(WINDOWS, st.floats(0.01, 100))
def test_the_unit_makes_no_difference(less: list[list[float]], scale: float) -> None:
    lead, scaled = Lead.of(less), Lead.of([[scale * day for day in days] for days in less])
    assert scaled.less == pytest.approx(scale * lead.less, rel=1e-9, abs=1e-9)
    assert (scaled.error is None) == (lead.error is None)
    assert scaled.error == pytest.approx(None if lead.error is None else scale * lead.error, rel=1e-6, abs=1e-6)


@pytest.mark.slow
@given(st.dictionaries(st.integers(1, 400), WINDOWS, max_size=4))
def test_a_shorter_span_is_taken_only_where_it_has_lost_less(less: dict[int, list[list[float]]]) -> None:
    leads = {days: Lead.of(windows) for days, windows in less.items()}
    choice = choose_span(leads)
    sure = [days for days, lead in leads.items() if lead.is_sure()]
    if choice.days is None:
        assert not sure
    else:
        assert leads[choice.days].less == max(leads[days].less for days in sure) > 0
        assert leads[choice.days].days >= FEWEST_DAYS


def test_nothing_measured_is_all_rows() -> None:
    choice = choose_span({30: Lead.of([]), 60: Lead.of([[]])})
    assert (choice.days, choice.reason.code) == (None, "span_unknown")


def test_the_reason_names_the_figures() -> None:
    better = choose_span({30: Lead.of([[0.1, 0.11, 0.09, 0.1, 0.12]] * 3), 60: Lead.of([[0.01] * 5])}, unit="log_loss")
    assert better.days == 30
    assert better.reason.sentence.startswith("The newest 30 days alone, and no older rows: their probes lost 0.104 ")
    assert "log_loss less a row (standard error" in better.reason.sentence
    same = choose_span({30: Lead.of([[-0.1, 0.1, -0.1, 0.1, -0.1, 0.1]])})
    assert same.reason.sentence.startswith("All rows: no shorter span has lost less beyond chance.")
    assert (span_told(None), span_told(1), span_told(30)) == ("all rows", "the newest 1 day", "the newest 30 days")


@pytest.mark.parametrize(("luck", "most"), [(0.0, 0.06), (0.05, 0.12)])
def test_chance_seldom_takes_a_shorter_span(luck: float, most: float) -> None:
    """At worst a shorter span is as good as all rows; ``luck`` is what two probes differ by, beside the days."""
    rng = np.random.default_rng(7)
    taken = 0
    for _ in range(300):
        noise = rng.normal(0, luck, (3, 6, 1)) + rng.normal(0, 0.1, (3, 6, 7))
        leads = {days: Lead.of(windows.tolist()) for days, windows in zip((28, 56, 112), noise, strict=True)}
        taken += choose_span(leads).days is not None
    assert taken / 300 < most
