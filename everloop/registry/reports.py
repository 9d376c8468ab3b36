"""Whether a version's gate verdict rests on the report that lies beside it.

The verdict reaches the registry through the register function, which may be wrong or lie. The report is evidence of
its own: its hash is on the audit chain, and its bytes lie locked in the artefact bucket.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from everloop.documents.records import AuditDetails
from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.money_gate import money_document
from everloop.evaluation.report import Report
from everloop.manifest import REPORT, restored_report
from everloop.registry.records import AuditRecord, Version
from everloop.registry.restorations import JUDGED_AGAIN
from everloop.registry.states import State

Reader = Callable[[str], bytes | None]
"""The bytes at a key of the artefact bucket; None where nothing lies there."""


def report_problems(versions: Iterable[Version], read: Reader) -> list[str]:
    """What the reports of ``versions`` say against their records, a sentence each."""
    return [f"version {v.version}: {problem}" for v in versions if REPORT in v.files for problem in _of(v, read)]


def restored_report_problems(records: Iterable[AuditRecord], versions: Iterable[Version], read: Reader) -> list[str]:
    """The same of the reports by which versions were judged again, held against the audit chain."""
    prefixes = {version.version: version.artifact_prefix for version in versions}
    found = []
    for record in records:
        prefix = prefixes.get(record.version or 0)
        if record.action not in JUDGED_AGAIN or prefix is None or record.run_id is None:
            continue
        key, details = restored_report(prefix, record.run_id), cast("AuditDetails", record.details)
        content, judged = read(key), details.get("gate", {}).get("report_sha256")
        if content is None:
            found.append(f"version {record.version}: {key} is gone")
        elif (sha256 := hashlib.sha256(content).hexdigest()) != judged:
            found.append(f"version {record.version}: {key} has sha256 {sha256}, and one with {judged} was judged")
    return found


def _of(version: Version, read: Reader) -> Iterator[str]:
    content = read(version.artifact_prefix + REPORT)
    if content is None:
        # Until it is evaluated, the copy of its files may not have ended.
        if version.state is not State.EXPERIMENTING:
            yield f"{version.artifact_prefix}{REPORT} is missing"
        return
    found = hashlib.sha256(content).hexdigest()
    for what, recorded in (
        ("registered", version.files[REPORT]["sha256"]),
        ("judged by the gate", version.gate.get("report_sha256", found)),
    ):
        if recorded != found:
            yield f"{version.artifact_prefix}{REPORT} has sha256 {found}, and one with {recorded} was {what}"
            return
    try:
        report = Report.from_json(content)
    except ReportError as error:
        yield str(error)
        return
    yield from _against(version, report)


def _against(version: Version, report: Report) -> Iterator[str]:
    facts = {
        "model": (report.model, version.model),
        "run": (report.run_id, version.run_id),
        "data snapshot": (report.snapshot_hash, version.snapshot_hash),
        "training code": (report.code_sha256, version.code_sha256),
    }
    for what, (said, recorded) in facts.items():
        if said != recorded:
            yield f"its report has the {what} {said}, but the record has {recorded}"
    for name, recorded_value in version.metrics.items():
        metric = report.candidate.get(name)
        value = None if metric is None else metric.value
        if value is None or not math.isclose(value, recorded_value, rel_tol=1e-12):
            yield f"its report has the {name} {value}, but the record has {recorded_value}"
    recorded_money = version.gate.get("money")
    if recorded_money is not None:
        beside = recorded_money["beside_champion"]
        if recorded_money != money_document(report, "raw" if beside is None else beside["scores"]):
            yield "its report says that decisions cost something else than the record says"
