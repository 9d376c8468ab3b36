"""``everloop explore``: the newest training set's page, beside the one before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli.commands import explore as command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.documents.exploration import ExplorationDocument
from everloop.documents.snapshot import SnapshotDocument
from everloop.typed_json import as_json
from tests.fakes.aws import aws_client

OLD, NEW = "0a" * 32, "0b" * 32
SNAPSHOT: SnapshotDocument = {
    "boundary": datetime(2013, 5, 1, tzinfo=UTC),
    "rows": {"train": 30, "test": 10, "unlabelled": 0, "superseded": 0},
    "time_range": [datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 6, 1, tzinfo=UTC)],
    "leakage": [{"feature": "wind", "code": "copies_time", "sentence": "it goes with the rows' time"}],
}
EXPLORED: ExplorationDocument = {
    "model": "flights",
    "classification": True,
    "target": "late",
    "features": [
        {
            "name": "wind",
            "present": 30,
            "missing": 10,
            "early_missing": 0.2,
            "late_missing": 0.4,
            "alone": 0.7,
            "looked_at": 20,
            "cells": [{"rows": 30, "sum": 3.0, "least": 0.0, "greatest": 4.0}],
        }
    ],
    "days": [{"day": 15800, "rows": 40, "sum": 4.0, "squares": 4.0}],
    "repeated": 0,
    "correlated": ["wind"],
    "correlations": [[1.0]],
}


def keep(s3: Any, snapshot_hash: str) -> None:
    for name, document in (("snapshot.json", as_json(SNAPSHOT)), ("exploration.json", EXPLORED)):
        key = f"datasets/flights/{snapshot_hash}/{name}"
        s3.put_object(Bucket="lake", Key=key, Body=json.dumps(document).encode())


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket="lake")
        platform = SimpleNamespace(lake_bucket="lake")
        account = SimpleNamespace(platform=platform, client=lambda _: client, model=lambda _: None)
        monkeypatch.setattr(command, "Account", lambda: account)
        monkeypatch.chdir(tmp_path)
        yield client


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(everloop, ["explore", "flights", *arguments], env={"COLUMNS": "160"})


def test_the_newest_is_written_beside_the_one_before(s3: Any, tmp_path: Path) -> None:
    keep(s3, OLD)
    assert typed().exit_code == 0
    assert "There is none." in (tmp_path / "flights-exploration.html").read_text(encoding="utf-8")
    # WHEN there is one more, a second later as S3 counts
    s3.put_object(Bucket="lake", Key=f"datasets/flights/{NEW}/other", Body=b"")
    keep(s3, NEW)
    found = typed("--output", "page.html")
    assert found.exit_code == 0, found.output
    assert "wind" in found.output
    told = json.loads(typed("--json", "--snapshot", NEW[:6]).output)
    assert (told["snapshot_hash"], told["leakage"][0]["code"]) == (NEW, "copies_time")
    assert told["exploration"]["features"] == EXPLORED["features"]


def test_what_is_not_there_is_said(s3: Any) -> None:
    assert isinstance(typed().exception, CommandError)
    keep(s3, OLD)
    refused = typed("--snapshot", "ff")
    assert "no explored training set of flights begins with 'ff'" in str(refused.exception)
