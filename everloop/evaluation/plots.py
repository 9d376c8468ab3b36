"""Plots as SVG text, without any package: a line over days, a curve against the diagonal, bars with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from everloop.shown import on_one_line

WIDTH = 440
"""Units of a plot: as many pixels on a phone, so that its texts can be read there."""
BLUE, GREY = "#2457a6", "#8b97a6"
LONGEST_LABEL = 54


@dataclass(frozen=True)
class Bar:
    """A value with its interval, and what it is of."""

    label: str
    value: float
    low: float | None
    high: float | None


def line(points: Sequence[tuple[str, float | None]], told: str) -> str:
    """Values over days; days without a value are left out."""
    known = [(place, day, value) for place, (day, value) in enumerate(points) if value is not None]
    if not known:
        return ""
    low, high = _room([value for *_, value in known])
    height, left, last = 220, 60, max(1, len(points) - 1)

    def at(place: int, value: float) -> tuple[float, float]:
        return left + place / last * (WIDTH - left - 20), 20 + (high - value) / (high - low) * (height - 60)

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(place, value) for place, _, value in known))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{BLUE}"><title>{_text(day)}: {value:.4g}</title></circle>'
        for (x, y), day, value in ((at(place, value), day, value) for place, day, value in known)
    )
    ends = f"{_label(left, height - 12, points[0][0])}{_label(WIDTH - 20, height - 12, points[-1][0], 'end')}"
    ticks = "".join(
        _label(left - 8, at(0, value)[1] + 4, f"{value:.3g}", "end") for value in (low, (low + high) / 2, high)
    )
    drawn = f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>{dots}{ends}{ticks}'
    return _svg(height, told, drawn)


def curve(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """Points between 0 and 1 in both directions, with the diagonal."""
    size, left = 320, 60

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * size, 20 + (1 - y) * size

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
    dots = "".join(
        f'<circle cx="{at(*point)[0]:.1f}" cy="{at(*point)[1]:.1f}" r="4" fill="{BLUE}"/>' for point in points
    )
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    frame = f'<path d="M{x0},{y1}V{y0}H{x1}" fill="none" stroke="{GREY}"/>'
    diagonal = f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{GREY}" stroke-dasharray="5 4"/>'
    ticks = "".join(
        _label(left - 8, at(0, v)[1] + 4, f"{v:g}", "end") + _label(at(v, 0)[0], y0 + 18, f"{v:g}", "middle")
        for v in (0, 0.5, 1)
    )
    names = _label(x0 + size / 2, y0 + 40, across, "middle") + _label(x0 + 8, 32, up)
    drawn = (
        f'{frame}{diagonal}<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>{dots}{ticks}{names}'
    )
    return _svg(size + 80, f"{up} against {across}", drawn)


def interval_bars(bars: Sequence[Bar], told: str) -> str:
    """A row for each bar: its label above, its interval as a line, its value as a dot."""
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    low, high = _room(ends)
    each, top, left = 44, 30, 16

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - 2 * left - 70)

    drawn = _label(left, 16, told)
    for number, bar in enumerate(bars):
        y = top + number * each
        drawn += _label(left, y + 14, _cut(bar.label))
        if bar.low is not None and bar.high is not None:
            ends_at = f'x1="{across(bar.low):.1f}" x2="{across(bar.high):.1f}" y1="{y + 28}" y2="{y + 28}"'
            drawn += f'<line {ends_at} stroke="{GREY}" stroke-width="5" stroke-linecap="round"/>'
        drawn += f'<circle cx="{across(bar.value):.1f}" cy="{y + 28}" r="5" fill="{BLUE}"/>'
        drawn += _label(WIDTH - 8, y + 33, f"{bar.value:.3g}", "end")
    return _svg(top + len(bars) * each + 8, told, drawn)


def _room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(1.0, abs(high)):
        half = max(abs(high) * 0.1, 1e-6)
        return low - half, high + half
    return low, high


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="14" fill="#465264">{_text(text)}</text>'


def _svg(height: float, told: str, drawn: str) -> str:
    style = 'role="img" font-family="system-ui,sans-serif"'
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" {style} aria-label="{_text(told)}">{drawn}</svg>'


def _text(text: str) -> str:
    return escape(on_one_line(text))
