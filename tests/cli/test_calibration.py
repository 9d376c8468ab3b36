"""What a person reads of calibrations, and what they may name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from moto import mock_aws

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.calibrations import calibrations_of, named_calibration, sentence_of
from everloop.cli.operations.stories import describe
from everloop.recalibration.sums import ValueSums
from everloop.registry import RegistryStore
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import at, calibrate, crown, text_at

PERSON = {"reason": "answers look wrong", "actor": "a person"}


@pytest.fixture
def store() -> Iterator[RegistryStore]:
    with mock_aws():
        yield RegistryStore(dynamodb(), TABLE, "flights", pause=lambda _: None)


def test_without_a_champion_it_says_what_to_type(store: RegistryStore) -> None:
    with pytest.raises(CommandError, match="no champion"):
        calibrations_of(store)


def test_without_a_calibration_what_the_model_says_is_served(store: RegistryStore) -> None:
    crown(store, "train-1")
    found = calibrations_of(store)
    assert sentence_of(found.in_force, found.freeze) == "none: what the model says is served"
    assert all(raw == served for raw, served in found.moves())


def test_with_one_it_is_shown_what_it_does(store: RegistryStore) -> None:
    crown(store, "train-1")
    record = calibrate(store, at(100), level=-0.5)
    found = calibrations_of(store)
    said = sentence_of(found.in_force, found.freeze)
    assert said.startswith(f"{record.name}, learned from 300 labelled rows until")
    assert "0.5 raw and 0.4 recalibrated" in said
    moves = dict(found.moves())
    assert list(moves) == [0.1, 0.25, 0.5, 0.75, 0.9]
    assert moves[0.5] < 0.5
    document = json.loads(json.dumps(found.to_json()))
    assert document["served"][2] == {"raw_score": 0.5, "served": moves[0.5]}
    assert [r["window_end"] for r in document["history"]] == [text_at(100)]


def test_of_values_it_is_shown_around_their_mean(store: RegistryStore) -> None:
    crown(store, "train-1")
    scores = np.array([10.0, 10.0, 14.0, 14.0])
    sums = ValueSums.of_rows(scores, scores, 10.0).to_document()
    found = replace(calibrations_of(store), latest={"sums": sums})
    assert [raw for raw, _ in found.moves()] == [8.0, 10.0, 12.0, 14.0, 16.0]


def test_one_is_named_by_the_beginning_of_its_hash(store: RegistryStore) -> None:
    crown(store, "train-1")
    first = calibrate(store, at(100), level=-0.5)
    calibrate(store, at(200), level=-0.7)
    found = calibrations_of(store)
    assert named_calibration(found, first.name) == text_at(100)
    assert named_calibration(found, "none") is None
    for name in ("", "zz"):
        with pytest.raises(CommandError, match="has the name"):
            named_calibration(found, name)


def test_the_audit_tells_it_in_sentences(store: RegistryStore) -> None:
    crown(store, "train-1")
    record = calibrate(store, at(100))
    store.calibrations.revert(1, to=None, lambda_version="10", code_sha256="fc1", at=at(110), **PERSON)
    store.calibrations.resume(at=at(120), reason="found out", actor="a person")
    store.calibrations.freeze(at=at(130), **PERSON)
    assert [describe(r) for r in store.ledger.audit_records()][-4:] == [
        f"version 1: calibration {record.name} serves, learned from 300 labelled rows",
        "version 1: what the model says serves again: answers look wrong",
        "calibrations go on: found out",
        "calibrations are held still: answers look wrong",
    ]
