"""The span of a training by the probes on record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from everloop.documents.probe import ProbeDocument
from everloop.documents.records import TrainingSpan
from everloop.retraining.probe.spans import measured_spans, span_by_probes
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document

LESS = [0.4, 0.41, 0.39, 0.4, 0.42, 0.38, 0.4]
"""What a day's rows lose where those of all rows lose a half."""


def declaration(*, spans: list[int] | None = None, recent_days: int | None = None, minimum_rows: int = 100) -> Any:
    investment = {"every_days": EVERY_DAYS, **({} if recent_days is None else {"recent_days": recent_days})}
    document = binary_document(
        retraining={"investment": investment, "cooldown_days": 14, "quota": {"runs": 4, "days": 60}},
        data={"minimum_rows": minimum_rows} | ({} if spans is None else {"training_spans": spans}),
    )
    return declare(document)


def end_of(window: int) -> datetime:
    return FIRST + (window + 1) * timedelta(days=EVERY_DAYS)


def chosen(documents: list[ProbeDocument], at: datetime, **declared: Any) -> TrainingSpan:
    found = span_by_probes(
        declaration(**{"spans": [14, 28]} | declared),
        [(document, f"sha-{i}") for i, document in enumerate(documents)],
        at=at,
    )
    assert found is not None
    return found[1]


def test_the_span_that_has_lost_least_is_taken_with_its_evidence() -> None:
    documents = [probe_document(w, spans={14: LESS, 28: [loss + 0.05 for loss in LESS]}) for w in range(4)]
    found = chosen(documents, end_of(5))
    assert found["days"] == 14
    assert found["reason"]["code"] == "span_newest"
    assert [(lead["days"], lead["windows"], lead["labelled_days"]) for lead in found["leads"]] == [
        (14, 4, 28),
        (28, 4, 28),
    ]
    assert found["leads"][0]["less"] == pytest.approx(0.1)
    assert [probe["sha256"] for probe in found["probes"]] == ["sha-0", "sha-1", "sha-2", "sha-3"]


def test_a_probe_counts_whatever_the_probe_itself_learned_from() -> None:
    """Once a shorter span is taken, the probe learns from it, and one of all rows is trained beside it."""
    documents = [probe_document(0, spans={14: LESS}), probe_document(1, fresh=LESS, fresh_days=14, spans={None: 0.5})]
    (lead,) = (lead for lead in chosen(documents, end_of(5))["leads"] if lead["days"] == 14)
    assert lead["windows"] == 2
    assert lead["less"] == pytest.approx(0.1)


def test_a_window_counts_once_its_labels_are_known() -> None:
    documents = [probe_document(w, spans={14: LESS}) for w in range(2)]
    lag = timedelta(days=1)
    assert len(chosen(documents, end_of(1))["probes"]) == 1
    assert len(chosen(documents, end_of(1) + lag)["probes"]) == 2
    assert chosen(documents, end_of(0))["reason"]["code"] == "span_unknown"


def test_probes_of_another_metric_do_not_count() -> None:
    documents = [probe_document(w, spans={14: LESS}, metric="brier") for w in range(3)]
    assert chosen(documents, end_of(5))["probes"] == []


def test_a_span_that_holds_too_few_rows_is_not_taken() -> None:
    documents = [probe_document(w, spans={14: LESS}) for w in range(3)]
    assert chosen(documents, end_of(5), minimum_rows=600)["days"] == 14
    found = chosen(documents, end_of(5), minimum_rows=700)
    assert (found["days"], found["reason"]["code"]) == (None, "span_too_short")
    assert "data.minimum_rows, 700" in found["reason"]["sentence"]


def test_nothing_is_chosen_where_no_spans_are_declared() -> None:
    assert span_by_probes(declaration(), [], at=FIRST) is None
    assert measured_spans(declaration()) == []
    assert measured_spans(declaration(spans=[14, 28], recent_days=20)) == [14, 20, 28]
