"""What a million answers cost, and the limit on it."""

from __future__ import annotations

import pytest

from everloop.evaluation.gate import on_serving_cost
from everloop.evaluation.report import Report
from everloop.evaluation.serving_cost import serving_cost
from tests.everloop.evaluation.builders import labels_and_truth, policy, report_of
from tests.helpers.present import present

LABELS, TRUTH = labels_and_truth(1)


def test_it_is_requests_and_the_functions_time() -> None:
    found = serving_cost(10.0, 2048)
    assert found is not None
    assert found.milliseconds == 40
    # 0.20 USD for Lambda's requests, 1.00 for the API's, and 80,000 GB-seconds.
    assert found.usd_per_million == pytest.approx(0.20 + 1.00 + 80_000 * 0.0000166667)
    # A REST API takes 3.50.
    dearer = present(serving_cost(10.0, 2048, "rest"))
    assert dearer.usd_per_million == pytest.approx(found.usd_per_million + 2.50)


@pytest.mark.parametrize(("limit", "passed"), [(2.6, True), (2.5, False)])
def test_the_limit_is_kept_or_broken(limit: float, passed: bool) -> None:
    report = report_of(LABELS, TRUTH, None, serving_cost=serving_cost(10.0, 2048))
    [reason] = on_serving_cost(report, policy(max_usd_per_million=limit))
    assert reason.passed is passed
    assert reason.sentence.startswith("A million answers cost 2.533 USD")


def test_a_report_without_it_is_refused_where_there_is_a_limit_and_only_there() -> None:
    report = report_of(LABELS, TRUTH, None)
    assert list(on_serving_cost(report, policy())) == []
    [reason] = on_serving_cost(report, policy(max_usd_per_million=1e9))
    assert not reason.passed


def test_the_report_keeps_it() -> None:
    report = report_of(LABELS, TRUTH, None, serving_cost=serving_cost(0.1, 1024))
    assert Report.from_json(report.to_json()) == report
