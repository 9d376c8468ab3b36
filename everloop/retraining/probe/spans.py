"""What the probes on record say of the span of rows that a training should learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.documents.probe import DailyLosses, ProbeDocument
from everloop.documents.records import TrainingSpan
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.retraining.probe.windows import lag_days
from everloop.retraining.spans import Lead, SpanChoice, choose_span

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

MOST_PROBES = 20
"""Newest windows that are looked at; older ones count for nothing by then."""

ROOM = 1.5
"""Times ``data.minimum_rows`` that the newest probe found in a span: with fewer, a training might be refused."""


def measured_spans(declaration: ModelDeclaration) -> list[int]:
    """The lengths, in days, of which probes are trained beside the one of all rows; rising."""
    investment = declaration.retraining.investment
    recent = None if investment is None else investment.recent_days
    return sorted({*(declaration.data.training_spans or ()), *(() if recent is None else (recent,))})


def span_by_probes(
    declaration: ModelDeclaration, probes: Sequence[tuple[ProbeDocument, str]], *, at: datetime
) -> tuple[SpanChoice, TrainingSpan] | None:
    """The span that a training at ``at`` learns from; None where it is not chosen by evidence.

    Parameters
    ----------
    probes : sequence of (ProbeDocument, str)
        In any order, each with the hash of its record. One counts once all labels of its window are known.
    """
    spans = declaration.data.training_spans
    if not spans or declaration.retraining.investment is None:
        return None
    known = sorted(
        (p for p in probes if _counts(p[0], declaration, at)),
        key=lambda p: p[0]["window_end"],
    )[-MOST_PROBES:]
    documents = [document for document, _ in known]
    choice = choose_span({days: lead_of(documents, days) for days in spans}, unit=declaration.gate.metric)
    if choice.days is not None and not _has_room(declaration, documents[-1], choice.days):
        choice = _without_room(declaration, choice, choice.days)
    return choice, {
        "days": choice.days,
        "reason": choice.reason.as_dict(),
        "leads": [
            {"days": days, "less": lead.less, "error": lead.error, "windows": lead.windows, "labelled_days": lead.days}
            for days, lead in choice.leads.items()
        ],
        "probes": [{"window_end": document["window_end"], "sha256": sha256} for document, sha256 in known],
    }


def lead_of(documents: Sequence[ProbeDocument], days: int) -> Lead:
    """How far probes of the newest days are ahead of those of all rows, in the gate's metric, by labelled day."""

    def both(document: ProbeDocument) -> tuple[DailyLosses, DailyLosses] | None:
        by_span = losses_by_span(document)
        return (by_span[None], by_span[days]) if None in by_span and days in by_span else None

    return lead_over(documents, both)


def lead_over(
    documents: Sequence[ProbeDocument], both: Callable[[ProbeDocument], tuple[DailyLosses, DailyLosses] | None]
) -> Lead:
    """How far one kind of probe is ahead of another, in the gate's metric, by labelled day.

    Parameters
    ----------
    both : callable
        The losses of those that may be behind, and of those that may be ahead; None of a window without one of them.
    """
    less: list[list[float]] = []
    for document in documents:
        found, rows = both(document), document["rows"]
        if found is None:
            continue
        # Mean losses of a row by day, each day weighing by its rows within its window.
        mean = sum(rows) / sum(count > 0 for count in rows)
        days_of = zip(rows, found[0]["loss"], found[1]["loss"], strict=True)
        less.append([(behind - ahead) / mean for count, behind, ahead in days_of if count])
    return Lead.of(less)


def losses_by_span(document: ProbeDocument) -> dict[int | None, DailyLosses]:
    """What the window's probes lost, by what they learned from."""
    others = {span["days"]: span["losses"] for span in document.get("spans", [])}
    return {**others, document.get("fresh_days"): document["fresh"]}


def _counts(document: ProbeDocument, declaration: ModelDeclaration, at: datetime) -> bool:
    labelled = document["window_end"] + timedelta(days=lag_days(declaration))
    return document["metric"] == declaration.gate.metric and sum(document["rows"]) > 0 and labelled <= at


def _has_room(declaration: ModelDeclaration, newest: ProbeDocument, days: int) -> bool:
    rows = {span["days"]: span["labelled_rows"] for span in newest.get("spans", [])}
    rows[newest.get("fresh_days")] = newest["labelled_rows"]
    return rows.get(days, 0) >= ROOM * declaration.data.minimum_rows


def _without_room(declaration: ModelDeclaration, choice: SpanChoice, days: int) -> SpanChoice:
    told = (
        f"All rows: the newest {number_of(days, 'day')} alone teach more, and hold too few rows by now for "
        f"data.minimum_rows, {declaration.data.minimum_rows:,} ({ROOM:g} times as many are asked for)."
    )
    return SpanChoice(None, choice.leads, Reason("span_too_short", told))
