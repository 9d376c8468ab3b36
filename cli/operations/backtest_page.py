"""A backtest as one page of HTML: no script, no file beside it, pictures drawn as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence

from everloop.cli.operations.backtest_advice import PolicyResult, amount
from everloop.cli.operations.backtest_loop_told import THIS_ONE, Deployed, candidate_told, probes_told, why_told
from everloop.cli.operations.backtest_results import Backtest
from everloop.cli.operations.backtest_training_days import loss_name, training_days_rows
from everloop.numbers_of import number_of
from everloop.shown import visible

THIS_ONE_COLOUR = "#7a3fb0"
CURVES = {
    "frozen": ("the first model, frozen", "#8a8a8a"),
    "retrained": ("retrained at every window, not recalibrated", "#c46a00"),
    "chosen": ("the chosen policy, recalibrated daily", "#1466b8"),
}
WEIGHED = {
    "next_regret": ("expected to be lost in the next window", "#c2185b"),
    "rate": ("the best cycle of trainings, a window", "#1466b8"),
}
FEWEST_DRAWN = 3
"""Probes before anything is decided on them."""

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 300, 64, 44
BAR = 22

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .9rem; } th, td { padding: .2rem .7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr:nth-child(even) { background: #f3f5f7; }
pre { background: #f3f5f7; padding: .7rem 1rem; } svg { max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: #333; }
tr.best td { font-weight: 600; } tr.deployed td:first-child { color: #7a3fb0; }
.wide { overflow-x: auto; } .wide svg { min-width: 40rem; }
table.runs :is(th, td) { text-align: left; vertical-align: top; }
table.runs td:first-child { white-space: nowrap; } table.runs td:last-child { min-width: 18rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; } th, td { padding: .2rem .4rem; } pre { overflow-x: auto; } }
"""


def page(found: Backtest) -> str:
    """The whole page."""
    shape = found.shape
    first = shape.date(found.judgement.first_held_back)
    title = f"When to retrain {found.model}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p>{number_of(shape.windows, 'window')} of {number_of(shape.window_days, 'day')} from {shape.date(0)}"
        f" on; {shape.rows_taken:,} of {shape.rows:,} labelled rows. A retraining costs"
        f" {amount(found.retraining_cost)} {_text(found.unit)}. Data from {first} on was not used for the"
        " choice.</p>",
        "<h2>For model.yaml</h2>",
        f"<pre>{_text(chr(10).join(found.recommendation.lines))}</pre>",
        _list(found.recommendation.reasons),
        f"<h2>Loss by window ({_text(found.metric)}, lower is better)</h2>",
        curves(found),
        *(part for loop in found.deployed for part in loop_told(loop)),
        f"<h2>Cost by policy ({_text(found.unit)}), above that of a model that is always new and recalibrated</h2>",
        bars(found.policies),
        "<h2>All policies</h2>",
        _table(found),
        *training_days_told(found),
        "<h2>What this can't know</h2>",
        _list(found.not_known),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def loop_told(loop: Deployed) -> list[str]:
    """What the loop did as it is deployed: its trainings, each with its cause and what became of the candidate."""
    rows = "".join(
        f"<tr>{_cells('td', [run.at[:10], run.trigger, candidate_told(run), why_told(run)])}</tr>" for run in loop.runs
    )
    held = ", ".join(f"{days} by {what.replace('_', ' ')}" for what, days in loop.held_back.items())
    told = [
        f"{loop.windows} windows were monitored and {loop.calibrations} calibrations published.",
        f"The loss per row is {loop.metric:.4f} as served, {loop.raw_metric:.4f} with raw scores.",
        f"A cause was held back in these windows: {held}." if held else "",
        f"{probes_told(loop)}." if probes_told(loop) else "",
    ]
    return [
        f"<h2>As deployed: {_text(loop.policy)}</h2>",
        f"<p>{_text(' '.join(filter(None, told)))}</p>",
        '<div class="wide"><table class="runs">'
        f"<tr>{_cells('th', ['training', 'asked for by', 'candidate', 'why'])}</tr>{rows}</table></div>",
        *weighed_told(loop),
    ]


