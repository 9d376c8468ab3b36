"""What policies of retraining cost, over what hindsight would have cost, on streams that change and on some that don't.

    python benchmarks/retraining.py [--streams sea …] [--data FOLDER] [--processes 2]

Each stream is cut into windows after 56 days of history. A model is trained at the start of every window on all rows
so far and scored on every later one; so are cheap probes. A policy is then a walk over that table. Its total cost is
what it lost more than a model that is always new and recalibrated daily, and ``c`` of a window's loss for each
retraining. The table divides it by the total of the cheapest retrainings there could have been, found with all losses
known (dynamic programming).

Trainings learn from all rows, or from the span of newest days that evidence chose, as this product does
(``everloop.retraining.backtest.spans``; 4, 8 or 16 windows, or all rows; one setting for all streams). There hindsight
is given three times: it retrains on all rows; it chooses when, and each training learns from what evidence chose; it
chooses when and from which span. In that order the reference is a model that is always new and has learned from all
rows, from what evidence chose, and from the one span that is best for the stream.

Settings were chosen on one half of the streams; the other half (marked *) was looked at once they stood. Steady streams
(generators without change, shuffled copies) are told apart: hindsight pays next to nothing there, so there is nothing
to divide by. Scores are kept in ``.cache/retraining`` under the hash of the rows and of the code that made them.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

# Processes share the cores: a learner with threads of its own would wait for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import fitted  # noqa: E402
from benchmarks.refit import markdown  # noqa: E402
from benchmarks.streams import HISTORY_DAYS, Stream, held_back_streams, seen_streams  # noqa: E402
from everloop.recalibration import fit, mixture  # noqa: E402
from everloop.recalibration import learner as calibrating  # noqa: E402
from everloop.retraining.backtest import losses, recalibrated, shifts, timeline  # noqa: E402
from everloop.retraining.backtest.history import History  # noqa: E402
from everloop.retraining.backtest.losses import LossTable, row_losses  # noqa: E402
from everloop.retraining.backtest.policies import (  # noqa: E402
    Every,
    Invest,
    KolmogorovSmirnov,
    LossRise,
    Never,
    Stability,
    usual_policies,
)
from everloop.retraining.backtest.spans import Span, by_evidence, chosen_spans, fresh_losses, learned_rows  # noqa: E402
from everloop.retraining.backtest.timeline import Answer, Fit, Rows, Timeline, score_windows  # noqa: E402
from everloop.retraining.backtest.walk import Policy, Walk, optimum, walk  # noqa: E402

CACHE = ROOT / ".cache" / "retraining"
COSTS = (0.1, 0.2)
PROBE_ROWS = 5_000
SPANS = (4, 8, 16)
"""Windows of the spans that evidence chooses from, beside all rows."""

TRIGGERS: tuple[Policy, ...] = (LossRise(), Stability(), KolmogorovSmirnov())
"""What people use in place of a schedule. Of models of spans no wrong answers are kept, so ADWIN has none to watch."""

NEAR_NOTHING = 0.3
"""A stream whose hindsight costs less than this share of one retraining has no ratio of its own."""


@dataclass(frozen=True)
class Measured:
    """A stream's history: of models that learned from all rows, with and without recalibration, and by span.

    ``evidence`` is of models that learned from what evidence chose, recalibrated; ``spans`` is what that was, by
    window, and ``by_span`` what served models of each span lost.
    """

    name: str
    held_back: bool
    steady: bool
    rows: int
    recalibrated: History
    plain: History
    evidence: History
    spans: tuple[Span, ...]
    by_span: dict[Span, LossTable]


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", nargs="*", default=[""], help="parts of names; all streams when not given")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "streams", help="where public files are kept")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--recalibration",
        choices=["fit", "product"],
        default="fit",
        help="level and slope of the last 14 days, or the product's own learner, which takes several times as long",
    )
    options = parser.parse_args()
    names = [n for n in makers(options.data) if any(part.lower() in n.lower() for part in options.streams)]
    started, found = time.monotonic(), {}
    with ProcessPoolExecutor(options.processes) as pool:
        waiting = [pool.submit(measure, name, options.data, options.recalibration) for name in names]
        for done, future in enumerate(as_completed(waiting), start=1):
            measured = future.result()
            found[measured.name] = measured
            sys.stderr.write(f"{done} of {len(names)} after {time.monotonic() - started:.0f} s: {measured.name}\n")
    streams = [found[name] for name in names]
    for cost in COSTS:
        print(f"\n### A retraining costs {cost:g} of a window's loss\n")
        print(policies_table(streams, cost))
        print("\nTrainings that learn from the span that evidence chose:\n")
        print(spans_table(streams, cost))
    print("\n### Loss of every row served\n")
    print(losses_table(streams, COSTS[0]))
    print("\n### Stream by stream: total cost in losses of a window, and retrainings\n")
    print(streams_table(streams))
    return 0


def makers(data: Path) -> dict[str, Callable[[], Stream]]:
    """All streams by name."""
    return seen_streams(data) | held_back_streams()


def measure(name: str, data: Path, recalibration: str) -> Measured:
    """Train, score and count one stream, or take what the cache has of it."""
    stream = makers(data)[name]()
    line = Timeline(stream.target, stream.day, HISTORY_DAYS, stream.window_days)
    tables = cached(stream, line, recalibration)
    unit = line.rows_by_day[HISTORY_DAYS:].sum() / line.windows
    table = {key: LossTable(line, tables[key] / unit) for key in ("model", "served", "probe", "probe_served")}
    errors, fresh = LossTable(line, tables["errors"]), np.diag(table["served"].by_window).copy()
    drift = tables["stability"], tables["distance"]
    whole = History(table["served"], table["probe_served"], table["model"], errors, fresh, *drift)
    histories: dict[Span, History] = {None: whole}
    for windows in SPANS:
        days, of = windows * stream.window_days, cached_span(stream, line, recalibration, windows * stream.window_days)
        one = {key: LossTable(line, of[key] / unit) for key in ("model", "served", "probe_served")}
        shift = cached_shift(stream, line, windows)
        histories[days] = replace(
            whole,
            served=one["served"],
            probe=one["probe_served"],
            raw=one["model"],
            shift_stability=shift["stability"],
            shift_distance=shift["distance"],
        )
    own = {days: fresh_losses(history.probe) for days, history in histories.items()}
    chosen = tuple(choice.days for choice in chosen_spans(line, own))
    return Measured(
        name,
        name.endswith("*"),
        stream.steady,
        int(line.rows_by_day[HISTORY_DAYS:].sum()),
        whole,
        History(table["model"], table["probe"], table["model"], errors, fresh, *drift),
        by_evidence(histories, chosen),
        chosen,
        {days: history.served for days, history in histories.items()},
    )


def cached(stream: Stream, line: Timeline, recalibration: str) -> dict[str, np.ndarray]:
    """Daily sums of all models and probes, and drift by model and window."""
    name, counting = hashed(stream), hashlib.sha256(COUNTING.encode()).hexdigest()[:16]

    def made() -> dict[str, np.ndarray]:
        scores = kept(f"{name}-scores", lambda: scores_of(stream, line))
        return tables_of(stream, line, scores, recalibration)

    return kept(f"{name}-{counting}-{recalibration}", made)


def cached_span(stream: Stream, line: Timeline, recalibration: str, days: int) -> dict[str, np.ndarray]:
    """The same of models and probes that learned from the newest days."""
    name, counting = hashed(stream), hashlib.sha256(COUNTING.encode()).hexdigest()[:16]

    def made() -> dict[str, np.ndarray]:
        everything = kept(f"{name}-scores", lambda: scores_of(stream, line))
        scores = kept(f"{name}-{days}-scores", lambda: span_scores_of(stream, line, days, everything))
        return losses_of(stream, line, scores, recalibration)

    return kept(f"{name}-{days}-{counting}-{recalibration}", made)


def cached_shift(stream: Stream, line: Timeline, windows: int) -> dict[str, np.ndarray]:
    """How far features lie from those of the newest windows before each model."""
    source = hashlib.sha256(_source(shifts).encode()).hexdigest()[:16]

    def made() -> dict[str, np.ndarray]:
        before = max(1, line.history_days // line.window_days)
        counts = shifts.feature_counts(line, list(stream.features.T), before=before)
        spans = [windows] * line.windows
        return {
            "stability": shifts.stability(counts, before=before, spans=spans),
            "distance": shifts.least_p_value(counts, before=before, spans=spans),
        }

    return kept(f"{hashed(stream)}-{windows}-{source}-shift", made)


def hashed(stream: Stream) -> str:
    """The name of what was made of these rows by this code."""
    digest = hashlib.sha256(SCORING.encode())
    for part in (stream.features, stream.target, stream.day, np.array([stream.window_days, PROBE_ROWS])):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:32]


def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of this name, made if the cache has none."""
    file = CACHE / f"{name}.npz"
    if file.is_file():
        with np.load(file) as arrays:
            return {key: arrays[key] for key in arrays.files}
    CACHE.mkdir(parents=True, exist_ok=True)
    found, unfinished = make(), file.with_suffix(f".{os.getpid()}.npz")
    np.savez(unfinished, **found)  # type: ignore[arg-type]  # the stub takes names for flags
    unfinished.replace(file)
    return found


