"""An evaluation as one HTML page, for people who are no data scientists: nothing is loaded from elsewhere.

Plots are SVG inside the page. Every text of others (names of features, categories, reasons) is escaped, and the page
forbids scripts. It names the report's hash, by which it can be held against the registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from everloop.documents.money import CostDocument, MoneyDocument
from everloop.evaluation.calibration_report import Calibrated
from everloop.evaluation.error_page import errors_told, learning_told
from everloop.evaluation.fairness_gate import told_of
from everloop.evaluation.fairness_report import Fairness, FairnessBy, Rate
from everloop.evaluation.held_groups_report import HeldGroupsFacts
from everloop.evaluation.money_gate import DECIDED
from everloop.evaluation.multiclass_report import Multiclass
from everloop.evaluation.page_parts import note, page_of, table, text
from everloop.evaluation.plots import Bar, curve, interval_bars, line
from everloop.evaluation.ranking_report import Ranking
from everloop.evaluation.report import MetricValue, Report
from everloop.evaluation.robustness_report import Robustness
from everloop.evaluation.robustness_table import HEADERS, disturbed
from everloop.evaluation.slice_report import SliceFacts, Slices
from everloop.evaluation.standing_report import StandingFacts
from everloop.evaluation.threshold_report import told as threshold_told
from everloop.numbers_of import number_of
from everloop.reasons import ReasonDocument

MOST_SLICES = 20

_METRICS = {
    "log_loss": "how surprised the model was by the outcomes; lower is better",
    "brier": "mean squared distance of the score from the outcome; lower is better",
    "roc_auc": "how often of two rows, one of each class, the right one has the higher score; 0.5 is guessing",
    "accuracy": "share of rows for which the answered class came; higher is better",
    "balanced_accuracy": "the same as a mean over classes, so that rare ones count as much as common ones",
    "macro_f1": "of each class, how many of its rows are found and how many of its answers are right; the mean over"
    " classes, higher is better",
    "roc_auc_ovr": "how often of a row of a class and another row the right one has the higher probability of it; the"
    " mean over classes, 0.5 is guessing",
    "mae": "mean distance of the answer from the outcome; lower is better",
    "rmse": "the same with large errors weighing more; lower is better",
}


@dataclass(frozen=True)
class About:
    """The version that a page is about.

    Attributes
    ----------
    version : int
    report_sha256 : str
        Of the bytes of ``report.json``, as registered.
    verdict : str
        ``pass`` or ``fail``.
    reasons : sequence of ReasonDocument
        The gate's.
    money : MoneyDocument or None
    looks : str
        How often the test part was looked at, in a sentence; empty where that is not known.
    waivers : sequence of sequence of str
        Of each waiver the code, who granted it, until when, and why.
    """

    version: int
    report_sha256: str
    verdict: str
    reasons: Sequence[ReasonDocument]
    money: MoneyDocument | None
    looks: str = ""
    waivers: Sequence[Sequence[str]] = ()


def page(report: Report, about: About) -> str:
    """The page."""
    title = f"{report.model}, version {about.version}"
    return page_of(title, "evaluation", sections_of(report, about))


def sections_of(report: Report, about: About) -> Iterator[str]:
    """The sections of a report, as HTML."""
    yield _verdict(report, about)
    yield from _reasons(about.reasons)
    if about.waivers:
        yield "<h3>Checks that a person let pass</h3>"
        yield table(["check", "by", "until", "why"], about.waivers)
    yield "<h2>How good the answers are</h2>"
    yield _metrics(report)
    if about.money is not None:
        yield "<h2>What decisions cost</h2>"
        yield _money(about.money)
        if report.threshold_choice is not None:
            yield note(threshold_told(report.threshold_choice, about.money["currency"]))
    if len(report.quality_over_days) > 1:
        yield "<h2>Day by day</h2>"
        days = [(one.day, one.value) for one in report.quality_over_days]
        yield line(days, "the candidate's metric on each test day")
        yield note("Days differ by themselves. All intervals on this page allow for that.")
    if report.calibration is not None:
        yield from _calibration(report.calibration, several=report.multiclass is not None)
    if report.multiclass is not None:
        yield from _classes(report.multiclass)
    if report.slices is not None:
        yield from _slices(report.slices)
    if report.fairness is not None:
        for by in report.fairness.by:
            yield from _groups(report.fairness, by)
    if report.ranking is not None:
        yield from _ranking(report.ranking)
    if report.held_groups is not None:
        yield from _held_groups(report, report.held_groups)
    if report.standing is not None:
        yield from _standing(report.standing)
    if report.robustness is not None:
        yield from _robustness(report.robustness)
    if report.errors is not None:
        yield from errors_told(report.errors)
    if report.learning_curve is not None:
        yield from learning_told(report.learning_curve)
    yield from _facts(report, about)


def _verdict(report: Report, about: About) -> str:
    failed = sum(1 for reason in about.reasons if reason.get("passed") is False)
    if about.verdict == "pass":
        told = "The gate let this version pass: every check was kept."
    else:
        told = f"The gate refused this version: {number_of(failed, 'check')} of {len(about.reasons)} failed."
    rows = f"Judged on {number_of(report.rows, 'row')} of {number_of(report.days, 'day')} that it had not learned from."
    kind = "pass" if about.verdict == "pass" else "fail"
    return f'<p class="verdict {kind}"><strong>{text(told)}</strong><br>{text(rows)}</p>'


def _reasons(reasons: Sequence[ReasonDocument]) -> Iterator[str]:
    yield "<h2>The gate's checks</h2><ul>"
    for reason in sorted(reasons, key=lambda one: bool(one.get("passed", True))):
        mark = '<span class="no">refused</span>' if reason.get("passed") is False else '<span class="yes">kept</span>'
        yield f"<li>{mark} {text(reason['sentence'])} <small>{text(reason['code'])}</small></li>"
    yield "</ul>"


def _metrics(report: Report) -> str:
    columns = (report.candidate, report.baseline, report.champion or {})
    rows = [[name, *(_metric(column.get(name)) for column in columns)] for name in report.candidate]
    meanings = "".join(note(f"{name}: {_METRICS[name]}.") for name in report.candidate if name in _METRICS)
    return (
        table(["metric", "this version", "simple rule", "version in use"], rows)
        + meanings
        + note(
            "In brackets: the range that has the true value in 95 of 100 cases. The version in use is compared on the"
            " rows that it has not learned from."
        )
    )


def _metric(found: MetricValue | None) -> str:
    if found is None:
        return ""
    if found.value is None or found.low is None or found.high is None:
        return f"{'not defined' if found.value is None else f'{found.value:.4g}'} ({found.reason})"
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def _money(money: MoneyDocument) -> str:
    rows = [["this version", _cost(money["candidate"])], ["simple rule", _cost(money["baseline"])]]
    beside = money["beside_champion"]
    if beside is not None:
        rows.append(["version in use, on rows new to it", _cost(beside["champion"])])
        rows.append(["this version, on the same rows", _cost(beside["candidate"])])
    decided = money.get("decisions")
    if decided == "likeliest" and money["candidate_at_best"] is not None:
        rows.append([f"this version, deciding by {DECIDED['least_cost']}", _cost(money["candidate_at_best"])])
    head = ["decisions by", f"1,000 decisions cost, {money['currency']}"]
    told = f" A decision is for {DECIDED[decided]} unless it says otherwise." if decided == "likeliest" else ""
    told = f" A decision is for the class of {DECIDED[decided]}." if decided == "least_cost" else told
    return table(head, rows) + note(f"Below 0 they earn.{told}")


def _cost(cost: CostDocument) -> str:
    value, low, high = cost["value"], cost["low"], cost["high"]
    if value is None:
        return f"not known ({cost['reason']})"
    return f"{value:,.2f}" if low is None or high is None else f"{value:,.2f} ({low:,.2f} to {high:,.2f})"


def _calibration(found: Calibrated, *, several: bool) -> Iterator[str]:
    yield "<h2>Do scores mean what they say?</h2>"
    yield curve([(one.score, one.share) for one in found.bins], "mean score", "share that came true")
    interval = "" if found.low is None or found.high is None else f" ({found.low:.3g} to {found.high:.3g})"
    of_classes = " (the score is the answered class's probability)" if several else ""
    yield note(
        f"Points on the line: of rows with a score of 0.3, three in ten come true{of_classes}. The mean distance"
        f" from it is {found.error:.3g}{interval}; perfectly true scores would have {found.by_chance:.3g} on so few"
        " rows."
    )


def _classes(found: Multiclass) -> Iterator[str]:
    yield "<h2>Which class is taken for which?</h2>"
    names = [one.name for one in found.classes]
    rows = [
        [name, *(f"{count:,} ({_percent(count, one.rows)})" for count in row)]
        for name, one, row in zip(names, found.classes, found.confusion, strict=True)
    ]
    yield table(["what came", *(f"answered: {name}" for name in names)], rows)
    yield note("In brackets: of 100 rows of that class, how many got this answer.")
    facts = [
        [
            one.name,
            f"{one.rows:,}",
            f"{one.answered:,}",
            _percent(one.right, one.answered),
            _percent(one.right, one.rows),
            f"{100 * one.mean_probability:.3g}%",
        ]
        for one in found.classes
    ]
    yield table(["class", "rows", "answered", "of these right", "of its rows found", "mean probability"], facts)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g}%" if whole else "none"


def _slices(slices: Slices) -> Iterator[str]:
    yield "<h2>Parts of the rows</h2>"
    judged = sorted(slices.judged, key=_loss, reverse=True)
    if slices.worst is not None:
        yield f"<p>The worst part is <strong>{text(slices.worst)}</strong>.</p>"
    bars = [
        Bar(f"{one.name} ({number_of(one.rows, 'row')})", one.candidate.value, one.candidate.low, one.candidate.high)
        for one in judged[:MOST_SLICES]
        if one.candidate is not None and one.candidate.value is not None
    ]
    if bars:
        yield interval_bars(bars, f"{slices.metric}, lower is better")
    if len(judged) > MOST_SLICES:
        yield note(f"The worst {MOST_SLICES} of {len(judged)} are shown.")
    small = [one for one in slices.slices if one.reason]
    for one in small[:MOST_SLICES]:
        yield note(f"Not judged: {one.name}, {one.reason}.")
    if len(small) > MOST_SLICES:
        yield note(f"And {len(small) - MOST_SLICES} more were not judged.")
    for told in (*slices.left_out, slices.search):
        yield note(f"{told}.")


def _loss(one: SliceFacts) -> float:
    value = None if one.candidate is None else one.candidate.value
    return float("-inf") if value is None else value


def _groups(fairness: Fairness, by: FairnessBy) -> Iterator[str]:
    yield f"<h2>Groups by {text(told_of(by))}</h2>"
    for what, pick in (("selected", "selection_rate"), ("score less outcome", "calibration")):
        rates = [(one, getattr(one, pick)) for one in by.groups]
        bars = [
            Bar(f"{one.name} ({number_of(rate.rows, 'row')})", rate.value, rate.low, rate.high)
            for one, rate in rates
            if rate is not None and rate.value is not None
        ]
        if bars:
            yield interval_bars(bars, what)
    head = ["group", "rows", "selected", "of those that came true", "of those that did not", "score less outcome"]
    rows = [
        [
            one.name,
            f"{one.rows:,}",
            *(_rate(rate) for rate in (one.selection_rate, one.true_positive_rate, one.false_positive_rate)),
            _rate(one.calibration),
        ]
        for one in by.groups
    ]
    yield table(head, rows)
    if fairness.threshold is not None:
        yield note(f"A row is selected from a score of {fairness.threshold:g} on.")
    if by.of_class:
        yield note(
            f"A row is selected where {by.of_class} is the likeliest class. It came true where {by.of_class} came."
        )
    if by.left_out:
        yield note(f"In no group: {by.left_out}.")


def _rate(rate: Rate | None) -> str:
    if rate is None or rate.value is None:
        return ""
    if rate.low is None or rate.high is None:
        return f"{rate.value:.3g}"
    return f"{rate.value:.3g} ({rate.low:.3g} to {rate.high:.3g})"


def _ranking(found: Ranking) -> Iterator[str]:
    yield "<h2>Does it put the right rows first?</h2>"
    columns = (found.candidate, found.baseline, found.champion or {})
    rows = [[name, *(_metric(column.get(name)) for column in columns)] for name in found.candidate]
    yield table(["metric", "this version", "simple rule", "version in use"], rows)
    what = "day" if found.by_day else "list"
    yield note(
        f"Means over {number_of(found.lists, 'list')} ({found.group}), from 0 to 1; higher is better. ndcg and"
        f" precision look at the first {found.at}. The ranges in brackets allow for each {what} being different from"
        " the others."
    )
    left = found.one_row + found.one_label
    if left or found.without:
        yield note(
            f"Left out: {number_of(left, 'list')} of one row, or of rows that are all alike, which any order puts"
            f" right; {number_of(found.without, 'row')} of no list."
        )


def _held_groups(report: Report, found: HeldGroupsFacts) -> Iterator[str]:
    yield "<h2>How does it answer for those that it has never seen?</h2>"
    metric = "" if report.paired_baseline is None else report.paired_baseline.metric
    unseen = [
        f"never seen ({found.groups:,} of {found.column})",
        f"{report.rows:,}",
        _metric(report.candidate.get(metric)),
    ]
    seen = [f"known ({found.known_groups:,})", f"{found.known_rows:,}", _metric(found.known)]
    yield table(["groups", "rows", metric], [unseen, seen])
    yield note(
        f"About {found.share:.0%} of the groups are kept out of every training; their rows judge a version. Rows of one"
        " group may be alike, which the ranges in brackets allow for, as they do for days."
    )
    if found.champion_basis == "learned":
        yield note(
            "The version in use has learned from the groups that are kept out now. So the two are compared on groups"
            " that both know."
        )


def _standing(found: StandingFacts) -> Iterator[str]:
    yield "<h2>Has it forgotten older rows?</h2>"
    paired = found.paired
    rows = [["this version", _metric(found.candidate)]]
    if found.champion is not None:
        rows.append([f"version in use ({found.champion_version})", _metric(found.champion)])
    if paired is not None:
        interval = "" if paired.low is None or paired.high is None else f" ({paired.low:+.4g} to {paired.high:+.4g})"
        rows.append(["difference", f"{paired.difference:+.4g}{interval or f' ({paired.reason})'}"])
    yield table(["", found.metric], rows)
    yield note(f"On {found.told}, which was chosen once and which no version learns from. Lower is better.")
    if found.why:
        yield note(f"The two are not compared: {found.why}.")


def _robustness(found: Robustness) -> Iterator[str]:
    yield "<h2>When rows are not as they were</h2>"
    yield note(
        f"{number_of(found.rows, 'test row')} changed on purpose. Of each kind, the changes that hurt most."
        f" Undisturbed, {found.metric} is {found.loss:.4g}; more is worse."
    )
    yield table(HEADERS, disturbed(found))
    for told in found.left_out:
        yield note(f"Not tried: {told}.")


def _facts(report: Report, about: About) -> Iterator[str]:
    yield "<h2>What this page is about</h2>"
    latency, size, cost = report.latency_ms, report.artifact_bytes, report.serving_cost
    facts = [
        ["model and version", f"{report.model}, {about.version}"],
        ["training run", report.run_id],
        ["training data", report.snapshot_hash],
        *([["looks at the test part", about.looks]] if about.looks else []),
        ["training code", report.code_sha256],
        ["SHA-256 of report.json", about.report_sha256],
        [
            "time to score one row",
            "" if latency is None else f"{latency.p50:.3g} ms, 99 in 100 within {latency.p99:.3g}",
        ],
        ["size of the model", "" if size is None else f"{size / 1e6:.3g} MB"],
        ["a million answers cost", "" if cost is None else f"{cost.usd_per_million:.2f} USD ({cost.region})"],
    ]
    yield table(["fact", "value"], facts)
