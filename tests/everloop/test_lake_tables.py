"""What is written to the lake has the columns that are declared for it, and what is read from it has no others."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from everloop.dataset.lake import lake_columns
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.snapshot_query import snapshot_query
from everloop.lake_tables import DATE, HISTORY, LABELS, PREDICTIONS, RESERVED_COLUMNS, TABLES, LakeTable
from everloop.names import ModelNames
from everloop.recalibration.interval import Interval
from everloop.serving.capture import capture_records
from everloop.serving.contract import ServingContract
from everloop.serving.labels import Label
from everloop.serving.request import RequestParser
from everloop.serving.scores import Scores
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import binary_document, declare
from tests.helpers.requests import rows_in_body

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("interval", [None, Interval(0.9, 1.0, 2.0)], ids=["a score", "a score between two others"])
def test_a_captured_prediction_has_the_columns_of_its_table(interval: Interval | None) -> None:
    contract: ServingContract = small_contract()
    body = (
        b'{"instances": [{"train_id": "a", "distance": 1, "wind": 2, "line": "north", "operator": "a", "day": "mon"}]}'
    )
    rows = rows_in_body(RequestParser(contract), body)
    scores = Scores.of(np.array([0.5]), None, interval=interval)
    (record,) = capture_records(contract, rows, scores, version=1, request_id="r", at=AT, latency_ms=1.0)
    features = [*(f.name for f in contract.numbers), *(f.name for f in contract.categories)]
    # A key that is left out is null in the lake.
    left_out = {"probabilities", "fallback", "capture_share"} | (
        set() if interval is not None else {"prediction_low", "prediction_high"}
    )
    assert sorted(record) == sorted([*(set(PREDICTIONS.own_names) - left_out), *features])


def test_a_label_has_the_columns_of_its_table() -> None:
    assert tuple(Label(1.0, key="a").to_record(AT)) == LABELS.own_names


def test_history_has_the_columns_of_its_table() -> None:
    declaration = declare(binary_document())
    assert lake_columns(declaration) == [name for name, _ in HISTORY.columns(declaration.data.features)]


def test_no_feature_is_called_like_a_column_beside_it() -> None:
    beside = {name for table in TABLES if table.has_features for name in table.own_names}
    assert beside < RESERVED_COLUMNS
    assert RESERVED_COLUMNS - beside == {DATE, "model"}


@pytest.mark.parametrize("table", TABLES, ids=lambda t: str(t.kind))
def test_the_training_set_reads_the_tables_there_are(table: LakeTable) -> None:
    declaration = declare(binary_document())
    query = snapshot_query(declaration, AT, LakeListing(AT.date(), AT.date()))
    read = set(re.findall(rf'"({declaration.model}_[a-z]+)"', query))
    assert ModelNames(declaration.model).table(table.kind) in read
    assert len(read) == len(TABLES)
