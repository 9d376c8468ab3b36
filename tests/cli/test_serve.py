"""``everloop serve``: a process that listens, answers every protocol, and ends cleanly when it is told to."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.serving import Chosen, start
from everloop.names import PREVIOUS_CHAMPION
from everloop.serving.standby import STANDBY_VARIABLE, Standby
from tests.everloop.server.test_application import ask
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, VERSION, StoredArtifact, row, small_model
from tests.helpers.declarations import binary_document, declare
from tests.helpers.server import Server, stored_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    stored_in(folder)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder) as server:
        yield server


@pytest.mark.slow
def test_it_says_what_it_serves_and_where(server: Server) -> None:
    facts = {name: server.facts[name] for name in ("model", "version", "signed_by", "calibration", "capture")}
    assert facts == {"model": "late_train", "version": 7, "signed_by": None, "calibration": None, "capture": None}


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/predictions", "/models/late_train/predictions", "/invocations"])
def test_it_answers(server: Server, path: str) -> None:
    status, body = server.ask("POST", path, {"instances": [row("t1")]})
    assert status == 200
    assert json.loads(body)["predictions"][0]["prediction"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/ping", "/v2/health/ready", "/metrics", "/version"])
def test_it_has_pages(server: Server, path: str) -> None:
    assert server.ask("GET", path)[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_was_asked_and_ends_without_an_error(folder: Path, number: signal.Signals) -> None:
    server = Server(folder)
    connection = http.client.HTTPConnection(server.address, timeout=60)
    body = json.dumps({"instances": [row("t1")]}).encode()
    # GIVEN a request whose body has not all arrived
    connection.putrequest("POST", "/predictions")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[:10])
    assert server.ask("GET", "/ping")[0] == 200
    # WHEN the process is told to stop, and then the rest comes
    server.process.send_signal(number)
    rest = threading.Timer(0.5, connection.send, [body[10:]])
    rest.start()
    # THEN it is answered
    assert connection.getresponse().status == 200
    rest.join()
    output, errors = server.process.communicate(timeout=60)
    assert (server.process.returncode, output, errors) == (0, "", "")


NOT_FOR_AN_ANSWER = (
    *("boto3", "botocore", "rich", "pydantic", "yaml", "pandas", "pyarrow", "scipy", "requests", "urllib3", "jinja2"),
    *("localcloud", "moto", "everloop.aws", "everloop.cli.account", "everloop.cli.layout", "everloop.cli.failures"),
    *("everloop.evaluation", "everloop.model_file", "everloop.monitoring", "everloop.registry", "everloop.retraining"),
    *("everloop.serving.openapi", "everloop.serving.fallback", "everloop.statistics", "everloop.training"),
)
"""What a server of files in a folder, that nobody captures, has no use for; packages stand for what is below them."""


@pytest.mark.slow
def test_until_its_first_answer_it_imports_what_an_answer_needs_alone(folder: Path, tmp_path: Path) -> None:
    """Each start of a container waits for these imports, and so does each instance that an endpoint grows by."""
    log = tmp_path / "imports.txt"
    with Server(folder, flags=["-X", "importtime"], errors=log) as server:
        assert server.ask("POST", "/predictions", {"instances": [row("t1")]})[0] == 200
    loaded = {line.rpartition("|")[2].strip() for line in log.read_text().splitlines() if line.startswith("import")}
    assert {"onnxruntime", "uvicorn", "everloop.server.run", "everloop.serving.direct"} <= loaded
    below = tuple(f"{name}." for name in NOT_FOR_AN_ANSWER)
    assert [name for name in sorted(loaded) if name in NOT_FOR_AN_ANSWER or name.startswith(below)] == []


def refused(artefact: Path | str, **given: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        start(Chosen(str(artefact), **given), host="127.0.0.1", port=0, queue=1, capture=None)
    return caught.value


def test_without_a_hash_nothing_is_served(folder: Path) -> None:
    error = refused(folder)
    assert "which version" in error.message
    assert "--manifest-sha256" in error.remedy


def test_another_hash_or_no_files_are_refused(folder: Path, tmp_path: Path) -> None:
    assert "expected sha256 0000" in refused(folder, manifest_sha256="0" * 64).message
    assert "No such file" in refused(tmp_path, manifest_sha256="0" * 64).message
    assert "No such file" in refused("/opt/ml/model", manifest_sha256="0" * 64).message


def started_facts(chosen: Chosen) -> dict[str, Any]:
    started = start(chosen, host="127.0.0.1", port=0, queue=1, capture=None)
    started.listening.close()
    return started.facts


def in_folder(folder: Path, stored: StoredArtifact) -> Chosen:
    for key, data in stored.objects.items():
        (folder / key.removeprefix(PREFIX)).write_bytes(data)
    return Chosen(str(folder), manifest_sha256=stored.manifest_sha256)


def test_who_signed_a_folder_is_named_by_hand_or_not_checked(tmp_path: Path) -> None:
    stored = StoredArtifact()
    signer = stored.sign()
    chosen = in_folder(tmp_path, stored)
    assert started_facts(chosen)["signed_by"] is None
    assert started_facts(replace(chosen, signed_by=signer))["signed_by"] == signer
    assert (
        "expected a signature by key ffff"
        in refused(tmp_path, manifest_sha256=chosen.manifest_sha256, signed_by="f" * 64).message
    )


def serving_manifest_of(stored: StoredArtifact, folder: Path, **changes: Any) -> Path:
    """A serving manifest, as a release that signs or one before it wrote it."""
    artifact = {"bucket": "artifacts", "prefix": PREFIX, "manifest_sha256": stored.manifest_sha256, **changes}
    file = folder / "serving.json"
    file.write_text(json.dumps({"model": MODEL, "version": VERSION, "artifact": artifact, "calibration": None}))
    return file


def test_a_serving_manifest_says_who_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredArtifact()
    signer = stored.sign()

    class InS3:
        def client(self, _service: str) -> FakeS3:
            return FakeS3(stored.objects)

    monkeypatch.setattr("everloop.cli.account.Account", InS3)
    signed = serving_manifest_of(stored, tmp_path, signer=signer)
    assert started_facts(Chosen(str(signed)))["signed_by"] == signer
    assert "found one by key" in refused(signed, signed_by="f" * 64).message
    stored.sign("another")
    assert "found one by key" in refused(signed).message
    for earlier in ({}, {"signer": None}):
        assert started_facts(Chosen(str(serving_manifest_of(stored, tmp_path, **earlier))))["signed_by"] is None


def test_a_version_is_chosen_of_a_model_only(folder: Path) -> None:
    assert "--version" in refused(folder, version=3).message


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    chosen = Chosen(str(folder), manifest_sha256=StoredArtifact().manifest_sha256)
    options: dict[str, Any] = {"host": "127.0.0.1", "queue": 1, "capture": None}
    first = start(chosen, port=0, **options)
    with first.listening, pytest.raises(CommandError, match="can't be had: Address already in use"):
        start(chosen, port=first.listening.getsockname()[1], **options)


def test_a_file_that_can_not_be_written_to_is_named(folder: Path, tmp_path: Path) -> None:
    chosen = Chosen(str(folder), manifest_sha256=StoredArtifact().manifest_sha256)
    with pytest.raises(CommandError, match="can't be written to"):
        start(chosen, host="127.0.0.1", port=0, queue=1, capture=tmp_path / "no" / "rows.jsonl")


def declared(**changes: Any) -> Any:
    """A declaration as its file is read, with a fallback."""
    document = binary_document(serving={"fallback": {"use": "value", "value": 0.7}}, **changes)
    return declare(document).model_dump(mode="json")


def test_its_declared_fallback_answers_where_the_model_can_not(tmp_path: Path) -> None:
    # GIVEN a version that has no score for any row, and a feature that is declared and that it does not use
    stored = StoredArtifact(model=small_model(bias=float("nan")))
    for key, data in stored.objects.items():
        (tmp_path / key.removeprefix(PREFIX)).write_bytes(data)
    chosen = Chosen(str(tmp_path), manifest_sha256=stored.manifest_sha256, declaration=declared())
    started = start(chosen, host="127.0.0.1", port=0, queue=1, capture=tmp_path / "rows.jsonl")
    started.listening.close()
    # WHEN it is asked
    body = json.dumps({"instances": [row("t1")]}).encode()
    status, headers, answer = asyncio.run(ask(started.application, "/invocations", [body]))
    # THEN the fallback answers, and what is kept, counted and said shows it
    assert (status, json.loads(answer)["fallback"], started.facts["fallback"]) == (200, "value", "value")
    assert headers["x-amzn-sagemaker-custom-attributes"] == "fallback=value"
    (kept,) = (json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines())
    assert (kept["fallback"], kept["version"], kept["probability"]) == ("value", None, 0.7)
    page = asyncio.run(ask(started.application, "/metrics", method="GET"))[2].decode()
    assert "everloop_fallback_answers_total 1.0" in page
    assert "everloop_predictions_total 0.0" in page


def test_the_declaration_is_the_models_own(folder: Path) -> None:
    chosen = Chosen(str(folder), manifest_sha256=StoredArtifact().manifest_sha256, declaration=declared(model="other"))
    with pytest.raises(CommandError, match="is a version of late_train, not of other"):
        start(chosen, host="127.0.0.1", port=0, queue=1, capture=None)


def test_the_previous_champion_answers_in_a_container_that_was_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a version that has no score for any row, and the files of the champion before in S3
    stored, before = StoredArtifact(model=small_model(bias=float("nan"))), StoredArtifact()
    for key, data in stored.objects.items():
        (tmp_path / key.removeprefix(PREFIX)).write_bytes(data)

    class InS3:
        def client(self, _service: str) -> FakeS3:
            return FakeS3(before.objects)

    monkeypatch.setattr("everloop.cli.account.Account", InS3)
    standby = Standby(VERSION, f"s3://artifacts/{PREFIX}", before.manifest_sha256)
    document = declare(binary_document(serving={"fallback": {"use": PREVIOUS_CHAMPION}})).model_dump(mode="json")
    found = {}
    for told in ({STANDBY_VARIABLE: standby.to_text()}, {}):
        chosen = Chosen(str(tmp_path), manifest_sha256=stored.manifest_sha256, declaration=document, container=told)
        started = start(chosen, host="127.0.0.1", port=0, queue=1, capture=None)
        started.listening.close()
        # WHEN it is asked
        body = json.dumps({"instances": [row("t1")]}).encode()
        found[started.facts["fallback"]] = asyncio.run(ask(started.application, "/invocations", [body]))
    # THEN that champion answers; a server that nobody told of one has none
    status, _headers, answer = found[PREVIOUS_CHAMPION]
    assert (status, json.loads(answer)["fallback"]) == (200, PREVIOUS_CHAMPION)
    assert found[None][0] == 500
