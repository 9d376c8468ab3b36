"""The page of a report stands alone, escapes what others wrote, and stays small."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from everloop.evaluation.calibration_error import calibration_of
from everloop.evaluation.dimensions import dimension_of_category
from everloop.evaluation.error_report import Confusion, Dependence, Errors, Importance, WorstRow
from everloop.evaluation.fairness import Terms, fairness_of
from everloop.evaluation.learning_report import LearningCurve, LearningPoint
from everloop.evaluation.money_gate import money_document
from everloop.evaluation.plots import Bar, curve, interval_bars, line
from everloop.evaluation.report import DayQuality, Report
from everloop.evaluation.report_page import About, page
from everloop.evaluation.robustness_report import Disturbance, Robustness
from everloop.evaluation.slices import Measured, parts_of, slices_of
from tests.everloop.evaluation.builders import DAYS, labels_and_truth, report_of
from tests.everloop.evaluation.test_standing_gate import facts

LABELS, TRUTH = labels_and_truth(1)
EVIL = "<script>alert('x')</script>\u202e & \"more\""


def whole(groups: int = 3) -> Report:
    values = np.array([EVIL, *(f"value {number}" for number in range(1, groups))], dtype=object)[
        np.arange(1000) % groups
    ]
    dimension = dimension_of_category("origin", values, None)
    rows = Measured("log_loss", LABELS, TRUTH, np.full(1000, 0.4), DAYS)
    terms = Terms(threshold=0.5, minimum_rows=30, confidence=0.95, limits=1)
    return replace(
        report_of(LABELS, TRUTH, 0.5 * TRUTH + 0.2),
        quality_over_days=tuple(DayQuality(f"2013-01-{day:02}", 50, 0.5 + day / 100) for day in range(1, 21)),
        slices=slices_of(rows, list(parts_of([dimension], pairs=False)), 100, search="no search"),
        fairness=fairness_of([dimension], LABELS, TRUTH, DAYS, terms),
        calibration=calibration_of(LABELS, TRUTH, DAYS, 7),
        robustness=Robustness(
            "log_loss",
            1000,
            0.5,
            (
                Disturbance("missing", "wind", f"{EVIL} is missing", 1000, 0.0, 0.1, 0.05, 0.15, 0.2, 0.3),
                Disturbance("unit", "wind", "wind comes times 1,000", 0, 1.0, None, None, None, None, None),
            ),
            ("extremes of free: no range is declared",),
        ),
        errors=Errors(
            "log_loss",
            1000,
            Confusion(0.5, 1, 2, 3, 4),
            (WorstRow("2013-01-01", 1.0, 0.01, 4.6, {EVIL: EVIL}),),
            (Importance(EVIL, 0.2, 0.1, 0.3), Importance("wind", 0.0, None, None)),
            (Dependence(EVIL, ("a", EVIL), (0.1, 0.2)),),
        ),
        learning_curve=LearningCurve(
            "log_loss",
            200,
            (LearningPoint(400, 0.5, 0.4, 0.6), LearningPoint(800, 0.4, 0.3, 0.5)),
            *(-0.1, -0.2, -0.02),
            (EVIL,),
        ),
        standing=facts(0.5 * TRUTH + 0.2).with_why(EVIL),
    )


def about(report: Report, verdict: str = "pass") -> About:
    passed = verdict == "pass"
    reasons = [{"code": "slices", "passed": passed, "sentence": f"The worst is {EVIL}."}]
    return About(4, "ab" * 32, verdict, reasons, money_document(report, "raw"))  # type: ignore[arg-type]  # as stored


def test_everything_that_was_measured_is_on_it() -> None:
    report = whole()
    html = page(report, about(report))
    for told in (
        "The gate let this version pass",
        "How good the answers are",
        "What decisions cost",
        "Day by day",
        "Do scores mean what they say?",
        "Parts of the rows",
        "Groups by origin",
        "+0.1 (+0.05 to +0.15)",
        "Not tried: extremes of free",
        "What the answers depend on",
        "Right and wrong decisions",
        "Would more rows help?",
        "Has it forgotten older rows?",
        "version in use (3)",
        "On the standing set (1,000 rows of 20 days",
        "ab" * 32,
    ):
        assert told in html
    assert html.count("<svg") == 8
    assert len(html.encode()) < 100_000


def test_nothing_of_others_is_markup_and_nothing_is_loaded() -> None:
    report = whole()
    html = page(report, about(report))
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", html)
    assert "default-src 'none'" in html


def test_a_refusal_says_so_first() -> None:
    report = whole()
    html = page(report, about(report, "fail"))
    assert "The gate refused this version: 1 check of 1 failed." in html
    assert html.index("refused this version") < html.index("How good the answers are")


def test_what_persons_let_pass_is_on_it() -> None:
    report = whole()
    waived = [["latency", "arn:aws:iam::123456789012:user/bob", "revoked 2013-03-01T06:21:00Z by ann: gone", EVIL]]
    html = page(report, replace(about(report), waivers=waived))
    assert "Checks that a person let pass" in html
    assert "<td>revoked 2013-03-01T06:21:00Z by ann: gone</td>" in html
    assert "Checks that a person let pass" not in page(report, about(report))


def test_a_report_of_an_earlier_release_has_a_page_too() -> None:
    report = replace(report_of(LABELS, TRUTH, None), money=None)
    html = page(report, replace(about(report), money=None))
    assert "What decisions cost" not in html
    assert "Parts of the rows" not in html


@pytest.mark.parametrize(
    "drawn",
    [
        line([("2013-01-01", 0.5), ("2013-01-02", None), ("2013-01-03", 0.5)], "a day"),
        line([("2013-01-01", 0.0)], "a day"),
        curve([(0.0, 0.0)], "score", "share"),
        interval_bars([Bar("one <&>", 0.0, None, None)], "loss"),
        interval_bars([Bar("x" * 500, 1e9, -1e9, 1e12), Bar("y", 1.0, 0.5, 2.0)], "loss"),
    ],
)
def test_plots_are_xml_inside_their_box(drawn: str) -> None:
    root = ET.fromstring(drawn)
    width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
    for circle in root.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


def test_days_without_any_value_have_no_plot() -> None:
    assert line([("2013-01-01", None)], "a day") == ""
