"""A training set's exploration as one HTML page: inline SVG, no script, nothing that is fetched.

It says what it does not know: intervals are 95% (Wilson's for shares, the normal approximation for means), and how a
feature moved since the set before is a size, not a test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape

from everloop.dataset.exploration_plots import columns, heatmap, line
from everloop.dataset.exploration_query import MOST_CORRELATED
from everloop.documents.exploration import DayDocument, ExplorationDocument, FeatureDocument
from everloop.documents.snapshot import SnapshotDocument, SuspectDocument

MOST_POINTS = 60
"""Of the picture over time: neighbouring days go together until there are no more."""

Z = 1.959964

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d8dee6;--bar:#9db8d9;--mark:#b3401f;--paper:#fff}
@media(prefers-color-scheme:dark){
:root{--ink:#e6ebf2;--soft:#9aa6b5;--line:#37414e;--bar:#46648c;--mark:#ff9a73;--paper:#141a22}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem}
body{color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1rem}
.card{border:1px solid var(--line);border-radius:.5rem;padding:.75rem;min-width:0}
.suspect{border-color:var(--mark);border-width:2px}.soft{color:var(--soft);font-size:.875rem}
svg{display:block;width:100%;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem}
td,th{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
"""


def page(
    snapshot_hash: str,
    snapshot: SnapshotDocument,
    explored: ExplorationDocument,
    before: tuple[str, SnapshotDocument, ExplorationDocument] | None,
) -> str:
    """The page of a training set; ``before`` is the one made before it, where there is one."""
    suspects = snapshot.get("leakage", [])
    title = f"{explored['model']}, training set {snapshot_hash[:12]}"
    body = "".join(
        [
            f"<h1>{escape(title)}</h1>",
            _summary(snapshot, explored),
            _suspects(suspects),
            _over_time(explored),
            _features(explored, suspects),
            _correlations(explored),
            _drift(explored, before),
        ]
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><body>{body}</body></html>\n"
    )


def _summary(snapshot: SnapshotDocument, explored: ExplorationDocument) -> str:
    rows = snapshot["rows"]
    aside = rows.get("held_out", 0) + rows.get("standing", 0)
    labelled = rows["train"] + rows["test"] + aside
    kept = f" {aside:,} are kept out of every training (groups or days that are held out)." if aside else ""
    first, last = (instant.strftime("%Y-%m-%d %H:%M") for instant in snapshot["time_range"])
    boundary = snapshot["boundary"].strftime("%Y-%m-%d %H:%M")
    repeated = explored["repeated"]
    share = f" ({repeated / labelled:.1%})" if labelled else ""
    return (
        f"<p>{labelled:,} labelled rows of {first} to {last} UTC: {rows['train']:,} to train on, {rows['test']:,} "
        f"after {boundary} to test with.{kept} {rows.get('unlabelled', 0):,} more have no label yet, and "
        f"{rows.get('superseded', 0):,} gave way to others of their key. "
        f"{repeated:,} rows{share} have the same features as another row.</p>"
    )


def _suspects(suspects: Sequence[SuspectDocument]) -> str:
    if not suspects:
        return (
            "<h2>Leakage suspects</h2><p>None. Four signs were looked for in every feature, with a false alarm rate of "
            "5% for the whole set. A leak that takes two features together would not be seen.</p>"
        )
    rows = "".join(
        f"<tr><td>{escape(s['feature'])}</td><td>{escape(s['code'])}</td><td>{escape(s['sentence'])}</td></tr>"
        for s in suspects
    )
    return (
        "<h2>Leakage suspects</h2><p>These features may hold what nobody knows when the prediction is asked for.</p>"
        f'<div class="scroll"><table><tr><th>feature<th>sign<th>what was counted</tr>{rows}</table></div>'
    )


