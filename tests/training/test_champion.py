"""The champion is the registered one, and scores the same rows, or the evaluation stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from everloop.instants import parse_instant
from everloop.serving.contract import NumberField
from everloop.training.champion import fetch_champion
from everloop.training.channels import Split, read_split
from everloop.training.exceptions import ChampionError
from everloop.training.scoring import BATCH, arrays, measure_latency, score
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, VERSION, StoredArtifact
from tests.training.scenes import classification, rows, write_parts

URI = f"s3://artifacts/{PREFIX}"


def split_of(folder: Path) -> Split:
    declaration = classification()
    split = read_split(write_parts(rows(declaration, 300, 0, 1), folder / "c"), declaration, labelled=True)
    return replace(split, features=split.features.assign(day="mon"))


def test_the_champion_scores_the_rows_by_its_own_contract(tmp_path: Path) -> None:
    champion = fetch_champion(URI, FakeS3(StoredArtifact().objects), model=MODEL)
    assert champion.version == VERSION
    split = split_of(tmp_path)
    split = replace(split, features=split.features.fillna({"wind": 1.0}))
    num, cat = arrays(champion.contract, split)
    scores = score(champion.scorer, num, cat)
    assert scores.shape == (300,)
    latency = measure_latency(champion.scorer, num, cat)
    assert 0 < latency.p50 <= latency.p99


def test_many_rows_are_scored_in_batches_to_the_same_values() -> None:
    champion = fetch_champion(URI, FakeS3(StoredArtifact().objects), model=MODEL)
    count = BATCH + 7
    num = np.random.default_rng(0).normal(size=(count, 2))
    cat = np.full((count, 3), "north", dtype=object)
    assert (score(champion.scorer, num, cat) == champion.scorer.score(num, cat)).all()


def test_a_feature_that_was_dropped_is_named_with_the_way_out(tmp_path: Path) -> None:
    champion = fetch_champion(URI, FakeS3(StoredArtifact().objects), model=MODEL)
    gone = replace(champion.contract, numbers=(*champion.contract.numbers, NumberField("tail_wind")))
    with pytest.raises(
        ChampionError,
        match=r"'tail_wind', which the declaration no longer has.*declare it again, take it out of the training script",
    ):
        arrays(gone, split_of(tmp_path))


@pytest.mark.parametrize("uri", ["", "nothing", "https://host/x", "s3://bucket", "s3:///key"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(ChampionError, match="neither s3://bucket/prefix/ nor 'none'"):
        fetch_champion(uri, FakeS3(), model=MODEL)


def test_rows_up_to_the_newest_it_learned_from_are_not_new_to_the_champion() -> None:
    # GIVEN a champion that learned up to an instant; WHEN rows lie before, at and after it
    stored = StoredArtifact(learned_until="2013-02-01T06:00:00.250Z")
    champion = fetch_champion(URI, FakeS3(stored.objects), model=MODEL)
    times = np.array(["2013-01-31T06:00", "2013-02-01T06:00:00.250", "2013-02-01T06:00:00.251"], "datetime64[ms]")
    # THEN the last alone is new
    assert champion.has_not_learned(times).tolist() == [False, False, True]


def test_a_champion_without_a_training_record_learned_from_nothing_later_than_its_registration() -> None:
    stored = StoredArtifact(recorded=False)
    champion = fetch_champion(URI, FakeS3(stored.objects), model=MODEL)
    assert champion.learned_until == parse_instant("2013-03-01T05:00:00Z")


@pytest.mark.parametrize("record", [b"{}", b"[]", b"7", b"\xff", b'{"time_range": ["2013-01-01T00:00:00Z"]}'])
def test_a_champion_that_does_not_say_what_it_learned_from_is_refused(record: bytes) -> None:
    stored = StoredArtifact(record=record)
    with pytest.raises(ChampionError, match=r"training\.json does not say until which row"):
        fetch_champion(URI, FakeS3(stored.objects), model=MODEL)


@pytest.mark.parametrize("name", ["manifest.json", "contract.json", "model.onnx", "training.json"])
def test_a_file_that_is_absent_or_changed_is_refused(name: str) -> None:
    objects = StoredArtifact().objects
    with pytest.raises(ChampionError, match=name):
        fetch_champion(URI, FakeS3({k: v for k, v in objects.items() if not k.endswith(name)}), model=MODEL)
    with pytest.raises(ChampionError, match=name):
        fetch_champion(URI, FakeS3({**objects, PREFIX + name: b"{}"}), model=MODEL)


def test_another_models_artefact_is_refused() -> None:
    with pytest.raises(ChampionError, match="an artefact of 'late_train', not of 'fraud'"):
        fetch_champion(URI, FakeS3(StoredArtifact().objects), model="fraud")
