from __future__ import annotations

import os
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader, create_loader

from localcloud.core import data_files


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What botocore looked into from here on, folders and files."""
    for name in ("list_available_services", "load_data_with_path"):
        monkeypatch.setattr(Loader, name, getattr(getattr(Loader, name), "__wrapped__", getattr(Loader, name)))
    monkeypatch.setattr(data_files, "_kept", {})
    monkeypatch.setattr(
        botocore.session, "create_loader", create_loader
    )  # each session has its own, as outside of tests
    data_files.keep()
    found: list[str] = []
    listed, read = os.listdir, JSONFileLoader.load_file

    def noting_folder(place: str) -> list[str]:
        found.append(place)
        return listed(place)

    def noting_file(self: JSONFileLoader, file_path: str) -> object:
        found.append(file_path)
        return read(self, file_path)

    monkeypatch.setattr(os, "listdir", noting_folder)
    monkeypatch.setattr(JSONFileLoader, "load_file", noting_file)
    return found


def ask() -> object:
    session = botocore.session.Session()
    regions = session.get_available_regions("sqs"), session.get_available_partitions()
    return session.get_available_services(), regions, session.get_service_model("sqs").operation_names


def test_another_session_looks_for_nothing_that_all_have_in_common(looked: list[str]) -> None:
    first = ask()
    folders = [place for place in looked if Path(place).is_dir()]
    assert len(folders) > 100, "all services"
    assert any(path.endswith("endpoints") for path in looked)
    looked.clear()
    assert ask() == first
    # The description of the service that is asked for, and its versions.
    assert {Path(place).parent.name for place in looked if "sqs" not in place} <= {"models", "data"}
    assert not any(path.endswith(("endpoints", "partitions")) for path in looked)


def test_sessions_with_data_of_their_own_see_it(looked: list[str], tmp_path: Path) -> None:
    ask()
    (tmp_path / "madeup" / "2026-01-01").mkdir(parents=True)
    (tmp_path / "madeup" / "2026-01-01" / "service-2.json").write_text("{}")
    (tmp_path / "notes.json").write_text('{"of": "this"}')
    other = Loader(extra_search_paths=[str(tmp_path)])
    assert "madeup" in other.list_available_services("service-2")
    assert other.load_data("notes") == {"of": "this"}
    with pytest.raises(DataNotFoundError):
        Loader().load_data("notes")
    with pytest.raises(UnknownServiceError):
        Loader().load_service_model("madeup", "service-2")


def test_what_was_not_there_is_looked_for_again(looked: list[str], tmp_path: Path) -> None:
    loader = Loader(extra_search_paths=[str(tmp_path)])
    with pytest.raises(DataNotFoundError):
        loader.load_data("notes")
    (tmp_path / "notes.json").write_text('{"of": "this"}')
    assert loader.load_data("notes") == {"of": "this"}
