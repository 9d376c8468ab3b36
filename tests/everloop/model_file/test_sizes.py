"""What a declaration is said to come to at most, held to what is really written."""

from __future__ import annotations

import bisect
import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.athena import unload_statement
from everloop.dataset.frozen import Place
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.lake_sql import LONGEST_QUERY_BYTES
from everloop.dataset.row_conditions import row_conditions
from everloop.dataset.snapshot_counts import count_queries, example_queries
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import content_query, parts_of
from everloop.dataset.snapshot_profile import LONGEST_SHOWN, MOST_FREQUENT, rank_queries, value_queries
from everloop.dataset.snapshot_query import snapshot_query
from everloop.dataset.standing import Period
from everloop.model_file import sizes
from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring import build, profile_queries
from everloop.monitoring.bins import NumberBins
from everloop.monitoring.drift import DriftReport, FeatureDrift
from everloop.monitoring.own_scores import OwnScores
from everloop.monitoring.profile import BinCounts, Outcomes, Profile
from everloop.monitoring.profile_answer import Counted, LabelCounts
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.quality import judge_quality
from everloop.monitoring.reference import SCORE
from everloop.monitoring.window import window_record
from everloop.reasons import Reason
from everloop.registry.items import MAX_ITEM_BYTES, item_bytes
from everloop.registry.records import Snapshot as SnapshotRecord
from everloop.registry.records import Window
from everloop.retraining.decision import Decision
from everloop.row_key import MAX_KEY_LENGTH
from everloop.serving.capture import capture_records, encode_record
from everloop.serving.contract import ServingContract
from everloop.serving.protocols import ServedModel
from everloop.serving.protocols.predictions import Instances
from everloop.serving.request import MAX_BODY_BYTES, RequestParser
from everloop.serving.scores import Scores
from everloop.training.contract import build_contract
from everloop.training.onnx_export.inputs import ModelInputs
from tests.helpers.declarations import as_yaml, binary_document, declare
from tests.helpers.requests import rows_in_body
from tests.helpers.worst_reference import COUNT, worst_reference

NOW = datetime(2013, 3, 5, 12, tzinfo=UTC)
INSTANT = datetime(2013, 3, 5, 0, 0, 0, 1000, tzinfo=UTC)
"""Its text is as long as an instant's can be."""
LONGEST_NUMBER = -1.2345678901234567e-300
ASTRAL = "\U0001f600"
LISTING = LakeListing(date(2013, 1, 1), date(2013, 1, 1), ("a" * 72, "b" * 72), "s3://bucket/history/model=m/")
SHAPES = {
    "few": (3, 2, 64),
    "numbers": (120, 0, 1),
    "many numbers": (450, 0, 1),
    "categories": (0, 60, 64),
    "long categories": (2, 14, 1024),
}


def document(numbers: int, categories: int, length: int, rows: int = 1) -> dict[str, Any]:
    features: list[dict[str, Any]] = [
        {"name": f"sensor_reading_of_machine_{i:05d}", "type": "number"} for i in range(numbers)
    ]
    features += [
        {"name": f"category_of_the_machine_{i:07d}", "type": "category", "max_length": length}
        for i in range(categories)
    ]
    written = binary_document(data={"features": features}, serving={"max_rows": rows})
    written["problem"]["baseline"] = {"kind": "prior"}
    return written


@pytest.fixture(params=SHAPES)
def declaration(request: pytest.FixtureRequest) -> ModelDeclaration:
    return declare(document(*SHAPES[request.param]))


def longest_row(declaration: ModelDeclaration, key: int = 0) -> dict[str, object]:
    values = {
        f.name: LONGEST_NUMBER if f.type == "number" else ASTRAL * f.max_length for f in declaration.data.features
    }
    return {declaration.data.key: f"{key:04d}" + ASTRAL * (MAX_KEY_LENGTH - 4), **values}


