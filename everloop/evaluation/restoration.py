"""The gate for an older version that is to come back: the same checks as of a new candidate, and two of its own.

It has learned less than what serves. So where nobody asked for it, it must be better, whatever ``gate.policy`` says;
not worse is reason enough for newer knowledge, and none for older.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.dataset.held_groups import HeldGroups
from everloop.evaluation.enough import enough_to_judge
from everloop.evaluation.fairness_gate import on_fairness
from everloop.evaluation.gate import (
    Verdict,
    absolute_limits,
    against_baseline,
    against_champion,
    costs,
    on_serving_cost,
    probed,
)
from everloop.evaluation.held_groups_gate import on_held_groups
from everloop.evaluation.money_gate import in_money
from everloop.evaluation.ranking_gate import on_ranking
from everloop.evaluation.report import Report
from everloop.evaluation.robustness_gate import on_robustness
from everloop.evaluation.slice_gate import on_slices
from everloop.evaluation.standing_gate import on_standing
from everloop.instants import instant_text
from everloop.reasons import Reason, checked
from everloop.recalibration.declared import Scores

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate


@dataclass(frozen=True)
class Expected:
    """What the pipeline knows of the run, and the report therefore must be about.

    Attributes
    ----------
    version : int
        The one to bring back, whose manifest has the hash ``manifest_sha256``.
    test_rows : int
        Rows of the snapshot's test split; the version may have learned from the oldest of them.
    champion_version : int
        The version that served when the run began.
    asked_for : bool
        Whether a person did.
    standing_sha256 : str or None
        Over the files of the standing set; None where none has been chosen yet.
    held_groups : HeldGroups or None
        Those of the declaration.
    """

    model: str
    run_id: str
    snapshot_hash: str
    version: int
    manifest_sha256: str
    test_rows: int
    champion_version: int
    asked_for: bool
    scores: Scores = "raw"
    standing_sha256: str | None = None
    held_groups: HeldGroups | None = None


def decide(report: Report, policy: Gate, expected: Expected) -> Verdict:
    """Decide whether the version may come back; the failed reasons come first."""
    judged = policy if expected.asked_for or policy.policy == "better" else _has_to_be_better(policy)
    reasons = [
        *_identity(report, expected),
        _registered(report, expected),
        probed(report),
        *enough_to_judge(report, judged, expected.champion_version),
        *on_held_groups(report, judged, expected.held_groups, expected.champion_version),
        *against_baseline(report, judged),
        *absolute_limits(report, judged),
        *against_champion(report, judged, expected.champion_version, expected.scores),
        *in_money(report, judged, expected.champion_version, expected.scores),
        *on_ranking(report, judged, expected.champion_version),
        *on_slices(report, judged, expected.champion_version),
        *on_standing(report, judged, expected.standing_sha256, expected.champion_version),
        *on_fairness(report, judged),
        *on_robustness(report, judged),
        *costs(report.latency_ms, report.artifact_bytes, judged),
        *on_serving_cost(report, judged),
    ]
    ordered = sorted(reasons, key=lambda reason: bool(reason.passed))
    return Verdict(all(reason.passed for reason in reasons), tuple(ordered))


def _has_to_be_better(policy: Gate) -> Gate:
    return policy.model_copy(update={"policy": "better", "margin": 0.0})


def _identity(report: Report, expected: Expected) -> Iterator[Reason]:
    found = {
        "model": (report.model, expected.model),
        "run": (report.run_id, expected.run_id),
        "data snapshot": (report.snapshot_hash, expected.snapshot_hash),
        "champion": (report.champion_version, expected.champion_version),
        "version": (report.older.version if report.older else None, expected.version),
    }
    for what, (is_of, should) in found.items():
        if is_of != should:
            yield checked(
                "report_mismatch", False, f"The report is not of this run: its {what} is {is_of}, not {should}."
            )
    if report.test_rows > expected.test_rows:
        sentence = (
            f"The report is about {report.test_rows:,} rows, and the snapshot has {expected.test_rows:,} to test on."
        )
        yield checked("report_mismatch", False, sentence)


def _registered(report: Report, expected: Expected) -> Reason:
    older = report.older
    found = None if older is None else older.manifest_sha256
    if older is None or found != expected.manifest_sha256:
        sentence = (
            f"What was judged has the manifest {found}, and version {expected.version} was registered with "
            f"{expected.manifest_sha256}."
        )
        return checked("registered_files", False, sentence)
    sentence = (
        f"Version {older.version} was judged by its registered files, on the {report.rows:,} of {expected.test_rows:,} "
        f"test rows after {instant_text(older.learned_until)}, up to which it has learned."
    )
    return checked("registered_files", True, sentence)
