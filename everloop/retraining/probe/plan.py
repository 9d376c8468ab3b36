"""What the job of a probe is asked for beside its rows, and how its result is read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from everloop.documents.probe import DailyLosses, KeptProbe, OlderVersion, ProbeDocument, ProbeRequest
from everloop.instants import instant_text
from everloop.json_text import read_json
from everloop.registry.records import Probe
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import FreshProbeError
from everloop.retraining.probe.requests import ProbeWindow
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
    """The newest versions that have served to the end of their rollout, without the champion."""
    served = sorted({r.version for r in store.rollouts.all() if r.status == "completed"} - {champion}, reverse=True)
    return [
        {"version": number, "uri": f"s3://{bucket}/{store.versions.get(number).artifact_prefix}"}
        for number in served[:MOST_OLDER_VERSIONS]
    ]


def read_result(body: bytes, request: ProbeRequest, declaration: ModelDeclaration, place: str) -> ProbeDocument:
    """What the job wrote, which has to be of what was asked for.

    Raises
    ------
    FreshProbeError
        When it is of another model, window or metric, or its days do not fit.
    DocumentRefusedError, ValueError
        When it is no such document.
    """
    found = read_as(ProbeDocument, read_json(body), f"result of a probe ({place})", "let the next probe replace it")
    if found["model"] != request["model"]:
        raise FreshProbeError(f"{place} is of {found['model']}, and a probe of {request['model']} was asked for")
    for name, there, asked in (
        ("window_start", found["window_start"], request["window_start"]),
        ("window_end", found["window_end"], request["window_end"]),
        ("as_of", found["as_of"], request["as_of"]),
    ):
        if there != asked:
            told = f"{instant_text(there)}, and {instant_text(asked)} was asked for"
            raise FreshProbeError(f"{place} has the {name} {told}")
    if found["metric"] != declaration.gate.metric:
        raise FreshProbeError(f"{place} is about {found['metric']}, and gate.metric is {declaration.gate.metric}")
    days = len(found["days"])
    champion = found["champion"]
    by_day: list[DailyLosses] = [found["fresh"], *(past["losses"] for past in found["past"])]
    if found["recent"] is not None:
        by_day.append(found["recent"]["losses"])
    counts = [found["rows"]]
    if champion is not None:
        by_day += [champion["losses"], champion["fresh"], *(v["losses"] for v in champion["versions"])]
        counts.append(champion["rows"])
    money = declaration.problem.has_prices
    for losses in by_day:
        if len(losses["loss"]) != days or (len(losses["money"] or ()) != (days if money else 0)):
            raise FreshProbeError(f"{place} has losses of another number of days than its {days}")
        if not all(map(math.isfinite, [*losses["loss"], *(losses["money"] or ())])):
            raise FreshProbeError(f"{place} has a loss that is no finite number")
    if any(len(rows) != days for rows in counts) or not sum(found["rows"]):
        raise FreshProbeError(f"{place} counts the rows of another number of days than its {days}, or none")
    return found