def written(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def contract_of(declaration: ModelDeclaration) -> ServingContract:
    frame = pd.DataFrame(
        {f.name: [1.0] if f.type == "number" else ["a"] for f in declaration.data.features}, dtype=object
    )
    return build_contract(declaration, frame, ModelInputs.of(declaration))


def test_the_figures_of_other_rooms_are_theirs() -> None:
    assert sizes.MAX_BODY_BYTES == MAX_BODY_BYTES
    assert sizes.MAX_QUERY_BYTES == LONGEST_QUERY_BYTES
    assert sizes.MAX_QUERIES == profile_queries.MOST_QUERIES
    assert sizes.FEATURES_IN_A_QUERY == profile_queries.FEATURES_IN_A_QUERY
    assert sizes.MAX_ITEM_BYTES == MAX_ITEM_BYTES
    assert (sizes.EDGES, sizes.CATEGORIES) == (build.NUMBER_BINS + 1, build.CATEGORIES)
    assert sizes.SCORE_BINS == build.SCORE_BINS + 2
    assert len(repr(LONGEST_NUMBER)) == sizes.NUMBER
    assert len(str(COUNT)) == sizes.COUNT
    assert sizes.KEY == MAX_KEY_LENGTH * 4
    assert len((ASTRAL * LONGEST_SHOWN + "…").encode()) == sizes.SHOWN


def both(scores: np.ndarray) -> Scores:
    """Calibrated scores, as long as the raw ones."""
    return Scores(scores, scores, "f" * 64)


def test_the_longest_row_is_as_long_as_it_is_said_to_be(declaration: ModelDeclaration) -> None:
    # The four digits of this key take twelve bytes less than four other characters.
    assert len(written(longest_row(declaration))) + len(",") == sizes.row_bytes(declaration) - 12


def test_declared_values_are_as_long_as_they_are() -> None:
    values = document(0, 1, 1024)
    values["data"]["features"][0] |= {"values": ["north", "süd"], "unseen": "refuse"}
    assert sizes.longest_text(declare(values).data.features[0]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["few", "numbers", "many numbers", "long categories"])
def test_as_many_of_the_longest_rows_as_are_declared_are_taken_and_captured(shape: str) -> None:
    # GIVEN more rows than a request has room for
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document(*SHAPES[shape], rows=5000)))
    (mistake,) = refused.value.mistakes
    assert mistake.path == "serving.max_rows"
    most = int(mistake.allowed.split("at most ")[1].split(":")[0])
    # WHEN as many are declared as are allowed
    declaration = declare(document(*SHAPES[shape], rows=most))
    body = written({"instances": [longest_row(declaration, i) for i in range(most)]})
    # THEN they are taken, at their longest, and not many more would be
    assert 0.98 * MAX_BODY_BYTES - len(body) / most < len(body) <= MAX_BODY_BYTES
    contract = contract_of(declaration)
    rows = rows_in_body(RequestParser(contract), body)
    scores = both(np.full(len(rows), 1.2345678901234567e-300))
    # AND each is captured
    facts: dict[str, Any] = {"version": 10**9, "request_id": "r" * 64, "at": NOW, "latency_ms": 1234.5678901234567}
    records = capture_records(contract, rows, scores, **facts)
    longest = max(len(encode_record(record)) for record in records)
    assert longest <= sizes.record_bytes(declaration) <= sizes.MAX_RECORD_BYTES
    # AND the answer is one that Lambda gives
    assert answer_bytes(contract, scores) < 6 * 1024 * 1024


def test_the_longest_answer_is_one_that_lambda_gives() -> None:
    contract = contract_of(declare(document(1, 0, 1)))
    assert answer_bytes(contract, both(np.full(5000, 1.2345678901234567e-300))) < 6 * 1024 * 1024


def answer_bytes(contract: ServingContract, scores: Scores) -> int:
    question = Instances([], ServedModel(10**9, RequestParser(contract)))
    return len(question.answer(scores, request_id="r" * 64).body)


@pytest.mark.slow
def test_the_window_is_counted_by_as_many_queries_as_are_said(declaration: ModelDeclaration) -> None:
    queries = profile_queries.profile_queries(
        declaration, worst_reference(declaration), windows_at(declaration, NOW), version=10**9
    )
    assert len(queries) <= sizes.profile_queries(declaration) <= len(queries) + 1