def weighed_told(loop: Deployed) -> list[str]:
    """What was weighed after each probe: what waiting was expected to cost, beside the best cycle of trainings."""
    weighed = loop.weighed
    if len(weighed) < FEWEST_DRAWN:
        return []
    lines = {name: [getattr(each, name) for each in weighed] for name in WEIGHED}
    low, high = _range([0.0, *(value for line in lines.values() for value in line)])
    plot = WIDTH - LEFT - 10

    def x(place: int) -> float:
        return LEFT + plot * (place + 0.5) / len(weighed)

    def y(value: float) -> float:
        return 10 + (HEIGHT - BOTTOM - 10) * (high - value) / (high - low)

    drawn = _grid(low, high, y)
    for place in range(0, len(weighed), max(1, len(weighed) // 6)):
        drawn.append(
            f'<text x="{x(place):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{weighed[place].at[:10]}</text>'
        )
    for name, (_, colour) in WEIGHED.items():
        drawn.append(_path([(x(place), y(value)) for place, value in enumerate(lines[name])], colour))
    told = (
        f"What waiting costs, after each probe ({weighed[0].unit}). A training pays where the first reaches the second."
    )
    return [f"<p>{_text(told)}</p>", _svg(WIDTH, HEIGHT, drawn) + _legend(WEIGHED.values())]


def _grid(low: float, high: float, y: Callable[[float], float]) -> list[str]:
    """Four lines across with their values."""
    drawn = []
    for tick in range(5):
        value = low + (high - low) * tick / 4
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{amount(value)}</text>')
    return drawn


def training_days_told(found: Backtest) -> list[str]:
    """What speaks for learning from the newest days alone; nothing where that was not compared."""
    if found.training_days is None:
        return []
    head = _cells("th", ["learns from", "chosen on", "held back", "saves there", "95% interval"])
    rows = "".join(f"<tr>{_cells('td', row)}</tr>" for row in training_days_rows(found.training_days))
    return [
        f"<h2>Training on the newest days only ({loss_name(found.metric)} per row, recalibrated daily)</h2>",
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>',
        f"<p>{_text(found.training_days.reason)}</p>",
    ]


def curves(found: Backtest) -> str:
    """Curves over the windows; where the chosen policy trained is marked, and so is the part held back."""
    lines = {name: found.curves[name] for name in CURVES}
    if found.deployed:
        lines[THIS_ONE] = list(found.deployed[0].curve)
    values = [v for line in lines.values() for v in line if math.isfinite(v)]
    low, high = _range(values)
    windows = found.shape.windows
    plot = WIDTH - LEFT - 10

    def x(window: float) -> float:
        return LEFT + plot * (window + 0.5) / windows

    def y(value: float) -> float:
        return 10 + (HEIGHT - BOTTOM - 10) * (high - value) / (high - low)

    held = LEFT + plot * found.judgement.first_held_back / windows
    drawn = [
        f'<rect x="{held:.1f}" y="10" width="{LEFT + plot - held:.1f}" height="{HEIGHT - BOTTOM - 10}" '
        'fill="#eef3f8"/>',
        f'<text x="{held + 6:.1f}" y="24">held back</text>',
    ]
    drawn += _grid(low, high, y)
    step = max(1, windows // 6)
    for window in range(0, windows, step):
        drawn.append(
            f'<text x="{x(window):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{found.shape.date(window)}</text>"
        )
    for window in found.retrained_before:
        place = LEFT + plot * window / windows
        drawn.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="10" y2="{HEIGHT - BOTTOM}" stroke="#1b8a3a" '
            'stroke-dasharray="3 3"/>'
        )
    for name, line in lines.items():
        colour = CURVES[name][1] if name in CURVES else THIS_ONE_COLOUR
        drawn.append(_path([(x(w), y(v)) for w, v in enumerate(line) if math.isfinite(v)], colour))
    legend = [(label, colour) for label, colour in CURVES.values()]
    legend[-1] = (
        f"the policy {found.judgement.chosen!r}, recalibrated daily (it trains at the green lines)",
        legend[-1][1],
    )
    if found.deployed:
        legend.append((f"{THIS_ONE}, as deployed", THIS_ONE_COLOUR))
    return _svg(WIDTH, HEIGHT, drawn) + _legend(legend)


def bars(policies: Sequence[PolicyResult]) -> str:
    """Excess cost by policy, cheapest first: dark with recalibration, light without."""
    told = {(p.policy, p.recalibrated): p for p in policies}
    # The loop as deployed is one or the other.
    best = {p.policy: told.get((p.policy, True), p) for p in policies}
    ordered = sorted(best.values(), key=lambda p: p.excess)
    most = max([p.excess for p in policies] + [1e-12])
    least = min([p.excess for p in policies] + [0.0])
    left, plot = 240, WIDTH - 240 - 80
    zero = left + plot * -least / (most - least)
    drawn = []
    for row, policy in enumerate(ordered):
        top = row * BAR
        drawn.append(f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{_text(policy.policy)}</text>')
        both = [told[policy.policy, which] for which in (False, True) if (policy.policy, which) in told]
        for each in both:
            colour, place = ("#1466b8", top + 3) if each.recalibrated else ("#b9cfe6", top + 11)
            width = plot * each.excess / (most - least)
            start = min(zero, zero + width)
            drawn.append(f'<rect x="{start:.1f}" y="{place}" width="{abs(width):.1f}" height="8" fill="{colour}"/>')
        longer = max(*(each.excess for each in both), 0.0)
        drawn.append(
            f'<text x="{zero + plot * longer / (most - least) + 6:.1f}" y="{top + 14}">{amount(policy.excess)}</text>'
        )
    drawn.append(f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{len(ordered) * BAR}" stroke="#333"/>')
    legend = [("recalibrated daily", "#1466b8"), ("as trained", "#b9cfe6")]
    return _svg(WIDTH, len(ordered) * BAR + 4, drawn) + _legend(legend)


def _table(found: Backtest) -> str:
    head = ["policy", "recalibrated", "retrainings", found.metric, f"cost, {found.unit}", "over hindsight", "held back"]
    lines, loops = [], {loop.policy for loop in found.deployed}
    for p in sorted(found.policies, key=lambda p: p.cost):
        ratio = "" if p.over_hindsight is None else f"{p.over_hindsight:.2f}"
        cells = [p.policy, "yes" if p.recalibrated else "no", str(p.retrainings), f"{p.metric:.4f}", amount(p.cost)]
        kind = ' class="best"' if p.recalibrated and p.policy == found.judgement.chosen else ""
        kind = ' class="deployed"' if p.policy in loops else kind
        lines.append(f"<tr{kind}>{_cells('td', [*cells, ratio, amount(p.held_back)])}</tr>")
    return f'<div class="wide"><table><tr>{_cells("th", head)}</tr>{"".join(lines)}</table></div>'


def _cells(kind: str, texts: Iterable[str]) -> str:
    return "".join(f"<{kind}>{_text(text)}</{kind}>" for text in texts)


def _path(points: list[tuple[float, float]], colour: str) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _range(values: list[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    marks = "".join(
        f'<span style="margin-right:1.5rem"><span style="color:{colour}">■</span> {_text(label)}</span>'
        for label, colour in entries
    )
    return f"<p>{marks}</p>"


def _svg(width: int, height: int, drawn: Iterable[str]) -> str:
    svg = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(drawn)}</svg>'
    return f'<div class="wide">{svg}</div>'


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(s)}</li>' for s in sentences)}</ul>"


def _text(text: str) -> str:
    return html.escape(visible(text))
