"""The tables of ``everloop report`` beside metrics and money: what the evaluation found on parts of the rows."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.evaluation.calibration_report import Calibrated
from everloop.evaluation.error_report import Errors
from everloop.evaluation.fairness_gate import told_of
from everloop.evaluation.fairness_report import Fairness, FairnessBy, Rate
from everloop.evaluation.held_groups_report import HeldGroupsFacts
from everloop.evaluation.learning_report import LearningCurve, more_rows
from everloop.evaluation.multiclass_report import Multiclass
from everloop.evaluation.ranking_report import Ranking
from everloop.evaluation.report import MetricValue, Report
from everloop.evaluation.robustness_report import Robustness
from everloop.evaluation.robustness_table import HEADERS, disturbed
from everloop.evaluation.slice_report import SliceFacts, Slices
from everloop.evaluation.standing_report import StandingFacts

Table = tuple[str, list[str], list[list[object]]]
"""Title, headers and rows."""

MOST_FEATURES = 15
"""Features that are shown: the most important ones."""

MOST_SLICES = 20
"""Slices that are shown: the worst ones. `--json` has all."""


def details(report: Report) -> Iterator[Table]:
    """Every table that the report has something for."""
    if report.calibration is not None:
        yield _calibration(report.calibration)
    if report.multiclass is not None:
        yield from _classes(report.multiclass)
    if report.slices is not None:
        yield _slices(report.slices)
    if report.fairness is not None:
        for by in report.fairness.by:
            yield _groups(report.fairness, by)
            yield _gaps(by)
    if report.ranking is not None:
        yield _ranking(report.ranking)
    if report.held_groups is not None:
        yield _held_groups(report, report.held_groups)
    if report.standing is not None:
        yield _standing(report.standing)
    if report.robustness is not None:
        yield _robustness(report.robustness)
    if report.errors is not None:
        yield _importance(report.errors)
    if report.learning_curve is not None:
        yield _learning(report.learning_curve)


def _ranking(found: Ranking) -> Table:
    left = found.one_row + found.one_label
    title = f"order of rows in {found.lists:,} lists ({found.group}, first {found.at}); {left:,} lists left out"
    columns = (found.candidate, found.baseline, found.champion or {})
    rows: list[list[object]] = [
        [name, *("" if (one := column.get(name)) is None else told(one) for column in columns)]
        for name in found.candidate
    ]
    return title, ["metric", "candidate", "baseline", "champion"], rows


def _held_groups(report: Report, found: HeldGroupsFacts) -> Table:
    title = f"groups of {found.column} that no training learns from ({found.share:.0%} of them), beside the others"
    metric = "" if report.paired_baseline is None else report.paired_baseline.metric
    cells = ["" if one is None else told(one) for one in (report.candidate.get(metric), found.known)]
    return (
        title,
        ["groups", "number", "rows", metric],
        [
            ["never seen", found.groups, report.rows, cells[0]],
            ["known", found.known_groups, found.known_rows, cells[1]],
        ],
    )


def _standing(found: StandingFacts) -> Table:
    title = f"{found.metric} on {found.told}"
    paired = found.paired
    difference = "" if paired is None else f"{paired.difference:+.4g}"
    if paired is not None and paired.low is not None and paired.high is not None:
        difference += f" ({paired.low:+.4g} to {paired.high:+.4g})"
    cells = ["" if one is None else told(one) for one in (found.candidate, found.champion)]
    return title, ["candidate", "champion", "difference"], [[*cells, difference or found.why]]


def _robustness(found: Robustness) -> Table:
    title = f"{found.rows:,} rows, disturbed; undisturbed {found.metric} is {found.loss:.4g}"
    said = "".join(f"; not tried: {told}" for told in found.left_out)
    return title + said, HEADERS, [list(row) for row in disturbed(found)]


def _importance(found: Errors) -> Table:
    title = f"what answers depend on: {found.metric} grows by, if a feature is dealt out to other rows"
    rows: list[list[object]] = [
        [one.feature, f"{one.increase:+.3g}", "" if one.low is None else f"{one.low:+.3g} to {one.high:+.3g}"]
        for one in found.importance[:MOST_FEATURES]
    ]
    return title, ["feature", "loss", "95%"], rows


def _learning(found: LearningCurve) -> Table:
    rows: list[list[object]] = [[one.rows, f"{one.loss:.4g}"] for one in found.points]
    return more_rows(found).rstrip("."), ["rows learned from", found.metric], rows


def told(found: MetricValue) -> str:
    """A metric with its interval, or why it has none."""
    if found.value is None or found.low is None or found.high is None:
        return f"{'not defined' if found.value is None else f'{found.value:.4g}'} ({found.reason})"
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def _calibration(found: Calibrated) -> Table:
    interval = "" if found.low is None or found.high is None else f" (95%: {found.low:.3g} to {found.high:.3g})"
    title = f"calibration: expected error {found.error:.3g}{interval}; true chances would have {found.by_chance:.3g}"
    rows: list[list[object]] = [[one.rows, f"{one.score:.3g}", f"{one.share:.3g}"] for one in found.bins]
    return title, ["rows", "mean score", "share that came true"], rows


def _classes(found: Multiclass) -> Iterator[Table]:
    rows: list[list[object]] = [
        [
            one.name,
            one.rows,
            one.days,
            one.answered,
            _share(one.precision),
            _share(one.recall),
            f"{one.mean_probability:.3g}",
        ]
        for one in found.classes
    ]
    headers = ["class", "rows", "days", "answered", "of them right", "of its rows found", "mean probability"]
    yield "the classes", headers, rows
    names = [one.name for one in found.classes]
    confused: list[list[object]] = [[name, *row] for name, row in zip(names, found.confusion, strict=True)]
    yield "what came (rows), by what was answered", ["", *names], confused


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _slices(slices: Slices) -> Table:
    ordered = sorted(slices.slices, key=_loss, reverse=True)
    shown = "" if len(ordered) <= MOST_SLICES else f", the worst {MOST_SLICES} of {len(ordered)}"
    rows: list[list[object]] = [
        [one.name, one.rows, *(_measured(one) if not one.reason else (f"not judged: {one.reason}", "", ""))]
        for one in ordered[:MOST_SLICES]
    ]
    headers = ["slice", "rows", slices.metric, "less the baseline's", "less the champion's"]
    return f"slices{shown}; {slices.search}", headers, rows


def _loss(one: SliceFacts) -> float:
    value = None if one.candidate is None else one.candidate.value
    return float("-inf") if value is None else value


def _measured(one: SliceFacts) -> tuple[str, str, str]:
    differences = (one.paired_baseline, one.paired_champion)
    candidate = "" if one.candidate is None else told(one.candidate)
    baseline, champion = ("" if paired is None else f"{paired.difference:+.4g}" for paired in differences)
    return candidate, baseline, champion


def _groups(fairness: Fairness, by: FairnessBy) -> Table:
    acted = "" if fairness.threshold is None else f", selected from a score of {fairness.threshold:g} on"
    headers = ["group", "rows", "selected", "of those of class 1", "of those of class 0", "score less outcome"]
    rows: list[list[object]] = [
        [
            one.name,
            one.rows,
            *(_rate(rate) for rate in (one.selection_rate, one.true_positive_rate, one.false_positive_rate)),
            _rate(one.calibration),
        ]
        for one in by.groups
    ]
    left_out = f"; {by.left_out}" if by.left_out else ""
    return f"groups by {told_of(by)}{acted}{left_out}", headers, rows


def _rate(rate: Rate | None) -> str:
    if rate is None or rate.value is None:
        return ""
    if rate.low is None or rate.high is None:
        return f"{rate.value:.3g}"
    return f"{rate.value:.3g} ({rate.low:.3g} to {rate.high:.3g})"


def _gaps(by: FairnessBy) -> Table:
    headers = ["measure", "value", "95%", "lowest", "highest", "too few rows"]
    rows: list[list[object]] = [
        [
            gap.measure,
            "" if gap.value is None else f"{gap.value:.4g}",
            "" if gap.low is None or gap.high is None else f"{gap.low:.3g} to {gap.high:.3g}",
            gap.lowest,
            gap.highest,
            ", ".join(gap.left_out),
        ]
        for gap in by.gaps
    ]
    return f"how far apart groups by {told_of(by)} are", headers, rows
