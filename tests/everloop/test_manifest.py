"""What writes a manifest and what reads it are one class."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.instants import from_epoch_ms
from everloop.manifest import EVALUATED, FILES, FileEntry, Manifest

TEXTS = st.text(max_size=20)
ENTRIES = st.builds(FileEntry, st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(0, 2**40))
MANIFESTS = st.builds(
    Manifest,
    model=TEXTS,
    version=st.integers(1, 10**6),
    run_id=TEXTS,
    snapshot_hash=TEXTS,
    code_sha256=TEXTS,
    created_at=st.integers(0, 2**41).map(from_epoch_ms),
    files=st.dictionaries(st.sampled_from(FILES), ENTRIES),
    training_days=st.none() | st.integers(1, 10**4),
)


@pytest.mark.slow
@given(MANIFESTS)
def test_what_is_written_is_read_back_the_same(manifest: Manifest) -> None:
    read = Manifest.from_bytes(manifest.content)
    assert read == manifest
    assert read.content == manifest.content
    assert manifest.sha256 == hashlib.sha256(manifest.content).hexdigest()


def test_its_text_is_the_one_that_versions_were_registered_under() -> None:
    """A hash of every registered version stands in a function's configuration: the text can't change."""
    manifest = Manifest(
        "m", 7, "train-1", "s" * 4, "c" * 4, datetime(2013, 3, 1, 5, tzinfo=UTC), {"model.onnx": FileEntry("0" * 64, 5)}
    )
    assert json.loads(manifest.content)["files"] == {"model.onnx": {"bytes": 5, "sha256": "0" * 64}}
    assert manifest.content == (
        b'{"code_sha256":"cccc","created_at":"2013-03-01T05:00:00Z","files":{"model.onnx":{"bytes":5,"sha256":"'
        + b"0" * 64
        + b'"}},"model":"m","run_id":"train-1","snapshot_hash":"ssss","version":7}'
    )


def test_an_evaluation_is_about_files_of_a_version() -> None:
    assert set(EVALUATED) < set(FILES)
