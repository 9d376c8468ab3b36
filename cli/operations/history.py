"""Bring past rows into a model's lake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import RefusedDataError
from everloop.dataset.changes import against_identity, against_lake
from everloop.dataset.exceptions import ColumnsError, DatasetError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import HistoryCheck, check_history
from everloop.dataset.history_file import read_history_file
from everloop.dataset.lake import history_bytes, history_object_key, history_sha256, to_lake_frame
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.dataset.violations import RefusedRow
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.champion_contract import champion_contract
from everloop.shown import on_one_line

NOTHING_IMPORTED = "nothing was imported; `everloop docs data-formats` lists the accepted formats"


@dataclass(frozen=True)
class HistoryImport:
    """What an import did.

    Attributes
    ----------
    rows, unlabelled : int
        Rows imported, and how many of them have no label.
    already_there : bool
        The very same rows had been imported before. Nothing doubles; where others were imported since for their
        keys, these count again.
    refused : tuple of RefusedRow
        Rows left out, each with the rule it breaks.
    notes : tuple of str
        How cells were read, where a person should know.
    """

    uri: str
    rows: int
    unlabelled: int
    already_there: bool
    refused: tuple[RefusedRow, ...]
    notes: tuple[str, ...] = ()


def import_history(
    account: Account,
    declaration: ModelDeclaration,
    file: Path,
    file_format: FileFormat | None = None,
    *,
    skip_refused: bool = False,
) -> HistoryImport:
    """Check the rows of ``file`` against the contract and put them into the lake.

    Parameters
    ----------
    file_format : FileFormat, optional
        What is said about how the file is written.

    Raises
    ------
    RefusedDataError
        The file can't be read, its columns are not the declared ones, or rows break the contract and
        ``skip_refused`` is not set. Nothing was imported.
    """
    account.model(declaration.model)
    notes: list[str] = []
    try:
        frame = read_history_file(file, declaration, file_format, note=notes.append)
    except DatasetError as error:
        raise RefusedDataError(str(error), f"{file_remedy(error, declaration)}; {NOTHING_IMPORTED}") from error
    imported = import_rows(account, declaration, frame, place=str(file), skip_refused=skip_refused)
    return replace(imported, notes=tuple(notes))


def file_remedy(error: DatasetError, declaration: ModelDeclaration) -> str:
    """What to do about a file that can't be read as rows of the declaration."""
    if isinstance(error, ColumnsError):
        return f"rename the file's columns as in models/{declaration.model}/model.yaml, or declare them"
    return "fix the file, or give its format"


def import_rows(
    account: Account, declaration: ModelDeclaration, frame: pd.DataFrame, *, place: str, skip_refused: bool = False
) -> HistoryImport:
    """Check rows of the declared columns and put them into the lake; ``place`` is how errors call them."""
    check = check_history(frame, declaration, account.now())
    if check.violations and not (skip_refused and len(check.accepted)):
        raise RefusedDataError(
            f"{place} breaks the data contract; nothing was imported\n{told(check)}",
            _remedy(check, declaration, skip_refused=skip_refused),
        )
    bucket = account.platform.lake_bucket
    _require_unchanged(account, declaration, bucket)
    rows = to_lake_frame(check.accepted, declaration)
    key = history_object_key(declaration, history_sha256(rows, declaration))
    there = _exists(account, bucket, key)
    # Also when it is there: of two imports of a row the newer object counts, and this is the newest now.
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=history_bytes(rows, declaration))
    return HistoryImport(f"s3://{bucket}/{key}", len(rows), check.unlabelled, there, check.refused)


def _require_unchanged(account: Account, declaration: ModelDeclaration, bucket: str) -> None:
    """Rows that the lake could not take back: under another key or target than the champion's, or of another type.

    No query could read a column of two types again: not the rows of today, nor those of before.
    """
    s3, model = account.client("s3"), declaration.model
    champion = champion_contract(account.registry(model), s3, account.platform.artifact_bucket)
    changes = [] if champion is None else list(against_identity(declaration, champion[1], champion[0]))
    told = {change.name for change in changes}
    recorded = recorded_columns(s3, bucket, model, list_lake(s3, bucket, model))
    changes += [change for change in against_lake(declaration, recorded) if change.name not in told]
    if changes:
        raise RefusedDataError(
            "\n".join(map(str, changes)),
            "nothing was imported; `everloop docs change-a-model` shows the steps",
        )


def _remedy(check: HistoryCheck, declaration: ModelDeclaration, *, skip_refused: bool) -> str:
    """What helps: leaving rows out, where some are bad and some good; mending all of them, where none is good."""
    if not check.refused:
        return f"use the columns that models/{declaration.model}/model.yaml declares, or declare those of the file"
    if not len(check.accepted):
        return "fix the file: it has no good row" + (", so --skip-refused would leave no row" if skip_refused else "")
    return "fix the file, or leave out the bad rows: --skip-refused"


def told(check: HistoryCheck) -> str:
    """Every broken rule, and the first rows that break one, as lines of their own."""
    rules = "\n".join(f"    {violation}" for violation in check.violations)
    named = "\n".join(f"    row {r.row} ({on_one_line(r.key)}): {r.reason}" for r in check.refused[:10])
    more = f"\n    … and {len(check.refused) - 10} more" if len(check.refused) > 10 else ""
    rows = f"\n  refused rows, counted from 1 without the header:\n{named}{more}" if named else ""
    return f"{rules}{rows}"


def _exists(account: Account, bucket: str, key: str) -> bool:
    try:
        account.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    return True
