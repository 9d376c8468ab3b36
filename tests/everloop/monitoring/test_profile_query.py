"""The query on the lake and the counting in process give the same profile, to the last count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.dataset.exceptions import QueryFailedError
from everloop.limits import LARGEST_VALUE
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.counting import count_profile
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.profile import OUTCOME_SUMS, Profile
from everloop.monitoring.profile_answer import Counted, Sampled, read_counts, read_unknown
from everloop.monitoring.profile_query import profile_query, unknown_labels_query, windows_at
from everloop.monitoring.raw_scores_query import raw_scores_query
from everloop.monitoring.reference import Reference
from everloop.rollout.shadowing import captured_rows_query
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of, together

DAY = datetime(2013, 3, 4, tzinfo=UTC)
SCHEDULED = DAY + timedelta(days=1, hours=12, minutes=1)


def declarations() -> dict[str, ModelDeclaration]:
    return {
        "log_loss": declare(binary_document()),
        "brier": declare(binary_document(gate={"metric": "brier"})),
        "mae": declare(regression_document()),
        "rmse": declare(regression_document(gate={"metric": "rmse"})),
    }


def counted(lake: WatchedLake, reference: Reference, *, version: int = 1, scheduled: datetime = SCHEDULED) -> Counted:
    windows = windows_at(lake.declaration, scheduled)
    answer = lake.rows(profile_query(lake.declaration, reference, windows, version=version))
    classification = lake.declaration.problem.type == "binary_classification"
    return read_counts(answer, reference, classification=classification)


def unknown(lake: WatchedLake, *, scheduled: datetime = SCHEDULED) -> int:
    return read_unknown(lake.rows(unknown_labels_query(lake.declaration, windows_at(lake.declaration, scheduled))))


def in_process(rows: WatchedRows, reference: Reference, lake: WatchedLake) -> Profile:
    return count_profile(
        reference,
        rows.features,
        rows.scores,
        rows.labels,
        metric=lake.declaration.gate.metric,
        classification=lake.declaration.problem.type == "binary_classification",
        threshold=lake.declaration.serving.threshold,
    )


def assert_same(found: Profile, expected: Profile) -> None:
    assert found.rows == expected.rows
    assert found.features == expected.features
    assert found.score == expected.score
    assert found.outcomes.rows == expected.outcomes.rows
    assert (found.outcomes.ones, found.outcomes.zeros) == (expected.outcomes.ones, expected.outcomes.zeros)
    for name in OUTCOME_SUMS:
        assert getattr(found.outcomes, name) == pytest.approx(getattr(expected.outcomes, name), rel=1e-9, abs=1e-9)
    ours, theirs = found.outcomes.decisions, expected.outcomes.decisions
    assert ours is not None
    assert theirs is not None
    assert (ours.hits, ours.false_alarms) == (theirs.hits, theirs.false_alarms)
    assert ours.absolute_error == pytest.approx(theirs.absolute_error, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["log_loss", "brier", "mae", "rmse"])
@pytest.mark.parametrize("seed", range(4))
def test_query_and_process_count_the_same(metric: str, seed: int) -> None:
    declaration = declarations()[metric]
    classification = declaration.problem.type == "binary_classification"
    rng = np.random.default_rng(seed)
    reference = reference_of([draw(rng, 60, classification=classification) for _ in range(10)], declaration)
    lake = WatchedLake(declaration)
    rows = draw(rng, 200, classification=classification, shift=seed * 5.0, unlabelled=0.2)
    rows.features["line"][:3] = ["o'er", "never seen", "west"]
    lake.live(rows, DAY)
    assert_same(counted(lake, reference).profile, in_process(rows, reference, lake))


ODD_CATEGORIES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12) | st.sampled_from(
    [
        "'",
        "\\'",
        "' OR '1'='1",
        "'; DROP TABLE late_train_labels; --",
        '"',
        "{x}",
        "%s",
        "?",
        "$path",
        "/*",
        "U&'\\0041'",
    ]
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(categories=st.lists(ODD_CATEGORIES, min_size=2, max_size=5, unique=True), seed=st.integers(0, 100))
def test_categories_may_be_called_as_they_like(categories: list[str], seed: int) -> None:
    # GIVEN a reference and a window whose categories hold quotes, escapes, and pieces of queries
    declaration = declarations()["log_loss"]
    rng = np.random.default_rng(seed)

    def oddly_named(rows: WatchedRows) -> WatchedRows:
        rows.features["line"] = [categories[i] for i in rng.integers(0, len(categories), len(rows))]
        return rows

    reference = reference_of([oddly_named(draw(rng, 40)) for _ in range(8)], declaration)
    lake = WatchedLake(declaration)
    rows = oddly_named(draw(rng, 60))
    lake.live(rows, DAY)
    # WHEN the window is counted; THEN each category counts as itself
    assert_same(counted(lake, reference).profile, in_process(rows, reference, lake))


class TestWhichRowsCount:
    @pytest.fixture
    def declaration(self) -> ModelDeclaration:
        return declare(binary_document())

    @pytest.fixture
    def reference(self, declaration: ModelDeclaration) -> Reference:
        rng = np.random.default_rng(1)
        return reference_of([draw(rng, 50) for _ in range(10)], declaration)

    @pytest.fixture
    def lake(self, declaration: ModelDeclaration) -> WatchedLake:
        return WatchedLake(declaration)

    @pytest.fixture
    def rows(self) -> WatchedRows:
        return draw(np.random.default_rng(2), 80)

    def test_repeated_delivery_counts_once(self, lake: WatchedLake, reference: Reference, rows: WatchedRows) -> None:
        lake.live(rows, DAY)
        lake.repeat_delivery()
        assert_same(counted(lake, reference).profile, in_process(rows, reference, lake))

    @pytest.mark.slow
    def test_inputs_count_whoever_answered_and_outcomes_of_the_champion_only(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        others = draw(np.random.default_rng(3), 50)
        lake.live(rows, DAY, version=2)
        lake.live(others, DAY, version=1)
        found = counted(lake, reference, version=2)
        assert found.profile.features == in_process(together([rows, others]), reference, lake).features
        own = in_process(rows, reference, lake)
        assert found.profile.score == own.score
        assert found.profile.outcomes.rows == own.outcomes.rows == 80
        assert found.labelled_rows == 130

    def test_other_days_do_not_count(self, lake: WatchedLake, reference: Reference, rows: WatchedRows) -> None:
        lake.live(rows, DAY)
        for days in (-1, 1):
            lake.live(draw(np.random.default_rng(9), 30), DAY + timedelta(days=days))
        assert counted(lake, reference).profile.rows == 80

    def test_row_before_midnight_delivered_after_it_counts(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        lake.capture(rows, DAY + timedelta(hours=23, minutes=59))
        lake.connection.execute("UPDATE late_train_predictions SET \"date\" = '2013-03-05'")
        assert counted(lake, reference).profile.rows == 80

    @pytest.mark.parametrize("by_key", [False, True])
    def test_row_after_midnight_delivered_with_one_from_before_it_counts(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows, by_key: bool
    ) -> None:
        ids = lake.capture(rows, DAY + timedelta(minutes=5))
        lake.label(ids, rows.labels, DAY + timedelta(minutes=6), by_key=by_key)
        for kind in ("predictions", "labels"):
            lake.connection.execute(f"UPDATE late_train_{kind} SET \"date\" = '2013-03-03'")
        found = counted(lake, reference)
        assert found.profile.rows == 80
        assert found.labelled_rows == 80

    def test_label_that_arrives_after_the_scheduled_time_is_not_known(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        ids = lake.capture(rows, DAY + timedelta(hours=12))
        lake.label(ids, rows.labels, SCHEDULED + timedelta(seconds=1))
        assert counted(lake, reference).labelled_rows == 0

    def test_later_label_wins_and_is_a_correction(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        ids = lake.capture(rows, DAY + timedelta(hours=12))
        lake.label(ids, 1 - rows.labels, DAY + timedelta(hours=33))
        lake.label(ids, rows.labels, DAY + timedelta(hours=34))
        found = counted(lake, reference)
        assert_same(found.profile, in_process(rows, reference, lake))
        assert (found.labels.arrived, found.labels.corrections, found.labels.unmatched) == (160, 80, 0)

    def test_label_repeated_is_no_correction(self, lake: WatchedLake, reference: Reference, rows: WatchedRows) -> None:
        ids = lake.capture(rows, DAY + timedelta(hours=12))
        for hour in (33, 34):
            lake.label(ids, rows.labels, DAY + timedelta(hours=hour))
        assert counted(lake, reference).labels.corrections == 0

    def test_label_by_key_joins_and_wins_when_later(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        ids = lake.capture(rows, DAY + timedelta(hours=12))
        lake.label(ids, 1 - rows.labels, DAY + timedelta(hours=33))
        lake.label(ids, rows.labels, DAY + timedelta(hours=34), by_key=True)
        found = counted(lake, reference)
        assert_same(found.profile, in_process(rows, reference, lake))
        assert found.labels.unmatched == 0

    def test_labels_of_unknown_predictions_are_counted_apart(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        lake.live(rows, DAY)
        nobodys = [f"p9{i:05d}" for i in range(7)]
        lake.label(nobodys, np.ones(7), DAY + timedelta(hours=34))
        lake.label(nobodys, np.ones(7), DAY + timedelta(hours=34), by_key=True)
        found = counted(lake, reference)
        assert found.labels.unmatched == unknown(lake) == 14
        assert found.labelled_rows == 80

    @pytest.mark.parametrize("by_key", [False, True])
    def test_labels_of_rows_asked_since_midnight_are_known(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows, by_key: bool
    ) -> None:
        ids = lake.capture(rows, DAY + timedelta(days=1, hours=3))
        lake.label(ids, rows.labels, DAY + timedelta(days=1, hours=4), by_key=by_key)
        found = counted(lake, reference)
        assert (found.labels.arrived, found.labels.unmatched) == (80, 0)
        # THEN nothing else of them counts yet
        assert (found.profile.rows, found.labelled_rows) == (0, 0)

    @pytest.mark.parametrize("by_key", [False, True])
    @pytest.mark.parametrize(("days", "expected"), [(3, 0), (34, 0), (40, 80)])
    def test_late_labels_are_known_for_weeks(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows, by_key: bool, days: int, expected: int
    ) -> None:
        ids = lake.capture(rows, SCHEDULED - timedelta(days=days))
        lake.label(ids, rows.labels, SCHEDULED - timedelta(hours=2), by_key=by_key)
        # GIVEN labels that the first look leaves over
        assert counted(lake, reference).labels.unmatched == 80
        assert unknown(lake) == expected

    def test_a_long_lag_lengthens_the_weeks(self, rows: WatchedRows) -> None:
        lake = WatchedLake(declare(binary_document(data={"label_lag_hours": 30 * 24})))
        ids = lake.capture(rows, SCHEDULED - timedelta(days=50))
        lake.label(ids, rows.labels, SCHEDULED - timedelta(hours=2))
        assert unknown(lake) == 0

    @pytest.mark.slow
    def test_labels_that_correct_history_are_known(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        lake.connection.execute("INSERT INTO late_train_history (\"key\") VALUES ('k1'), ('k1'), ('k2')")
        lake.label(["p1", "p2", "p3"], np.ones(3), SCHEDULED - timedelta(hours=2), by_key=True)
        assert counted(lake, reference).labels.unmatched == 3
        assert unknown(lake) == 1

    def test_only_labels_of_the_last_window_are_told_of(self, lake: WatchedLake) -> None:
        for hours in (25, 23, -1):
            lake.label([f"p{hours}"], np.ones(1), SCHEDULED - timedelta(hours=hours))
        assert unknown(lake) == 1

    def test_labels_of_rows_that_were_left_out_of_a_sample_are_known(
        self, lake: WatchedLake, reference: Reference, rows: WatchedRows
    ) -> None:
        when = SCHEDULED - timedelta(hours=2)
        # GIVEN rows of which a quarter was captured, then a half, and labels of all that were answered
        ids = lake.capture(rows, DAY, share=0.25) + lake.capture(rows, DAY + timedelta(hours=9), share=0.5)
        lake.label([*ids, *(f"r{i}-0-unsampled" for i in range(30))], np.ones(190), when)
        found = counted(lake, reference)
        assert (found.labels.arrived, found.labels.unmatched, unknown(lake)) == (190, 0, 0)
        # THEN each row counts as many as it stands for, and the monitor knows that they are no even sample
        assert found.sampled == Sampled(80 / 0.25 + 80 / 0.5, 0.25, 0.5)
        # AND a key's label may be of a row that was left out, but a name that was never given is unknown
        lake.label(["a key"], np.ones(1), when, by_key=True)
        lake.label(["r-unknown-0"], np.ones(1), when)
        assert unknown(lake) == 1

    def test_an_empty_answer_about_unknown_labels_is_refused(self) -> None:
        with pytest.raises(QueryFailedError, match="unknown labels is empty"):
            read_unknown([])

    def test_empty_lake(self, lake: WatchedLake, reference: Reference) -> None:
        found = counted(lake, reference)
        assert (found.profile.rows, found.labelled_rows, found.labels.arrived) == (0, 0, 0)
        assert found.profile.outcomes.mean_loss is None

    def test_answer_without_labels_row_is_refused(self, reference: Reference) -> None:
        with pytest.raises(QueryFailedError, match="no row of labels"):
            read_counts([], reference, classification=True)

    def test_reference_without_scores_is_refused(self, lake: WatchedLake, reference: Reference) -> None:
        bare = Reference(reference.rows, reference.days, reference.features)
        with pytest.raises(ReferenceUnusableError, match="only an evaluated version"):
            counted(lake, bare)

    def test_columns_of_the_query_leave_every_feature_name_free(self) -> None:
        names = ["own", "copy", "b0", "part", "bin", "place", "previous", "score", "total", "labels", "time_hour"]
        features = [{"name": name, "type": "number", "missing": "allow"} for name in names]
        declaration = declare(binary_document(data={"features": features}))
        rng = np.random.default_rng(5)

        def some() -> WatchedRows:
            rows = draw(rng, 40)
            return WatchedRows({n: rng.normal(size=40) for n in names}, rows.scores, rows.labels)

        reference = reference_of([some() for _ in range(8)], declaration)
        lake, rows = WatchedLake(declaration), some()
        lake.live(rows, DAY)
        assert_same(counted(lake, reference).profile, in_process(rows, reference, lake))


class TestValuesBeyondAllSums:
    @pytest.mark.parametrize("metric", ["mae", "rmse"])
    @pytest.mark.parametrize("what", ["labels", "scores"])
    def test_such_a_row_is_left_out_and_told(self, metric: str, what: str) -> None:
        # GIVEN a label, or an answer, whose square is still a number and whose fourth power is none
        declaration = declarations()[metric]
        rng = np.random.default_rng(3)
        reference = reference_of([draw(rng, 60, classification=False) for _ in range(10)], declaration)
        rows = draw(rng, 50, classification=False)
        getattr(rows, what)[:2] = [1e150, -1e150]
        rows.labels[9] = np.nan
        lake = WatchedLake(declaration)
        lake.live(rows, DAY)
        found = counted(lake, reference)
        assert (found.beyond, found.labelled_rows, found.profile.outcomes.rows) == (2, 49, 47)
        assert_same(found.profile, in_process(rows, reference, lake))
        assert all(np.isfinite(getattr(found.profile.outcomes, name)) for name in OUTCOME_SUMS)

    def test_the_largest_values_can_be_summed(self) -> None:
        declaration = declarations()["rmse"]
        rng = np.random.default_rng(3)
        reference = reference_of([draw(rng, 60, classification=False) for _ in range(10)], declaration)
        rows = draw(rng, 50, classification=False)
        rows.labels[:] = LARGEST_VALUE
        rows.scores[:] = -LARGEST_VALUE
        lake = WatchedLake(declaration)
        lake.live(rows, DAY)
        found = counted(lake, reference)
        assert (found.beyond, found.profile.outcomes.rows) == (0, 50)
        assert np.isfinite(found.profile.outcomes.loss_squares)


class TestWindows:
    def test_labelled_window_waits_for_the_lag(self) -> None:
        declaration = declare(binary_document(data={"label_lag_hours": 12}))
        early = windows_at(declaration, datetime(2013, 3, 5, 11, 59, tzinfo=UTC))
        late = windows_at(declaration, datetime(2013, 3, 5, 12, 0, tzinfo=UTC))
        assert early.end == late.end == datetime(2013, 3, 5, tzinfo=UTC)
        assert early.labelled_end == datetime(2013, 3, 4, tzinfo=UTC)
        assert late.labelled_end == datetime(2013, 3, 5, tzinfo=UTC)
        assert late.labelled_end - late.labelled_start == timedelta(days=1)


def test_what_a_fallback_answered_is_no_versions() -> None:
    # GIVEN a day that the version answered, with labels
    declaration = declare(binary_document())
    rng = np.random.default_rng(3)
    own, other = draw(rng, 40), draw(rng, 30)
    reference, lake = reference_of([draw(rng, 50)], declaration), WatchedLake(declaration)
    lake.live(own, DAY)
    alone = counted(lake, reference)
    # WHEN its fallback answered others between, all of them alike
    said = WatchedRows(other.features, np.full(30, 0.01), other.labels)
    ids = lake.capture(said, DAY + timedelta(hours=13), version=None, fallback="value")
    lake.label(ids, said.labels, DAY + timedelta(hours=34))
    both = counted(lake, reference)
    # THEN their inputs are looked at, and neither their scores nor their outcomes
    assert both.profile.rows == alone.profile.rows + 30
    assert both.profile.score == alone.profile.score
    assert both.profile.outcomes == alone.profile.outcomes
    windows = windows_at(declaration, SCHEDULED)
    taught = lake.rows(raw_scores_query(declaration, windows, version=1))
    assert sum(int(row["ones"] or 0) + int(row["zeros"] or 0) for row in taught) == 40
    seen = lake.rows(captured_rows_query(declaration, version=1, begin=DAY, end=DAY + timedelta(days=1)))
    assert len(seen) == 40