def test_the_query_of_a_training_set(declaration: ModelDeclaration) -> None:
    found = len(snapshot_query(declaration, NOW, LISTING).encode())
    assert found <= sizes.snapshot_query_bytes(declaration) <= 1.2 * found + 2500


def test_the_other_queries_of_a_training_set(declaration: ModelDeclaration) -> None:
    place = Place("b" * 63, declaration.model, "e" * 80 + "-" + "r" * 36)
    query = snapshot_query(declaration, NOW, LISTING)
    longest = sizes.training_set_query_bytes(declaration)
    unload = unload_statement(query, place.uri())
    assert len(unload.encode()) <= longest <= 1.2 * len(unload.encode()) + 3000
    broken = [(condition, 1) for condition in row_conditions(declaration)]
    standing = Period(NOW - timedelta(days=9), NOW)
    queries = [
        content_query(declaration, place, NOW, standing),
        *parts_of(declaration, place, NOW, standing, chosen=True).values(),
        *value_queries(declaration, place),
        *rank_queries(declaration, place, 10**10),
    ]
    assert all(len(unload_statement(text, place.uri()).encode()) <= longest for text in queries)
    for text in (*count_queries(declaration, place), *example_queries(declaration, place, broken)):
        assert len(text.encode()) <= LONGEST_QUERY_BYTES


@pytest.mark.slow
def test_a_long_list_of_allowed_values_is_told_before_it_is_deployed() -> None:
    """A list has to stand in the query that looks for other values."""
    values = [f"{'é' * 30}{i:05}" for i in range(4000)]
    feature = {"name": "city", "type": "category", "values": values, "unseen": "refuse", "max_length": 64}
    written = as_yaml(binary_document(data={"features": [feature]}))
    with pytest.raises(ModelFileError, match=r"the query of a training set could take 2\d\d,\d{3} bytes"):
        parse_model_file(written)
    fewer = declare(binary_document(data={"features": [{**feature, "values": values[:3000]}]}))
    found = max(len(text.encode()) for text in count_queries(fewer, Place("b", "late_train", "a")))
    assert found <= sizes.training_set_query_bytes(fewer) <= LONGEST_QUERY_BYTES


def test_the_record_of_a_training_set(declaration: ModelDeclaration) -> None:
    number: dict[str, object] = {"missing": COUNT, **dict.fromkeys(("min", "max", "mean"), LONGEST_NUMBER)}
    number["quartiles"] = [LONGEST_NUMBER] * 3
    uri = f"s3://{'b' * 63}/datasets/{declaration.model}/{'a' * 64}/test_features/{'e' * 80}-{'r' * 36}/"
    frequent = [[ASTRAL * LONGEST_SHOWN + "…", COUNT]] * MOST_FREQUENT
    texts: dict[str, object] = {"missing": COUNT, "distinct": COUNT, "most_frequent": frequent}
    snapshot = Snapshot(
        model=declaration.model,
        snapshot_hash="a" * 64,
        columns=[{"name": f.name, "type": "timestamp"} for f in declaration.data.features],
        boundary=INSTANT,
        rows={"train": COUNT, "test": COUNT, "unlabelled": COUNT, "superseded": COUNT},
        time_range=(INSTANT, INSTANT),
        label_mean={"train": LONGEST_NUMBER, "test": LONGEST_NUMBER},
        profile={f.name: number if f.type == "number" else texts for f in declaration.data.features},
        source={"query": snapshot_query(declaration, NOW, LISTING), "as_of": INSTANT},
        parts={
            "train": uri,
            "test": uri,
            "test_features": uri,
            "manifest": f"{uri}.json",
            "manifest_sha256": "a" * 64,
        },
    )
    document: Any = snapshot.to_document()
    record = SnapshotRecord(declaration.model, "a" * 64, "s3://" + "b" * 200, NOW, document)
    found = item_bytes(record.to_item())
    assert found <= sizes.snapshot_record_bytes(declaration) <= 1.35 * found + 4000


