"""The table of prices: each has a source, a date and a page, and its tiers add up."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.cost.prices import PRICES, Price

ALL = [(region, name) for region, table in PRICES.items() for name in table]


@pytest.mark.parametrize(("region", "name"), ALL)
def test_a_price_says_where_it_is_from(region: str, name: str) -> None:
    price = PRICES[region][name]
    assert "https://" in price.source
    assert price.page.startswith("https://aws.amazon.com/")
    assert re.fullmatch(r"20\d\d-\d\d", price.read)


@pytest.mark.parametrize(("region", "name"), ALL)
def test_tiers_rise_and_never_get_dearer(region: str, name: str) -> None:
    tiers = PRICES[region][name].tiers
    if tiers is not None:
        ends, each = [end for end, _ in tiers], [usd for _, usd in tiers]
        assert ends == sorted(ends)
        assert ends[-1] == math.inf
        assert each == sorted(each, reverse=True)
        assert all(usd > 0 for usd in each)


def test_a_quantity_is_paid_tier_by_tier() -> None:
    price = Price("million", 1e6, ((300, 1.00), (math.inf, 0.90)), "https://x", "2026-11", "https://aws.amazon.com/")
    assert price.usd(300e6) == pytest.approx(300)
    assert price.usd(500e6) == pytest.approx(300 + 200 * 0.9)


def test_a_price_without_a_source_is_none() -> None:
    assert Price("GB", 1, None, "https://x", "2026-11", "https://aws.amazon.com/").usd(5) is None


@given(
    st.sampled_from([price for table in PRICES.values() for price in table.values() if price.tiers]), st.floats(0, 1e18)
)
def test_more_never_costs_less_and_nothing_costs_nothing(price: Price, quantity: float) -> None:
    cost, more = price.usd(quantity), price.usd(2 * quantity)
    assert cost is not None
    assert more is not None
    assert 0 <= cost <= more
    assert price.usd(0) == 0
