from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.monitoring.bins import CategoryBins, NumberBins
from everloop.monitoring.counting import bin_indices, count, count_profile
from everloop.monitoring.exceptions import BinsDifferError, MonitoringError, ProfileFormatError
from everloop.monitoring.profile import BinCounts, Outcomes, Profile
from everloop.monitoring.reference import Reference
from tests.helpers.declarations import binary_document, declare
from tests.helpers.watched_lake import WatchedRows, draw, reference_of, together

COUNTS = st.integers(0, 10**9)
WHOLE = st.integers(-(10**6), 10**6).map(float)  # sums of whole numbers are exact in any order


@st.composite
def profiles(draw_one: st.DrawFn) -> Profile:
    def cells(n: int) -> BinCounts:
        return BinCounts(tuple(draw_one(COUNTS) for _ in range(n)), draw_one(COUNTS))

    sums = ("loss", "loss_squares", "label", "score", "deviance", "residual_z", "v", "v_z", "v_zz")
    drawn: dict[str, Any] = {name: draw_one(WHOLE) for name in sums}
    outcomes = Outcomes(
        rows=draw_one(COUNTS),
        ones=tuple(draw_one(COUNTS) for _ in range(3)),
        zeros=tuple(draw_one(COUNTS) for _ in range(3)),
        **drawn,
    )
    return Profile("bins", draw_one(COUNTS), {"a": cells(4), "b": cells(2)}, cells(3), outcomes)


@pytest.mark.slow
@given(profiles(), profiles(), profiles())
def test_addition_does_not_mind_order_or_grouping(a: Profile, b: Profile, c: Profile) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@pytest.mark.slow
@given(profiles())
def test_profile_survives_json(profile: Profile) -> None:
    assert Profile.from_dict(json.loads(json.dumps(profile.as_dict()))) == profile


@pytest.mark.slow
@given(profiles(), profiles())
def test_outcomes_without_anything_add_nothing(a: Profile, b: Profile) -> None:
    assert a.outcomes + Outcomes() == a.outcomes
    assert (a.score + b.score) - b.score == a.score


@pytest.mark.parametrize("seed", range(3))
def test_profile_of_two_windows_together_is_their_sum(seed: int) -> None:
    declaration = declare(binary_document())
    rng = np.random.default_rng(seed)
    reference = reference_of([draw(rng, 40) for _ in range(6)], declaration)
    parts = [draw(rng, n, unlabelled=0.1) for n in (70, 1, 30)]

    def profile(rows: WatchedRows) -> Profile:
        return count_profile(reference, rows.features, rows.scores, rows.labels, metric="log_loss", classification=True)

    whole, added = profile(together(parts)), profile(parts[0]) + profile(parts[1]) + profile(parts[2])
    assert (added.rows, added.features, added.score) == (whole.rows, whole.features, whole.score)
    assert (added.outcomes.ones, added.outcomes.zeros) == (whole.outcomes.ones, whole.outcomes.zeros)
    assert added.outcomes.loss == pytest.approx(whole.outcomes.loss)
    assert added.outcomes.v_zz == pytest.approx(whole.outcomes.v_zz)


def test_profiles_over_other_bins_do_not_add_up() -> None:
    one, other = Profile("bins1", 1, {}), Profile("bins2", 1, {})
    with pytest.raises(BinsDifferError, match="over the bins of one reference"):
        one + other
    with pytest.raises(BinsDifferError):
        BinCounts((1, 2)) + BinCounts((1, 2, 3))


@pytest.mark.parametrize("document", [{}, {"bins": "b"}, [], {"bins": 1, "rows": "x", "features": {}}])
def test_what_is_no_profile_is_refused(document: Any) -> None:
    with pytest.raises(ProfileFormatError, match="not a profile"):
        Profile.from_dict(document)


class TestBins:
    def test_number_lies_at_or_above_its_lower_edge(self) -> None:
        bins = NumberBins((0.0, 1.0))
        values = np.array([-0.1, 0.0, 0.5, 1.0, np.nan, np.inf, -np.inf])
        assert bin_indices(bins, values).tolist() == [0, 1, 1, 2, -1, 2, 0]
        assert count(bins, values) == BinCounts((2, 2, 2), 1)

    def test_category_is_its_own_other_or_missing(self) -> None:
        bins = CategoryBins(("a", "b"))
        assert bin_indices(bins, ["b", "a", "c", "", None]).tolist() == [1, 0, 2, -1, -1]

    def test_labels_are_for_people(self) -> None:
        bins = NumberBins((0.0, 1.0))
        assert [bins.label(i) for i in (-1, 0, 1, 2)] == ["missing", "below 0", "0 to 1", "from 1"]
        assert [CategoryBins(("a",)).label(i) for i in (-1, 0, 1)] == ["missing", "a", "other"]

    def test_edges_that_do_not_rise_and_repeated_categories_are_refused(self) -> None:
        with pytest.raises(ProfileFormatError):
            NumberBins((1.0, 1.0))
        with pytest.raises(ProfileFormatError):
            CategoryBins(("a", "a"))


class TestReference:
    def test_survives_json(self) -> None:
        rng = np.random.default_rng(1)
        reference = reference_of([draw(rng, 40) for _ in range(12)], declare(binary_document()))
        again = Reference.from_json(reference.to_json())
        assert again == reference
        assert again.bins_id == reference.bins_id

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1}'])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ProfileFormatError):
            Reference.from_json(text)

    def test_what_is_wrong_in_it_is_named(self) -> None:
        rng = np.random.default_rng(1)
        whole = json.loads(reference_of([draw(rng, 40) for _ in range(6)], declare(binary_document())).to_json())
        name = next(iter(whole["features"]))
        for place, value, said in (
            (whole, {"rows": "many"}, "rows is 'many', not a whole number"),
            (whole["features"][name], {"counts": [1, "x"]}, f"features.{name}.counts[1] is 'x', not a whole number"),
            (whole["features"][name], {"kind": "text"}, f"features.{name}.kind is 'text', not 'number' or 'category'"),
        ):
            kept = dict(place)
            place |= value
            with pytest.raises(ProfileFormatError, match=re.escape(said)):
                Reference.from_json(json.dumps(whole))
            place.clear()
            place |= kept
        assert Reference.from_json(json.dumps(whole)).rows == whole["rows"]

    def test_metric_that_is_no_mean_is_refused(self) -> None:
        rng = np.random.default_rng(1)
        reference = reference_of([draw(rng, 40) for _ in range(6)], declare(binary_document()))
        rows = draw(rng, 10)
        with pytest.raises(MonitoringError, match="not a mean over rows"):
            count_profile(reference, rows.features, rows.scores, rows.labels, metric="roc_auc", classification=True)
