"""The standing set in the jobs: no training learns from it, and an evaluation scores candidate and champion on it.

See :mod:`everloop.dataset.standing` for what it is.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from everloop.dataset.part_digest import files_of, part_sha256
from everloop.dataset.standing import NONE, Period
from everloop.documents.snapshot import HELD_OUT
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.evaluation.standing_report import StandingFacts
from everloop.model_file.schema import ModelDeclaration
from everloop.training.candidate import Candidate
from everloop.training.champion import Champion
from everloop.training.channels import Split, read_split
from everloop.training.exceptions import ChannelError, DataDiffersError
from everloop.training.scoring import arrays, score


@dataclass(frozen=True)
class StandingRows:
    """The set as it was fetched.

    Attributes
    ----------
    sha256 : str
        Over its files, as the registry has it.
    rows : Split or None
        None where the declaration can't read them any more; ``why`` says it then.
    """

    sha256: str
    rows: Split | None
    why: str = ""


def require_held_out(train: Split, environment: Mapping[str, str]) -> Period | None:
    """The period that a training is told to learn nothing from; None where it is told of none.

    Raises
    ------
    DataDiffersError
        When a row to learn from is of this period.
    """
    period = Period.parse(environment.get(HELD_OUT, NONE))
    if period is None:
        return None
    inside = train.after(period.after) & ~train.after(period.until)
    if inside.any():
        raise DataDiffersError(
            f"{int(inside.sum()):,} of {len(train):,} rows to learn from are of the standing set's period, {period}:"
            " nothing may be learned from it. Start a new run, which makes the training set again"
        )
    return period


def fetch_standing(uri: str, sha256: str, s3_client: Any, declaration: ModelDeclaration) -> StandingRows | None:
    """Download the set, and hold it against its hash; None where none has been chosen yet.

    Raises
    ------
    DataDiffersError
        When its files are not those that were put aside.
    """
    if uri == NONE:
        return None
    place = urlsplit(uri)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=place.path.lstrip("/"))
        for item in (item for page in pages for item in page.get("Contents", [])):
            with (folder / item["Key"].rpartition("/")[2]).open("wb") as file:
                s3_client.download_fileobj(place.netloc, item["Key"], file)
        found = part_sha256(files_of(folder))
        if found != sha256:
            raise DataDiffersError(
                f"the files of the standing set, {uri}, are not those that were put aside: together they have sha256"
                f" {found}, and the registry says {sha256}. Restore the first version of each"
            )
        try:
            return StandingRows(sha256, read_split(folder, declaration, labelled=True))
        except ChannelError as error:
            why = str(error).replace(str(folder), uri.rstrip("/"))
            return StandingRows(sha256, None, f"its rows are not what is declared now: {why}")


def standing_of(
    declaration: ModelDeclaration, found: StandingRows | None, candidate: Candidate, champion: Champion | None
) -> StandingFacts | None:
    """Candidate and champion on the set, in the gate's metric by raw scores: recalibration is of the newest rows."""
    if found is None or declaration.gate.standing is None:
        return None
    metric, rows = declaration.gate.metric, found.rows
    if rows is None:
        return StandingFacts(metric, found.sha256, 0, 0, None, None, why=found.why)
    ours = estimate(metric, rows.labels, score(candidate.scorer, *arrays(candidate.contract, rows)))
    facts = StandingFacts(
        metric=metric,
        sha256=found.sha256,
        rows=len(rows),
        days=len(np.unique(rows.days)),
        first=rows.first,
        last=rows.last,
        candidate=metric_value(ours, rows.days),
    )
    known = candidate.training.get("held_out")
    unlearned = None if known is None else Period(known["after"], known["until"])
    if not _has_not_learned(rows, unlearned, candidate.training["time_range"][1]):
        return facts.with_why("the candidate may have learned from them")
    if champion is None:
        return facts
    if not _has_not_learned(rows, champion.held_out, champion.learned_until):
        return facts.with_why(
            f"the champion, version {champion.version}, may have learned from them; its successors have not"
        )
    theirs = estimate(metric, rows.labels, score(champion.scorer, *arrays(champion.contract, rows)))
    if not math.isfinite(ours.value - theirs.value):
        return facts.with_why(f"{metric} is not defined on these rows")
    return facts.beside(champion.version, metric_value(theirs, rows.days), paired_difference(ours, theirs, rows.days))


def _has_not_learned(rows: Split, held_out: Period | None, learned_until: datetime) -> bool:
    """Whether a model kept off the period, or ended before it."""
    return learned_until < rows.first or (held_out is not None and held_out.holds(_utc(rows.first), _utc(rows.last)))


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
