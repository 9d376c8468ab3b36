"""However many queries count a window, they count the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.dataset.exceptions import QueryFailedError
from everloop.dataset.lake_sql import LONGEST_QUERY_BYTES
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import QueryTooLongError
from everloop.monitoring.profile_answer import read_counts
from everloop.monitoring.profile_queries import FEATURES_IN_A_QUERY, MOST_QUERIES, profile_queries
from everloop.monitoring.profile_query import profile_query, windows_at
from everloop.monitoring.reference import Reference
from tests.helpers.declarations import binary_document, declare
from tests.helpers.watched_lake import WatchedLake, draw, reference_of
from tests.helpers.worst_reference import worst_reference

DAY = datetime(2013, 3, 4, tzinfo=UTC)
DECLARATION = declare(binary_document())
WINDOWS = windows_at(DECLARATION, DAY + timedelta(days=1, hours=12))


@pytest.fixture
def lake() -> WatchedLake:
    lake = WatchedLake(DECLARATION)
    rows = draw(np.random.default_rng(3), 150, unlabelled=0.2)
    rows.features["line"][:3] = ["o'er", "never seen", "west"]
    lake.live(rows, DAY)
    lake.repeat_delivery()
    lake.live(draw(np.random.default_rng(4), 40), DAY - timedelta(days=1))
    return lake


@pytest.fixture
def reference() -> Reference:
    rng = np.random.default_rng(1)
    return reference_of([draw(rng, 50) for _ in range(10)], DECLARATION)


def wide(features: int, **feature: object) -> ModelDeclaration:
    kind = {"type": "number", "missing": "allow"} | feature
    named = [{"name": f"sensor_reading_{i:04d}", **kind} for i in range(features)]
    document = binary_document(data={"features": named}, serving={"max_rows": 1})
    document["problem"]["baseline"] = {"kind": "prior"}
    return declare(document)


def test_what_fits_is_one_query(reference: Reference) -> None:
    assert profile_queries(DECLARATION, reference, WINDOWS, version=1) == [
        profile_query(DECLARATION, reference, WINDOWS, version=1)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 100, 300, 600, 900])
def test_several_queries_count_as_one(lake: WatchedLake, reference: Reference, room: int) -> None:
    whole = profile_query(DECLARATION, reference, WINDOWS, version=1)
    least = len(profile_query(DECLARATION, reference, WINDOWS, version=1, features=[]).encode())
    queries = profile_queries(DECLARATION, reference, WINDOWS, version=1, longest=least + room)
    assert len(queries) > 1
    assert all(len(query.encode()) <= least + room for query in queries)
    answers = [row for query in queries for row in lake.rows(query)]
    expected = read_counts(lake.rows(whole), reference, classification=True)
    assert expected.profile.rows == 150
    found = read_counts(answers, reference, classification=True)
    assert (found.profile.features, found.profile.score) == (expected.profile.features, expected.profile.score)
    assert (found.labels, found.labelled_rows) == (expected.labels, expected.labelled_rows)
    assert found.profile.outcomes.ones == expected.profile.outcomes.ones
    assert found.profile.outcomes.loss == pytest.approx(expected.profile.outcomes.loss)


def test_rows_that_came_between_two_queries_are_noticed(lake: WatchedLake, reference: Reference) -> None:
    least = len(profile_query(DECLARATION, reference, WINDOWS, version=1, features=[]).encode())
    first, *others = profile_queries(DECLARATION, reference, WINDOWS, version=1, longest=least)
    answers = lake.rows(first)
    lake.live(draw(np.random.default_rng(5), 7), DAY)
    answers += [row for query in others for row in lake.rows(query)]
    with pytest.raises(QueryFailedError, match="150 rows were counted, and the feature 'distance' in 157"):
        read_counts(answers, reference, classification=True)


@pytest.mark.slow
@pytest.mark.parametrize(("features", "kind"), [(700, {}), (14, {"type": "category", "max_length": 1024})])
def test_wide_models_are_counted_within_athenas_limit(features: int, kind: dict[str, object]) -> None:
    """Both were more than Athena takes in one query."""
    declaration = wide(features, **kind)
    reference = worst_reference(declaration)
    whole = profile_query(declaration, reference, WINDOWS, version=1)
    queries = profile_queries(declaration, reference, WINDOWS, version=1)
    assert len(whole.encode()) > LONGEST_QUERY_BYTES
    assert 1 < len(queries) <= MOST_QUERIES
    assert max(len(query.encode()) for query in queries) <= LONGEST_QUERY_BYTES
    for feature in declaration.data.features:
        assert sum(f"'feature {feature.name}'" in query for query in queries) == 1
    assert max(query.count("'feature ") for query in queries) <= FEATURES_IN_A_QUERY


@pytest.mark.slow
def test_more_than_can_be_counted_is_refused() -> None:
    many = wide(170)
    reference = worst_reference(many)
    least = len(profile_query(many, reference, WINDOWS, version=1, features=[]).encode())
    with pytest.raises(QueryTooLongError, match=f"170 features of late_train take more than {MOST_QUERIES} queries"):
        profile_queries(many, reference, WINDOWS, version=1, longest=least)
    with pytest.raises(QueryTooLongError, match="'sensor_reading_0000' alone needs a query of"):
        profile_queries(many, reference, WINDOWS, version=1, longest=600)
