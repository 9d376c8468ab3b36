"""The pictures of an exploration, as inline SVG that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 320, 120


def columns(names: Sequence[str], counts: Sequence[int], means: Sequence[float], *, ordered: bool) -> str:
    """Bars for counts, and over them the mean outcome of each, on a scale of its own.

    A line joins the means where the bars have an order.
    """
    if not counts:
        return ""
    step, most = WIDTH / len(counts), max(counts)
    low, high = min(means), max(means)
    bars, points = [], []
    for place, (name, count, mean) in enumerate(zip(names, counts, means, strict=True)):
        height = count / most * (HEIGHT - 20)
        told = escape(f"{name}: {count:,} rows, outcome {mean:.4g}")
        bars.append(
            f'<rect x="{place * step:.1f}" y="{HEIGHT - height:.1f}" width="{max(step - 1, 0.5):.1f}" '
            f'height="{height:.1f}" fill="var(--bar)"><title>{told}</title></rect>'
        )
        points.append((step * (place + 0.5), _up(mean, low, high)))
    drawn = _path(points) if ordered else _dots(points)
    scale = f"outcome {low:.3g} to {high:.3g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{scale}">{"".join(bars)}{drawn}'
        f'<text x="2" y="10" font-size="10" fill="var(--mark)">{scale}</text></svg>'
    )


def line(points: Sequence[tuple[str, float, float, float]]) -> str:
    """A value over time in its bounds: (name, low, value, high), in order."""
    if not points:
        return ""
    low, high = min(point[1] for point in points), max(point[3] for point in points)
    step, wide = 960 / len(points), []
    for place, (name, least, value, most) in enumerate(points):
        x = step * (place + 0.5)
        told = escape(f"{name}: {value:.4g} ({least:.4g} to {most:.4g})")
        wide.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_up(least, low, high):.1f}" y2="{_up(most, low, high):.1f}" '
            f'stroke="var(--bar)" stroke-width="4"><title>{told}</title></line>'
        )
    drawn = _path([(step * (place + 0.5), _up(p[2], low, high)) for place, p in enumerate(points)])
    ends = escape(f"{points[0][0]} to {points[-1][0]}; {low:.4g} to {high:.4g}")
    picture = f'<svg viewBox="0 0 960 {HEIGHT}" role="img" aria-label="{ends}">{"".join(wide)}{drawn}</svg>'
    return f"{picture}<p class=soft>{ends}</p>"


def heatmap(names: Sequence[str], values: Sequence[Sequence[float | None]]) -> str:
    """A square for each pair: blue goes with, red against, as strong as the colour is."""
    side, left = 16, 170
    size, parts = side * len(names), []
    for row, name in enumerate(names):
        shown = escape(name if len(name) <= 26 else f"{name[:25]}…")
        parts.append(
            f'<text x="{left - 4}" y="{row * side + 12}" font-size="10" text-anchor="end" fill="var(--ink)">'
            f"{shown}</text>"
        )
        for column, value in enumerate(values[row][: row + 1]):
            if value is None:
                continue
            colour = "#2f6db3" if value >= 0 else "#c0451f"
            told = escape(f"{name}, {names[column]}: {value:.2f}")
            parts.append(
                f'<rect x="{left + column * side}" y="{row * side}" width="{side - 1}" height="{side - 1}" '
                f'fill="{colour}" fill-opacity="{abs(value):.2f}"><title>{told}</title></rect>'
            )
    width = left + size
    opened = f'<svg viewBox="0 0 {width} {size}" style="width:{width}px" role="img" aria-label="correlations">'
    return f"{opened}{''.join(parts)}</svg>"


def _up(value: float, low: float, high: float) -> float:
    return HEIGHT - 6 - (value - low) / (high - low) * (HEIGHT - 22) if high > low else HEIGHT / 2


def _dots(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="var(--mark)"/>' for x, y in points)


def _path(points: Sequence[tuple[float, float]]) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{drawn}" fill="none" stroke="var(--mark)" stroke-width="2"/>'
