"""What a person reads of calibrations, and what they may name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from moto import mock_aws

from everloop.cli.commands.calibration import COVERED, covered
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.calibrations import Calibrations, calibrations_of, named_calibration
from everloop.cli.operations.stories import calibration_sentence, describe
from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.sums import ValueSums
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.present import present
from tests.helpers.recalibration_documents import recalibration_document
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
    assert calibration_sentence(found.in_force, found.freeze) == "none: raw scores are served"
    assert all(raw == served for raw, served in found.moves())


def test_with_one_it_is_shown_what_it_does(store: RegistryStore) -> None:
    crown(store, "train-1")
    record = calibrate(store, at(100), level=-0.5)
    found = calibrations_of(store)
    said = calibration_sentence(found.in_force, found.freeze)
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
    found = replace(calibrations_of(store), latest=recalibration_document(sums=sums))
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
        "version 1: the raw score serves again: answers look wrong",
        "calibrations resumed: found out",
        "calibrations frozen: answers look wrong",
    ]


SHARED = Calibration("log_odds", (Part(1.0, -0.5, 1.0),), 3.0)
GROUPED = replace(SHARED, by=GroupBy("origin", values=("a", "b")), groups=((Part(1.0, 1.0, 1.0),), None))
ESTIMATE = {"value": 0.1, "low": 0.05, "high": 0.15}


def grouped(store: RegistryStore, withheld: str | None = None) -> Calibrations:
    """A champion that is served by group, and what its last window says of that."""
    told = {"by": "origin", "rows": {"a": 300, "b": 3}, "waits_for": {"b": "too few"}, "fairness": None}
    made = SHARED if withheld else GROUPED
    record = calibrate(store, at(100), made=made, groups={**told, "withheld": withheld})
    losses = {"rows": 100, "shared": 60.0, "own": 50.0}
    group = {"sums": {}, "state": {}, "losses": losses, "waits_for": None}
    none = {**group, "losses": {"rows": 0, "shared": 0.0, "own": 0.0}, "waits_for": "3 labelled rows so far"}
    fares = {"calibration": ESTIMATE, "slope": None}
    fairness: dict[str, Any] = {"by": "origin", "days": 7, "gaps": {}}
    fairness["groups"] = {"a": {"rows": 9, "ones": 3, "before": fares, "shared": fares, "after": fares}}
    groups = {"by": {"feature": "origin", "values": ["a", "b"]}, "groups": {"a": group, "b": none}}
    latest = recalibration_document(
        sums={"kind": "log_odds"}, groups={**groups, "fairness": fairness, "withheld": withheld}
    )
    assert record.groups is not None
    return replace(calibrations_of(store), latest=latest)


def test_groups_are_shown_beside_all_others(store: RegistryStore) -> None:
    crown(store, "train-1")
    found = grouped(store)
    a, b = found.of_groups()
    assert (a.name, a.apart, a.loss_shared, a.loss_own, a.why_not) == ("a", True, 0.6, 0.5, None)
    assert (b.name, b.apart, b.loss_own, b.why_not) == ("b", False, None, "3 labelled rows so far")
    assert b.served == [served for _, served in found.moves()]
    assert all(one > other for one, other in zip(a.served, b.served, strict=True))
    assert (a.before, b.before) == ({"calibration": ESTIMATE, "slope": None}, None)
    assert "state" not in json.dumps(found.to_json())
    said = calibration_sentence(found.in_force, found.freeze)
    assert said.endswith("served apart by origin: a")
    assert [describe(r) for r in store.ledger.audit_records()][-1].endswith("served apart by origin: a")


def test_why_no_group_is_served_apart_is_said(store: RegistryStore) -> None:
    crown(store, "train-1")
    found = grouped(store, "the gap by origin would be 0.3, and 0.2 is declared")
    said = calibration_sentence(found.in_force, found.freeze)
    assert said.endswith("no group is served apart: the gap by origin would be 0.3, and 0.2 is declared")
    assert [group.apart for group in found.of_groups()] == [False, False]
    assert [describe(r) for r in store.ledger.audit_records()][-1].endswith("and 0.2 is declared")


BORN = {"coverage": 0.9, "below": 2.0, "above": 4.0}
SERVED = {
    "rows": 600, "windows": 3, "coverage": 0.91, "low": 0.87, "high": 0.94, "mean_width": 7.5, "score": 9.0
}  # fmt: skip
RAW = {**SERVED, "coverage": 0.7, "low": None, "mean_width": 6.0, "score": 14.0}


def test_intervals_are_shown_as_they_were_at_birth_and_as_they_are(store: RegistryStore) -> None:
    crown(store, "train-1")
    made = Calibration("value", (Part(1.0, 1.0, 1.0),), 3.0, spread=(0.5, 1.5))
    told = {"interval": BORN, "factors": [0.5, 1.5], "served": SERVED, "raw": RAW}
    record = calibrate(store, at(100), made=made, interval=told)
    # GIVEN what the last window recorded
    spread = {**told, "sums": {}, "state": {}, "told": {}}
    latest = recalibration_document(sums=ValueSums.none(0.0).to_document(), spread=spread)
    found = replace(calibrations_of(store), latest=latest)
    shown = present(found.intervals())
    assert (shown.coverage, shown.born, shown.in_force) == (0.9, (2.0, 4.0), (1.0, 6.0))
    assert covered(shown.served, "coverage") == "0.910 (0.870 to 0.940)"
    assert [covered(shown.raw, name) for name in COVERED] == ["0.700", "600", "6", "14"]
    assert covered(None, "coverage") == ""
    # AND neither sums nor states stand in the answer for programs
    document: Any = found.to_json()["latest"]
    assert document["spread"] == told
    # AND the record and the audit chain tell of them
    assert store.calibrations.in_force(store.versions.champion()) == record
    assert record.interval == told
    said = describe([*store.ledger.audit_records()][-1])
    assert said.endswith("intervals reach 0.50 times as far below as at birth, and 1.50 times as far above")
    assert verify_audit(store).problems == []


def test_without_intervals_none_are_shown(store: RegistryStore) -> None:
    crown(store, "train-1")
    calibrate(store, at(100))
    found = calibrations_of(store)
    assert found.intervals() is None
    assert replace(found, latest=recalibration_document(sums=ValueSums.none(0.0).to_document())).intervals() is None
    assert "intervals" not in describe([*store.ledger.audit_records()][-1])
