"""What the job of a probe is asked for beside its rows, and how its result is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from everloop.documents.probe import (
    DailyLosses,
    KeptProbe,
    OlderVersion,
    PlannedWarmStart,
    ProbeDocument,
    ProbePlan,
    ProbeRequest,
)
from everloop.instants import instant_text
from everloop.json_text import read_json
from everloop.registry.records import Probe
from everloop.registry.restorations import served_versions
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import FreshProbeError
from everloop.retraining.probe.requests import ProbeWindow, window_of
from everloop.retraining.probe.rows import learns_from
from everloop.retraining.probe.spans import span_by_probes
from everloop.retraining.probe.windows import lag_days
from everloop.typed_json import read_as

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

MOST_OLDER_VERSIONS = 3
"""Older versions that are scored beside the champion: the newest ones that have served."""


def kept_probes(probes: Iterable[Probe], window: ProbeWindow, most: int) -> list[KeptProbe]:
    """The newest probes of windows before this one."""
    earlier = [p for p in probes if p.window_end < window.end]
    newest = sorted(earlier, key=lambda p: p.window_end, reverse=True)[:most]
    return [{"window_end": p.window_end, "uri": p.uri, "files": dict(p.document["files"])} for p in newest]


def older_versions(store: RegistryStore, bucket: str, *, champion: int | None) -> list[OlderVersion]:
    """The versions that are scored beside the champion, and where they are."""
    return [
        {"version": number, "uri": f"s3://{bucket}/{store.versions.get(number).artifact_prefix}"}
        for number in scored_versions(served_versions(store.rollouts.all()), champion)
    ]


def scored_versions(served: Iterable[int], champion: int | None) -> list[int]:
    """The newest of those that have served to the end of their rollout, without the champion.

    Where an older version serves again, the newest one is among them.
    """
    return sorted({*served} - {champion}, reverse=True)[:MOST_OLDER_VERSIONS]


def fresh_days(
    declaration: ModelDeclaration,
    probes: Sequence[tuple[ProbeDocument, str]],
    window: ProbeWindow,
    labelled: Mapping[int | None, int],
) -> int | None:
    """What a training at the window's begin would have learned from, by the evidence there was then.

    Parameters
    ----------
    probes : sequence of (ProbeDocument, str)
        In any order, each with the hash of its record.
    labelled : mapping
        How many rows there are of each span that a probe can learn from; all rows under None.
    """
    chosen = span_by_probes(declaration, probes, at=window.start)
    days = None if chosen is None else chosen[0].days
    return days if days in labelled else None


def probe_plan(
    declaration: ModelDeclaration,
    request: ProbeRequest,
    *,
    labelled: Mapping[int | None, int],
    inside: int,
    fresh: int | None,
    champion: int | None,
    kept: list[KeptProbe],
    versions: list[OlderVersion],
    parent: PlannedWarmStart | None = None,
) -> ProbePlan:
    """What the job is asked to do.

    Parameters
    ----------
    labelled : mapping
        As of :func:`fresh_days`.
    inside : int
        The labelled rows of the window.
    fresh : int or None
        The span that the probe itself learns from.
    parent : PlannedWarmStart, optional
        What a warm start continues.
    """
    return {
        **request,
        "learns_from": learns_from(declaration, window_of(request)),
        "lag_days": lag_days(declaration),
        "fresh_days": fresh,
        "spans": [
            # Below the plan, so that one input of the job brings both.
            {"days": days, "labelled_rows": count, "folder": f"spans/{'all' if days is None else days}"}
            for days, count in labelled.items()
            if days != fresh
        ],
        "champion": champion,
        "window_rows": inside,
        "labelled_rows": labelled[fresh],
        "kept": kept,
        "versions": versions,
        "warm_start": parent,
    }


def read_result(body: bytes, request: ProbeRequest, declaration: ModelDeclaration, place: str) -> ProbeDocument:
    """What the job wrote, which must be of what was asked for.

    Raises
    ------
    FreshProbeError
        When it is of another model, window or metric, or its days do not fit.
    DocumentRefusedError, ValueError
        When it is no such document.
    """
    found = read_as(
        ProbeDocument, read_json(body), f"result of a probe ({place})", "wait for the next probe, which replaces it"
    )
    if found["model"] != request["model"]:
        raise FreshProbeError(f"{place} belongs to {found['model']}, but a probe of {request['model']} was requested")
    for name, there, asked in (
        ("window_start", found["window_start"], request["window_start"]),
        ("window_end", found["window_end"], request["window_end"]),
        ("as_of", found["as_of"], request["as_of"]),
    ):
        if there != asked:
            told = f"{instant_text(there)}, but {instant_text(asked)} was requested"
            raise FreshProbeError(f"{place} has the {name} {told}")
    if found["metric"] != declaration.gate.metric:
        raise FreshProbeError(f"{place} uses {found['metric']}, but gate.metric is {declaration.gate.metric}")
    days = len(found["days"])
    champion = found["champion"]
    by_day: list[DailyLosses] = [found["fresh"], *(past["losses"] for past in found["past"])]
    by_day += [span["losses"] for span in found.get("spans", [])]
    warm = found.get("warm_start")
    by_day += [] if warm is None else [warm["losses"]]
    counts = [found["rows"]]
    if champion is not None:
        by_day += [champion["losses"], champion["fresh"], *(v["losses"] for v in champion["versions"])]
        counts.append(champion["rows"])
    for losses in by_day:
        if len(losses["loss"]) != days or len(losses["money"] or ()) != days:
            raise FreshProbeError(f"{place} has losses for another number of days than its {days}")
        if not all(map(math.isfinite, [*losses["loss"], *(losses["money"] or ())])):
            raise FreshProbeError(f"{place} has a loss that is not a finite number")
    if any(len(rows) != days for rows in counts) or not sum(found["rows"]):
        raise FreshProbeError(f"{place} counts the rows of another number of days than its {days}, or none")
    return found