def _over_time(explored: ExplorationDocument) -> str:
    points = list(grouped(explored["days"]))
    kind = "share of ones" if explored["classification"] else "mean"
    of_class = explored["classification"]
    drawn = [(day, *mean_of(rows, total, squares, of_class)) for day, rows, total, squares in points]
    days = math.ceil(len(explored["days"]) / MOST_POINTS)
    each = "a day" if days <= 1 else f"{days} days"
    return (
        f"<h2>Target over time</h2><p class=soft>{escape(explored['target'])}: {kind} of the rows of {each} (UTC), "
        f"with 95% intervals. They take rows for independent: of days that differ, they are too narrow.</p>"
        f"{line(drawn)}"
    )


def grouped(days: Sequence[DayDocument]) -> Iterator[tuple[str, int, float, float]]:
    """First day, rows, and sums of outcomes and of their squares; at most ``MOST_POINTS``."""
    size = max(1, math.ceil(len(days) / MOST_POINTS))
    for start in range(0, len(days), size):
        group = days[start : start + size]
        first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=group[0]["day"])
        yield (
            f"{first:%Y-%m-%d}",
            sum(d["rows"] for d in group),
            sum(d["sum"] for d in group),
            sum(d["squares"] for d in group),
        )


def mean_of(rows: int, total: float, squares: float, classification: bool) -> tuple[float, float, float]:
    """A mean between its 95% bounds: (low, mean, high). One row of a regression says nothing of its bounds."""
    mean = total / rows
    if classification:
        middle, half = (mean + Z * Z / (2 * rows)) / (1 + Z * Z / rows), Z / (1 + Z * Z / rows)
        half *= math.sqrt(max(0.0, mean * (1 - mean)) / rows + Z * Z / (4 * rows * rows))
        return max(0.0, middle - half), mean, min(1.0, middle + half)
    if rows < 2:
        return mean, mean, mean
    half = Z * math.sqrt(max(0.0, squares / rows - mean * mean) / (rows - 1))
    return mean - half, mean, mean + half


def _features(explored: ExplorationDocument, suspects: Sequence[SuspectDocument]) -> str:
    marked = {suspect["feature"] for suspect in suspects}
    cards = "".join(_card(feature, explored, marked=feature["name"] in marked) for feature in explored["features"])
    what = "area under the ROC curve" if explored["classification"] else "share of the variance explained"
    told = "the share of ones" if explored["classification"] else "the mean outcome"
    return (
        "<h2>Features</h2><p class=soft>Bars count rows: of numbers in bins with about as many rows each, of "
        f"categories the most frequent values. The line, or the dot, is {told} in each. Alone: {what} of rows "
        "that the feature was not learned from.</p>"
        f'<div class="grid">{cards}</div>'
    )


def _card(feature: FeatureDocument, explored: ExplorationDocument, *, marked: bool) -> str:
    cells = feature["cells"]
    ordered = bool(cells) and "value" not in cells[0]
    if ordered:
        cells = sorted(cells, key=lambda cell: cell["least"])
        ends = f"{cells[0]['least']:g} to {cells[-1]['greatest']:g}"
    else:
        shown = ", ".join(cell["value"] for cell in cells[:3])
        ends = f"most frequent: {shown}" if cells else "no value"
    rows = feature["present"] + feature["missing"]
    missing = f"{feature['missing'] / rows:.1%} missing" if rows else "no rows"
    if feature["early_missing"] is not None and feature["late_missing"] is not None and feature["missing"]:
        missing += f" ({feature['early_missing']:.1%} before, {feature['late_missing']:.1%} in the test part)"
    alone = "alone: not known" if feature["alone"] is None else f"alone: {feature['alone']:.3f}"
    names = [_name(cell) for cell in cells]
    drawn = columns(names, [c["rows"] for c in cells], [c["sum"] / c["rows"] for c in cells], ordered=ordered)
    kind = "card suspect" if marked else "card"
    return (
        f'<div class="{kind}"><h3>{escape(feature["name"])}</h3>{drawn}'
        f'<div class="soft">{escape(ends)}<br>{missing}; {alone}</div></div>'
    )


