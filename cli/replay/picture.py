"""Draws quality over the replay: the loop, the loop without recalibration and the frozen first model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# Its cache of fonts stays in the project as well.
os.environ.setdefault("MPLCONFIGDIR", str(Path(".cache", "matplotlib").resolve()))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import StrMethodFormatter

from everloop.shown import on_one_line

matplotlib.rcParams["text.parse_math"] = False  # a dollar in a name or a reason is a dollar

FROZEN_COLOUR, RAW_COLOUR, LOOP_COLOUR = "#9a9a9a", "#d08a1d", "#1466b8"
MARK_COLOURS = {"promoted": "#1b8a3a", "refused": "#c46a00"}
CURVES = (
    ("frozen", FROZEN_COLOUR, "frozen first model"),
    ("raw", RAW_COLOUR, "the loop without recalibration"),
    ("loop", LOOP_COLOUR, "the loop"),
)
NAMES = [name for name, _, _ in CURVES]
SMOOTHING_DAYS = 14


@dataclass(frozen=True)
class Mark:
    """Something that happened, to be marked: ``kind`` is promoted, refused or rolled back."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class MoneySaved:
    """What decisions cost less than the frozen model's.

    Attributes
    ----------
    days : pandas.DataFrame
        One row a day: ``date``, and what ``loop`` and ``raw`` saved up to then.
    currency : str
    cost : dict
        Of 1,000 decisions, by ``frozen``, ``raw`` and ``loop``.
    """

    days: pd.DataFrame
    currency: str
    cost: dict[str, float]


def draw_quality(
    daily: pd.DataFrame,
    saved: pd.DataFrame,
    marks: Sequence[Mark],
    *,
    money: MoneySaved | None,
    metric: str,
    better: str,
    loss: str,
    title: str,
    subtitle: str,
    file: Path,
) -> None:
    """Write a PNG: quality by day, and below it what was saved against the frozen model, in loss and in money.

    Parameters
    ----------
    daily : pandas.DataFrame
        One row a day: ``date``, ``loop``, ``raw`` and ``frozen`` (the metric), ``rows`` (labelled). Days without a
        value are left out; without any there are no curves.
    saved : pandas.DataFrame
        One row a day: ``date``, and the loss that ``loop`` and ``raw`` had less than the frozen model up to then.
    money : MoneySaved or None
        None where the declaration prices no decision; then there is no such curve.
    metric : str
        The metric's name, for the axis.
    better : str
        ``higher`` or ``lower``.
    loss : str
        The name of what was saved.
    """
    heights = [5.0, 2.4] if money is None else [5.0, 2.0, 2.0]
    figure, (axes, *below) = plt.subplots(
        len(heights), 1, figsize=(11, sum(heights)), dpi=110, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    if daily.empty:
        axes.text(0.5, 0.5, f"no day on which {metric} has a value", transform=axes.transAxes, ha="center")
    else:
        _draw_curves(axes, daily, better)
    for mark in marks:
        colour = MARK_COLOURS.get(mark.kind, "#b3261e")
        at = float(date2num(mark.at))  # type: ignore[no-untyped-call]  # matplotlib.dates is untyped
        axes.axvline(at, color=colour, linewidth=1.2, linestyle="-" if mark.kind == "promoted" else ":")
        axes.annotate(
            on_one_line(mark.text),
            (at, 0.985),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            rotation=90,
            va="top",
            ha="left",
            fontsize=8,
            color=colour,
        )
        for each in below:
            each.axvline(at, color=colour, linewidth=1.2, linestyle="-" if mark.kind == "promoted" else ":")
    axes.set_ylabel(f"{on_one_line(metric)} ({better} is better)")
    loss = on_one_line(loss)
    _draw_saved(below[0], saved, f"{loss} saved", f"{loss} saved against the frozen first model, cumulative over rows")
    if money is not None:
        _draw_money(below[1], money)
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=4, maxticks=12))  # type: ignore[no-untyped-call]  # as above
    locator = axes.xaxis.get_major_locator()
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    for each in (axes, *below):
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", alpha=0.25)
    figure.suptitle(on_one_line(title), x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes.set_title(f"{on_one_line(subtitle)}; dots are days, lines a {SMOOTHING_DAYS}-day mean", loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)


def _draw_curves(axes: Axes, daily: pd.DataFrame, better: str) -> None:
    smooth = _smoothed(daily)
    for name, colour, label in CURVES:
        if name != "raw":  # its days lie on those of the loop
            axes.plot(daily["date"], daily[name], ".", color=colour, alpha=0.25, markersize=4)
        axes.plot(smooth["date"], smooth[name], color=colour, linewidth=2.2, label=label)
    _fill_gain(axes, smooth, better)
    low, high = smooth[NAMES].min().min(), smooth[NAMES].max().max()
    margin = 0.35 * (high - low) or 0.01
    axes.set_ylim(low - margin, high + 1.6 * margin)
    axes.legend(loc="lower left", frameon=False)


def _draw_saved(axes: Axes, saved: pd.DataFrame, label: str, title: str) -> None:
    axes.axhline(0, color=FROZEN_COLOUR, linewidth=2.2)
    for name, colour, _ in CURVES[1:]:
        axes.plot(saved["date"], saved[name], color=colour, linewidth=2.2)
    axes.set_ylabel(label)
    axes.set_title(title, loc="left", fontsize=9)


def _draw_money(axes: Axes, money: MoneySaved) -> None:
    currency = on_one_line(money.currency)
    _draw_saved(
        axes,
        money.days,
        f"{currency} saved",
        f"{currency} saved by the decisions, cumulative; 1,000 decisions cost {money.cost['frozen']:,.0f} with the"
        f" frozen first model, {money.cost['raw']:,.0f} without recalibration, {money.cost['loop']:,.0f} with the"
        " loop",
    )
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _smoothed(daily: pd.DataFrame) -> pd.DataFrame:
    """A running mean over days, weighted by labelled rows."""
    window = daily.set_index("date")
    weight = window["rows"].rolling(f"{SMOOTHING_DAYS}D").sum()
    means = {n: (window[n] * window["rows"]).rolling(f"{SMOOTHING_DAYS}D").sum() / weight for n in NAMES}
    return pd.DataFrame(means).reset_index()


def _fill_gain(axes: Axes, smooth: pd.DataFrame, better: str) -> None:
    gain = smooth["loop"] > smooth["frozen"] if better == "higher" else smooth["loop"] < smooth["frozen"]
    axes.fill_between(
        smooth["date"], smooth["frozen"], smooth["loop"], where=gain, color=LOOP_COLOUR, alpha=0.10, linewidth=0
    )
