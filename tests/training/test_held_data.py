"""A byte that changes between the snapshot and the job stops the job."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from everloop.dataset.part_digest import files_of, part_sha256
from everloop.documents.snapshot import channel_variable
from everloop.training import evaluate
from everloop.training.exceptions import DataDiffersError
from everloop.training.held_data import hold_channel
from everloop.training.train import Job, hold_rows
from tests.training.scenes import CLASSIFIER, classification, rows, unpacked_source, write_parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_parts(rows(classification(), 30, 0, 1), tmp_path / "train", parts=2)


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_files_of_the_snapshot_are_taken(folder: Path) -> None:
    kept = part_sha256(files_of(folder))
    assert hold_channel(folder, "train", {"EVERLOOP_SHA256_TRAIN": kept}) == kept


@pytest.mark.parametrize("channel", ["train", "test_features", "test"])
def test_a_training_stops_at_a_changed_byte_of_any_channel(folder: Path, channel: str) -> None:
    variable = channel_variable(channel)
    environment = {f"SM_CHANNEL_{channel.upper()}": str(folder), variable: part_sha256(files_of(folder))}
    others = {name: folder.parent / name for name in {"train", "test_features"} - {channel}}
    for name, other in others.items():
        other.mkdir(exist_ok=True)
        environment[f"SM_CHANNEL_{name.upper()}"] = str(other)
    job = Job.read(folder.parent, environment)
    assert set(hold_rows(job)) == {"train", "test" if channel == "test" else "test_features"}
    change_a_byte(folder / "part-1.parquet")
    with pytest.raises(DataDiffersError, match=f"files of channel '{channel}' are not those of the snapshot") as error:
        hold_rows(job)
    assert all(f"{name} {sha256}" in str(error.value) for name, sha256 in files_of(folder).items())


def test_an_evaluation_stops_as_well_and_says_so_where_sagemaker_looks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLOOP_SHA256_TEST", part_sha256(files_of(folder)))
    change_a_byte(folder / "part-0.parquet")
    source = unpacked_source(tmp_path / "source", classification(), CLASSIFIER)
    names = {
        "code": source,
        "model-data": tmp_path,
        "test": folder,
        "output": tmp_path / "o",
        "message": tmp_path / "m",
    }
    options = [f"--{name}={path}" for name, path in names.items()]
    assert evaluate.main([*options, "--champion=none", "--run-id=r", "--snapshot-hash=s"]) == 1
    assert "files of channel 'test' are not those of the snapshot" in (tmp_path / "m").read_text(encoding="utf-8")


def test_a_job_that_is_told_no_hash_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert hold_channel(folder, "train", {}) == part_sha256(files_of(folder))
    assert "channel train are held against no snapshot: EVERLOOP_SHA256_TRAIN is not set" in caplog.text