def scores_of(stream: Stream, line: Timeline) -> dict[str, np.ndarray]:
    """What all models and probes answer."""
    return {
        "model": score_windows(line, learner(stream, 40)),
        "probe": score_windows(line, learner(stream, 25), most_rows=PROBE_ROWS, seed=1),
    }


def span_scores_of(
    stream: Stream, line: Timeline, days: int, everything: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What they answer that learned from the newest days; where those are all there are, ``everything`` has it."""

    def of(name: str, fit: Fit, most_rows: int | None) -> np.ndarray:
        scores = everything[name].copy()
        for window in range(line.windows):
            if len(line.rows_before(window, days=days)) < len(line.rows_before(window)):
                asked = line.rows_from(window)
                scores[window, asked] = fit(learned_rows(line, window, days, most_rows=most_rows, seed=1))(asked)
        return scores

    return {"model": of("model", learner(stream, 40), None), "probe": of("probe", learner(stream, 25), PROBE_ROWS)}


def tables_of(
    stream: Stream, line: Timeline, scores: dict[str, np.ndarray], recalibration: str
) -> dict[str, np.ndarray]:
    """What :func:`cached` keeps."""
    found = losses_of(stream, line, scores, recalibration)
    target = stream.target[: line.day_starts[-1]]
    found["errors"] = LossTable.of(line, row_losses(target, scores["model"], "error")).daily
    counts = shifts.feature_counts(line, list(stream.features.T))
    return found | {"stability": shifts.stability(counts), "distance": shifts.least_p_value(counts)}


def losses_of(
    stream: Stream, line: Timeline, scores: dict[str, np.ndarray], recalibration: str
) -> dict[str, np.ndarray]:
    """Daily sums of models and probes, as they answer and recalibrated."""
    target = stream.target[: line.day_starts[-1]]
    served = {
        name: fitted.fitted(line, scores[of])
        if recalibration == "fit"
        else recalibrated.recalibrated(line, scores[of], "log_odds")
        for name, of in (("served", "model"), ("probe_served", "probe"))
    }
    every = scores | served
    return {key: LossTable.of(line, row_losses(target, value, "log_loss")).daily for key, value in every.items()}


def learner(stream: Stream, trees: int) -> Fit:
    """Boosted trees, more or fewer."""

    def trained(rows: Rows) -> Answer:
        target = stream.target[rows]
        if len(np.unique(target)) < 2:
            rate = float(target.mean())
            return lambda asked: np.full(len(asked), rate)
        model = HistGradientBoostingClassifier(
            random_state=7, early_stopping=False, learning_rate=4.5 / trees, max_iter=trees, max_leaf_nodes=15
        ).fit(stream.features[rows], target)
        return lambda asked: np.asarray(model.predict_proba(stream.features[asked])[:, 1])

    return trained


def policies_table(streams: Sequence[Measured], cost: float) -> str:
    """Total cost over hindsight's, by policy and half of the streams, recalibrated and not; steady streams beside."""
    moving, steady = [s for s in streams if not s.steady], [s for s in streams if s.steady]
    halves = [s for s in moving if not s.held_back], [s for s in moving if s.held_back]
    head = ["policy", "chosen on", "held back", "all", "median", "all, not recalibrated"]
    head += ["retrainings", "restored", "steady: retrainings", "steady: cost"]
    policies = [*usual_policies(), Invest(restores=False), Invest()]
    rows = []
    for policy in policies:
        ratios = [walked(s, policy, cost).cost / best(s, cost).cost for s in moving if weighs(s, cost)]
        rows.append(
            [policy.name]
            + [_number(pooled(part, policy, cost)) for part in (*halves, moving)]
            + [_number(float(np.median(ratios)) if ratios else None)]
            + [_number(pooled(moving, policy, cost, plain=True))]
            + [_mean([walked(s, policy, cost).retrainings for s in moving])]
            + [_mean([restorations(walked(s, policy, cost)) for s in moving])]
            + [_mean([walked(s, policy, cost).retrainings for s in steady])]
            + [_mean([walked(s, policy, cost).cost / s.recalibrated.window_loss for s in steady], ".2f")]
        )
    if moving:
        hindsight = sum(min(in_losses(s, walked(s, Every(k), cost)) for k in range(1, 53)) for s in moving)
        total = sum(in_losses(s, best(s, cost)) for s in moving)
        rows.append(
            ["each stream's best schedule, known only afterwards", "", "", _number(hindsight / total), *[""] * 6]
        )
    rows.append(
        [
            "hindsight optimum",
            *["1.00"] * 4,
            "",
            _mean([best(s, cost).retrainings for s in moving]),
            "",
            _mean([best(s, cost).retrainings for s in steady]),
            _mean([in_losses(s, best(s, cost)) for s in steady], ".2f"),
        ]
    )
    return markdown(head, rows)


def walked(stream: Measured, policy: Policy, cost: float, *, plain: bool = False) -> Walk:
    """A policy's walk; the cost is a share of a window's loss."""
    history = stream.plain if plain else stream.recalibrated
    return walk(history, policy, cost * stream.recalibrated.window_loss)


def restorations(found: Walk) -> int:
    """How often an older version was let serve again."""
    return sum(action.kind == "restore" for _, action in found.actions)


def best(stream: Measured, cost: float) -> Walk:
    """Hindsight's."""
    return optimum(stream.recalibrated, cost * stream.recalibrated.window_loss)


def in_losses(stream: Measured, found: Walk) -> float:
    """Its cost in losses of a window."""
    return found.cost / stream.recalibrated.window_loss


def weighs(stream: Measured, cost: float) -> bool:
    """Whether hindsight pays enough there to divide by."""
    return in_losses(stream, best(stream, cost)) > NEAR_NOTHING * cost


def pooled(streams: Sequence[Measured], policy: Policy, cost: float, *, plain: bool = False) -> float | None:
    """Total cost over all streams, over hindsight's; None without streams."""
    total = sum(in_losses(s, best(s, cost)) for s in streams)
    return sum(in_losses(s, walked(s, policy, cost, plain=plain)) for s in streams) / total if total > 0 else None


def spans_table(streams: Sequence[Measured], cost: float) -> str:
    """Total cost in losses of a window, summed over the streams that change, and over each of the three optima."""
    parts = (
        ("chosen on", [s for s in streams if not s.steady and not s.held_back]),
        ("held back", [s for s in streams if not s.steady and s.held_back]),
        ("all", [s for s in streams if not s.steady]),
        ("steady", [s for s in streams if s.steady]),
    )
    schedules = [Every(k) for k in range(1, 13)]
    rows: list[list[str]] = []
    compared: list[tuple[str, Sequence[Policy], bool]] = [
        ("investment, spans by evidence", [Invest()], True),
        ("investment, spans by evidence, no older versions", [Invest(restores=False)], True),
        ("investment, all rows", [Invest()], False),
        ("best schedule of all, spans by evidence", schedules, True),
        ("best schedule of all, all rows", schedules, False),
        *((f"{policy.name}, spans by evidence", [policy], True) for policy in TRIGGERS),
        *((f"{policy.name}, all rows", [policy], False) for policy in TRIGGERS),
        ("never", [Never()], False),
    ]
    for label, policies, spans in compared:
        for part, of in parts:
            if not of:
                continue
            walks = [[in_spans(s, policy, cost, evidence=spans) for s in of] for policy in policies]
            paid = min(walks, key=lambda all_: sum(w.total for w in all_))
            optima = {kind: sum(hindsight(s, cost, kind) for s in of) for kind in KINDS}
            totals = {kind: sum(w.over(kind) for w in paid) for kind in KINDS}
            rows.append(
                [label if part == parts[0][0] else "", part]
                + [f"{totals[kind]:.2f} / {optima[kind]:.2f} = {totals[kind] / optima[kind]:.2f}" for kind in KINDS]
                + [_mean([w.retrainings for w in paid]), _mean([w.total for w in paid], ".2f")]
            )
    head = ["policy", "streams", *(f"over hindsight: {kind}" for kind in KINDS), "retrainings", "cost, mean"]
    return markdown(head, rows)


KINDS = ("all rows", "when", "when and from what")
"""What hindsight chooses; see the module's text."""


@dataclass(frozen=True)
class Paid:
    """A policy's total in losses of a window, over a model that is always new on all rows; other references differ."""

    total: float
    retrainings: int
    references: dict[str, float]

    def over(self, kind: str) -> float:
        """The total over the reference of that hindsight."""
        return self.total - self.references[kind]


def in_spans(stream: Measured, policy: Policy, cost: float, *, evidence: bool) -> Paid:
    """A policy's walk."""
    scale = stream.recalibrated.window_loss
    found = walk(stream.evidence if evidence else stream.recalibrated, policy, cost * scale)
    excess = float((found.loss - stream.recalibrated.fresh).sum()) / scale
    return Paid(excess + cost * found.retrainings, found.retrainings, references(stream))


def references(stream: Measured) -> dict[str, float]:
    """What a model that is always new loses more than one of all rows, in losses of a window, by kind of hindsight."""
    whole, scale = float(stream.recalibrated.fresh.sum()), stream.recalibrated.window_loss
    of_span = min(float(np.diag(table.by_window).sum()) for table in stream.by_span.values())
    of_kind = {"all rows": whole, "when": float(stream.evidence.fresh.sum()), "when and from what": of_span}
    return {kind: (lost - whole) / scale for kind, lost in of_kind.items()}


def hindsight(stream: Measured, cost: float, kind: str) -> float:
    """Its total over its own reference, in losses of a window."""
    scale = stream.recalibrated.window_loss
    if kind == "all rows":
        return in_losses(stream, best(stream, cost))
    if kind == "when":
        return optimum(stream.evidence, cost * scale).cost / scale
    whole = float(stream.recalibrated.fresh.sum())
    return (cheapest(list(stream.by_span.values()), stream.by_span[None], cost * scale) - whole) / scale - references(
        stream
    )[kind]


def cheapest(choices: Sequence[LossTable], first: LossTable, cost: float) -> float:
    """The least loss and price of retrainings, each of them by any of the choices; the first model is ``first``'s."""
    summed = [np.concatenate([np.zeros((len(t.daily), 1)), np.nan_to_num(t.by_window).cumsum(1)], 1) for t in choices]
    windows, origin = len(first.daily), first.by_window[0].cumsum()
    best_from = np.zeros(windows + 1)
    for start in range(windows - 1, 0, -1):
        ends = np.arange(start + 1, windows + 1)
        lost = np.min([s[start, ends] - s[start, start] for s in summed], axis=0)
        best_from[start] = float((lost + best_from[ends] + cost * (ends < windows)).min())
    ends = np.arange(1, windows + 1)
    return float((origin[ends - 1] + best_from[ends] + cost * (ends < windows)).min())


def losses_table(streams: Sequence[Measured], cost: float) -> str:
    """Log loss a row: frozen, always retrained, and this product's, and how often that retrains."""
    head = [
        "stream",
        "frozen",
        "frozen, recalibrated",
        "always retrained",
        "investment, spans by evidence, recalibrated",
        "retrainings of",
        "shorter spans chosen",
    ]
    rows = []
    for s in streams:
        scale = 1 / s.recalibrated.windows
        scale_cost = cost * s.recalibrated.window_loss
        found = walk(s.evidence, Invest(), scale_cost)
        by_window = [
            s.plain.served.by_window[0],
            s.recalibrated.served.by_window[0],
            np.diag(s.plain.served.by_window),
            found.loss,
        ]
        rows.append(
            [
                s.name,
                *(f"{float(loss.sum()) * scale:.4f}" for loss in by_window),
                f"{found.retrainings} of {s.recalibrated.windows - 1}",
                f"{sum(days is not None for days in s.spans) / len(s.spans):.0%}",
            ]
        )
    return markdown(head, rows)


def streams_table(streams: Sequence[Measured]) -> str:
    """Hindsight, this product's, and the best schedule and trigger of each stream."""
    told = ("hindsight", "investment", "the same, spans by evidence", "every 8")
    head = ["stream"] + [f"c = {cost:g}: {what}" for cost in COSTS for what in told]
    rows = []
    for s in streams:
        cells = [s.name]
        for cost in COSTS:
            for found in (best(s, cost), walked(s, Invest(), cost)):
                cells.append(f"{in_losses(s, found):.2f} ({found.retrainings})")
            spans, every = in_spans(s, Invest(), cost, evidence=True), walked(s, Every(8), cost)
            cells.append(f"{spans.total:.2f} ({spans.retrainings})")
            cells.append(f"{in_losses(s, every):.2f} ({every.retrainings})")
        rows.append(cells)
    return markdown(head, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _mean(values: Sequence[float], form: str = ".1f") -> str:
    return format(float(np.mean(values)), form) if len(values) else ""


def _source(*parts: object) -> str:
    return "\n".join(inspect.getsource(part) for part in parts)  # type: ignore[arg-type]  # modules and functions


# Read when this starts: what is edited meanwhile did not make the figures.
SCORING = _source(timeline, scores_of, learner)
COUNTING = _source(losses, fitted, recalibrated, calibrating, fit, mixture, shifts, tables_of, losses_of)


if __name__ == "__main__":
    sys.exit(main())
