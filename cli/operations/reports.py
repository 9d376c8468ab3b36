"""The reports of registered versions, where they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.stories import waiver_cells
from everloop.documents.money import MoneyDocument
from everloop.evaluation.money_gate import money_document
from everloop.evaluation.report import Report
from everloop.evaluation.report_page import About, page
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.manifest import REPORT
from everloop.objects import read_object
from everloop.recalibration.declared import Scores
from everloop.registry.exceptions import NoChampionError
from everloop.registry.looks import LookCounts
from everloop.registry.records import Version
from everloop.registry.reports import Reader
from everloop.registry.waivers import Waiver


def reports_in(account: Account) -> Reader:
    """Reads them out of the account's artefact bucket."""
    s3, bucket = account.client("s3"), account.platform.artifact_bucket

    def read(key: str) -> bytes | None:
        try:
            return read_object(s3, bucket, key, LARGEST_DOCUMENT_BYTES)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise

    return read


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a version: what its report says, and what decisions cost by it.

    Attributes
    ----------
    money : MoneyDocument or None
        None where the report says nothing of money.
    looks : LookCounts or None
        How often its test part was looked at by now; None where that was not recorded.
    waivers : tuple of Waiver
        Which of the gate's reasons persons let pass, newest first, in force or not.
    """

    version: Version
    report: Report
    money: MoneyDocument | None
    looks: LookCounts | None = None
    waivers: tuple[Waiver, ...] = ()


def evaluation_of(account: Account, model: str, number: int | None) -> Evaluation:
    """The evaluation of a version, or of the one that serves.

    Raises
    ------
    CommandError
        When its report is gone, or is not the one that was registered.
    RegistryError
        When there is no such version, or none is named and nothing serves.
    """
    store = account.registry(model)
    champion = store.versions.champion() if number is None else None
    if number is None and champion is None:
        raise NoChampionError(f"model {model} has no champion: name a version")
    version = store.versions.get(champion.version if champion is not None else number or 0)
    key, registered = f"{version.artifact_prefix}{REPORT}", version.files[REPORT]["sha256"]
    content = reports_in(account)(key)
    found = None if content is None else hashlib.sha256(content).hexdigest()
    if content is None or found != registered:
        raise CommandError(
            f"{key} {'is missing' if found is None else f'has sha256 {found}'}, and version {version.version} was"
            f" registered with {registered}",
            f"restore the object's registered version; `everloop audit verify {model}` names all that differs",
        )
    report = Report.from_json(content)
    looks = store.looks.counts(report.snapshot_hash)
    granted = tuple(one for one in store.waivers.all() if one.version == version.version)
    return Evaluation(version, report, money_document(report, scores_of(version)), looks, granted)


def write_page(evaluation: Evaluation, file: Path) -> int:
    """Write the evaluation as one HTML page; its size in bytes.

    Raises
    ------
    CommandError
        When the file can't be written.
    """
    return write_html(page(evaluation.report, about(evaluation)), file)


def about(evaluation: Evaluation) -> About:
    """What a page says of the version, beside its report."""
    version = evaluation.version
    gate = version.gate
    return About(
        version=version.version,
        report_sha256=version.files[REPORT]["sha256"],
        verdict=gate.get("verdict", "fail"),
        reasons=gate.get("reasons", []),
        money=evaluation.money,
        looks="" if evaluation.looks is None else evaluation.looks.sentence,
        waivers=[waiver_cells(one) for one in evaluation.waivers],
    )


def write_html(html: str, file: Path) -> int:
    """Write a page; its size in bytes.

    Raises
    ------
    CommandError
        When the file can't be written.
    """
    content = html.encode("utf-8")
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CommandError(
            f"{file} can't be written: {error.strerror}", "name a file in a folder that exists"
        ) from error
    return len(content)


def scores_of(version: Version) -> Scores:
    """By which scores the gate compared a version with its champion."""
    money = version.gate.get("money")
    beside = None if money is None else money["beside_champion"]
    return "raw" if beside is None else beside["scores"]
