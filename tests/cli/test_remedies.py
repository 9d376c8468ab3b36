"""A remedy fits its error: nobody is sent to mend what is not at fault."""

from __future__ import annotations

import errno
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
)

from everloop.cli import main as command_line
from everloop.cli.exceptions import CREDENTIALS_REMEDY, DEPLOY
from everloop.cli.remedies import NETWORK_REMEDY, PERMISSION_REMEDY, aws_remedy, registry_remedy
from everloop.cli.signed_http import remedy
from everloop.registry.exceptions import CorruptRecordError, RegistryError, UnknownRunError, UnknownVersionError
from tests.helpers.present import present


def answered(code: str, status: int = 400) -> ClientError:
    facts: Any = {"Error": {"Code": code, "Message": "as told"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(facts, "GetItem")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (answered("ExpiredTokenException"), CREDENTIALS_REMEDY),
        (answered("InvalidClientTokenId", 403), CREDENTIALS_REMEDY),
        (NoCredentialsError(), CREDENTIALS_REMEDY),
        (NoRegionError(), CREDENTIALS_REMEDY),
        (answered("AccessDeniedException"), PERMISSION_REMEDY),
        (answered("AccessDenied", 403), PERMISSION_REMEDY),
        (answered("403", 403), PERMISSION_REMEDY),
        (EndpointConnectionError(endpoint_url="http://x"), NETWORK_REMEDY),
        (ReadTimeoutError(endpoint_url="http://x"), NETWORK_REMEDY),
        (answered("ThrottlingException"), "busy"),
        (answered("SlowDown", 503), "busy"),
        (answered("InternalError", 500), "not the cause"),
        (answered("ResourceNotFoundException"), "deploy what is missing"),
        (answered("NoSuchBucket", 404), "deploy what is missing"),
        (answered("ValidationException"), "another version"),
        (ParamValidationError(report="x"), "check AWS_REGION"),
    ],
)
def test_an_error_of_aws_is_told_with_what_helps(error: BotoCoreError | ClientError, told: str) -> None:
    assert told in aws_remedy(error)


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "AccessDeniedException", "InternalError", "ValidationException"]
)
def test_nobody_with_good_credentials_is_sent_to_log_in(code: str) -> None:
    assert "aws configure" not in aws_remedy(answered(code, 500 if code == "InternalError" else 400))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnknownVersionError("no version 9"), "everloop status"),
        (UnknownRunError("no run"), "everloop runs list"),
        (CorruptRecordError("x"), "everloop audit verify"),
        (RegistryError("says it itself: name a version"), None),
    ],
)
def test_a_refusal_of_the_registry_is_told_with_what_helps(error: RegistryError, told: str | None) -> None:
    found = registry_remedy(error)
    assert found is None if told is None else told in present(found)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (503, "no_champion", "trains one"),
        (503, "labels_not_stored", "send all of them again"),
        (503, "artifact_refused", "everloop trace"),
        (500, None, "not the cause"),
        (413, "too_large", "fewer rows"),
        (429, None, "in a moment"),
        (400, "out_of_range", "fix the request"),
        (403, None, "execute-api:Invoke"),
    ],
)
def test_an_answer_of_the_api_is_told_with_what_helps(status: int, code: str | None, told: str) -> None:
    found = remedy(status, "late_train", {"error": {"code": code}} if code else {"message": "as told"})
    assert told in found
    assert ("fix the request" in found) == (status == 400)


def test_the_command_line_tells_both(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise answered("ThrottlingException")

    monkeypatch.setattr(command_line.everloop, "main", fail)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("error: An error occurred (ThrottlingException)")
    assert told[1] == "  → the service is busy: repeat this command in a minute"


def ended_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(command_line.everloop, "main", fail)
    monkeypatch.setattr(command_line, "guard_streams", lambda: None)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code in (1, 130)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/report.json"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "you may not read or write there"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "give an existing file or folder"),
        (OSError(errno.EMFILE, "Too many open files"), "end other programs"),
        (OSError(errno.EIO, "Input/output error"), "the operating system refused it"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_helps(
    error: OSError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message, remedy = ended_with(error, monkeypatch, capsys)
    assert message == f"error: {error}"
    assert told in remedy


@pytest.mark.parametrize(
    "error", [KeyError("a\x1b[2J"), ValueError("x"), RecursionError(), UnicodeDecodeError("a", b"", 0, 1, "c")]
)
def test_an_error_that_nobody_foresaw_shows_no_traceback_and_keeps_it(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    message, remedy = ended_with(error, monkeypatch, capsys)
    assert message.startswith(f"error: {type(error).__name__}: ")
    assert "a bug in Everloop" in remedy
    (kept,) = tmp_path.iterdir()
    assert str(kept) in remedy
    assert "Traceback" in kept.read_text()
    assert "\x1b" not in message + kept.read_text()


def test_an_interrupt_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_with(KeyboardInterrupt(), monkeypatch, capsys) == ["interrupted"]


def test_what_deploys_is_pinned_as_the_docs_pin_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "after-deploy.md").read_text(encoding="utf-8")
    assert f"{DEPLOY}\n" in page
