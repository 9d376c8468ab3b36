from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest

from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.report import DayQuality, Report
from everloop.typed_json import ADDED
from tests.everloop.evaluation.builders import as_served_of, labels_and_truth, report_of
from tests.helpers.present import present

LABELS, TRUTH = labels_and_truth(1)
REPORT = replace(report_of(LABELS, TRUTH, TRUTH / 2), quality_over_days=(DayQuality("2013-01-01", 50, 0.5),))


def test_a_report_survives_json() -> None:
    assert Report.from_json(REPORT.to_json()) == REPORT
    alone = report_of(LABELS, TRUTH, None)
    assert Report.from_json(alone.to_json()) == alone
    served = replace(REPORT, as_served=as_served_of(LABELS, TRUTH, TRUTH / 2))
    assert Report.from_json(served.to_json()) == served


def test_a_report_from_before_scores_were_compared_as_served_says_nothing_of_it() -> None:
    """GIVEN the report of an older version, which `audit verify` reads, THEN it can be read; the gate refuses it."""
    document = json.loads(REPORT.to_json())
    del document["as_served"]
    assert Report.from_json(json.dumps(document)) == REPORT


def test_the_document_has_the_agreed_shape() -> None:
    document = json.loads(REPORT.to_json())
    assert set(document["paired"]) == {"baseline", "champion"}
    assert {"metric", "difference", "low", "high", "p_value"} <= set(document["paired"]["champion"])
    assert {"value", "low", "high", "reason"} <= set(document["candidate"]["log_loss"])


def test_a_number_that_is_not_defined_is_null_and_stays_undefined() -> None:
    paired = present(replace(present(REPORT.paired_champion), difference=math.nan))
    served = replace(as_served_of(LABELS, TRUTH, TRUTH / 2), paired=paired)
    text = replace(REPORT, paired_champion=paired, as_served=served).to_json()
    assert "NaN" not in text
    assert math.isnan(present(Report.from_json(text).paired_champion).difference)
    assert math.isnan(present(Report.from_json(text).as_served).paired.difference)


@pytest.mark.parametrize(
    "key", sorted(set(json.loads(REPORT.to_json())) - {one.name for one in fields(Report) if one.metadata == ADDED})
)
def test_a_report_without_a_key_is_refused(key: str) -> None:
    document = json.loads(REPORT.to_json())
    del document[key]
    with pytest.raises(ReportError, match=key):
        Report.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "3", '{"paired": 1}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ReportError):
        Report.from_json(text)