def _name(cell: Mapping[str, object]) -> str:
    return str(cell["value"]) if "value" in cell else f"{cell['least']:g} to {cell['greatest']:g}"


def _correlations(explored: ExplorationDocument) -> str:
    names = explored["correlated"]
    if len(names) < 2:
        return ""
    strongest = sorted(
        (
            (value, one, other)
            for i, one in enumerate(names)
            for j, other in enumerate(names[:i])
            if (value := explored["correlations"][i][j]) is not None
        ),
        key=lambda item: -abs(item[0]),
    )[:5]
    told = "; ".join(f"{escape(one)} and {escape(other)} {value:.2f}" for value, one, other in strongest)
    left = f" At most {MOST_CORRELATED} number features are shown, the first ones declared."
    return (
        f"<h2>Correlations</h2><p class=soft>Pearson's, of the rows that have both.{left} The strongest: {told}.</p>"
        f'<div class="scroll">{heatmap(names, explored["correlations"])}</div>'
    )


def _drift(explored: ExplorationDocument, before: tuple[str, SnapshotDocument, ExplorationDocument] | None) -> str:
    head = "<h2>Since the training set before</h2>"
    if before is None:
        return head + "<p>There is none.</p>"
    older = {feature["name"]: feature for feature in before[2]["features"]}
    rows = "".join(_moved(feature, older.get(feature["name"])) for feature in explored["features"])
    return (
        f"{head}<p class=soft>Beside {escape(before[0][:12])}. Both sets share most of their rows as a rule, so moves "
        "are smaller than those of the newest rows. These are sizes, no tests.</p>"
        '<div class="scroll"><table><tr><th>feature<th>missing before<th>missing now<th>largest move</tr>'
        f"{rows}</table></div>"
    )


def _moved(now: FeatureDocument, before: FeatureDocument | None) -> str:
    if before is None:
        return f"<tr><td>{escape(now['name'])}</td><td colspan=3>new</td></tr>"
    shares = [f"{f['missing'] / max(1, f['present'] + f['missing']):.1%}" for f in (before, now)]
    cells = "".join(f'<td class="n">{share}</td>' for share in shares)
    return f"<tr><td>{escape(now['name'])}</td>{cells}<td>{escape(largest_move(now, before))}</td></tr>"


def largest_move(now: FeatureDocument, before: FeatureDocument) -> str:
    """By what the shares of values, or the rows below a bin's end, moved most; of rows that have the feature."""
    if not now["cells"] or not before["cells"] or ("value" in now["cells"][0]) != ("value" in before["cells"][0]):
        return "not comparable"
    if "value" in now["cells"][0]:
        shares = [{c["value"]: c["rows"] / f["present"] for c in f["cells"]} for f in (before, now)]
        both = shares[0].keys() & shares[1].keys()
        if not both:
            return "no frequent value in common"
        value = max(sorted(both), key=lambda v: abs(shares[1][v] - shares[0][v]))
        return f"{value}: {shares[0][value]:.1%} to {shares[1][value]:.1%}"
    moves = [(below(now, c["greatest"]) - below(before, c["greatest"]), c["greatest"]) for c in now["cells"]]
    move, at = max(moves, key=lambda item: abs(item[0]))
    return f"{move:+.1%} of rows up to {at:g}"


def below(feature: FeatureDocument, value: float) -> float:
    """The share of a number's rows up to ``value``; within a bin they are taken for evenly spread."""
    rows = 0.0
    for cell in feature["cells"]:
        if cell["greatest"] <= value:
            rows += cell["rows"]
        elif cell["least"] <= value:
            width = cell["greatest"] - cell["least"]
            rows += cell["rows"] * ((value - cell["least"]) / width if 0 < width < math.inf else 0.5)
    return rows / feature["present"]