def test_the_record_of_a_window(declaration: ModelDeclaration) -> None:
    reference = worst_reference(declaration)
    names = [*reference.features, SCORE]
    share, number, text = ": 99.9% -> 99.9%", NumberBins((-1.2346e-300, -1.2345e-300)).label(1), ASTRAL * LONGEST_SHOWN
    categories = {f.name for f in declaration.data.categories}
    found = [
        FeatureDrift(
            n,
            31,
            LONGEST_NUMBER,
            LONGEST_NUMBER,
            LONGEST_NUMBER,
            False,
            (f"{text}…" if n in categories else number) + share,
        )
        for n in names
    ]
    cells = (COUNT,) * sizes.SCORE_BINS
    sums: dict[str, Any] = {f.name: LONGEST_NUMBER for f in fields(Outcomes) if f.type == "float"}
    assert len(sums) == 9
    outcomes = Outcomes(COUNT, ones=cells, zeros=cells, **sums)
    counts = {name: BinCounts((COUNT,) * f.bins.size, COUNT) for name, f in reference.features.items()}
    profile = Profile(reference.bins_id, COUNT, counts, BinCounts(cells, COUNT), outcomes)
    unlabelled = Outcomes(ones=(0,) * sizes.SCORE_BINS, zeros=(0,) * sizes.SCORE_BINS)
    known = replace(reference, outcomes=unlabelled, outcome_days=30)
    sentence = f"Drift has alarmed in 36500 windows one after another: {', '.join(names)}."
    window = window_record(
        model=declaration.model,
        windows=windows_at(declaration, NOW),
        version=10**9,
        counted=Counted(profile, COUNT, LabelCounts(COUNT, COUNT, COUNT), COUNT),
        drift=DriftReport(True, COUNT, tuple(found)),
        quality=judge_quality(known, [unlabelled], trigger=None, window_days=1, minimum_rows=9, rarest_fault=0.02),
        decision=Decision(True, "drift", "normal", "quota", (Reason("drift", sentence), Reason("quota", "x" * 300))),
        not_watched={},
        score_reference=OwnScores(COUNT, COUNT, COUNT, COUNT, INSTANT, INSTANT),
    )
    size = item_bytes(Window(declaration.model, NOW, window.to_document()).to_item())
    assert size <= sizes.window_record_bytes(declaration) <= 1.35 * size + 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (
            (1200, 0, 1),
            [
                "the record of a training set could take",
                "Athena accepts at most 262,144",
                "DynamoDB accepts at most 409,600",
            ],
        ),
        ((0, 60, 1024), ["more than 10 queries of 262,144 bytes"]),
        ((0, 260, 1024), ["one captured row could take", "Firehose accepts at most 1,024,000"]),
    ],
)
def test_too_wide_a_model_is_refused_with_the_number_and_the_limit(shape: tuple[int, int, int], says: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document(*shape)))
    assert {mistake.path for mistake in refused.value.mistakes} == {"data.features"}
    for sentence in says:
        assert sentence in str(refused.value)
    assert f"fewer than these {shape[0] + shape[1]} features" in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(("categories", "length"), [(False, 1), (True, 64), (True, 1024)])
def test_the_widest_model_that_is_taken_is_written_within_every_limit(categories: bool, length: int) -> None:
    """At the limit it works; one feature more is refused."""

    def taken(count: int) -> bool:
        shape = (0, count, length) if categories else (count, 0, 1)
        try:
            declare(document(*shape))
        except ValueError:
            return False
        return True

    most = bisect.bisect_left(range(1, 2000), True, key=lambda count: not taken(count))
    assert taken(most)
    assert not taken(most + 1)
    assert most > {1: 500, 64: 150, 1024: 28}[length]
    widest = declare(document(0, most, length) if categories else document(most, 0, 1))
    queries = profile_queries.profile_queries(widest, worst_reference(widest), windows_at(widest, NOW), version=10**9)
    assert len(queries) <= profile_queries.MOST_QUERIES
    assert len(snapshot_query(widest, NOW, LISTING).encode()) <= LONGEST_QUERY_BYTES
