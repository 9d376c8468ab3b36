"""What policies of retraining cost, over what hindsight would have cost, on streams that change and on some that don't.

    python benchmarks/retraining.py [--streams sea …] [--data FOLDER] [--processes 2]

Each stream is cut into windows after 56 days of history. A model is trained at the start of every window on all rows
so far and scored on every later one; so are cheap probes. A policy is then a walk over that table. Its total cost is
what it lost more than a model that is always new and recalibrated daily, and ``c`` of a window's loss for each
retraining. The table divides it by the total of the cheapest retrainings there could have been, found with all losses
known (dynamic programming).

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
from dataclasses import dataclass
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
from everloop.retraining.backtest.policies import Every, Invest, usual_policies  # noqa: E402
from everloop.retraining.backtest.timeline import Answer, Fit, Rows, Timeline, score_windows  # noqa: E402
from everloop.retraining.backtest.walk import Policy, Walk, optimum, walk  # noqa: E402

CACHE = ROOT / ".cache" / "retraining"
COSTS = (0.1, 0.2)
PROBE_ROWS = 5_000
NEAR_NOTHING = 0.3
"""A stream whose hindsight costs less than this share of one retraining has no ratio of its own."""


@dataclass(frozen=True)
class Measured:
    """A stream's history, with and without recalibration."""

    name: str
    held_back: bool
    steady: bool
    rows: int
    recalibrated: History
    plain: History


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
    return Measured(
        name,
        name.endswith("*"),
        stream.steady,
        int(line.rows_by_day[HISTORY_DAYS:].sum()),
        History(table["served"], table["probe_served"], table["model"], errors, fresh, *drift),
        History(table["model"], table["probe"], table["model"], errors, fresh, *drift),
    )


def cached(stream: Stream, line: Timeline, recalibration: str) -> dict[str, np.ndarray]:
    """Daily sums of all models and probes, and drift by model and window."""
    digest = hashlib.sha256(SCORING.encode())
    for part in (stream.features, stream.target, stream.day, np.array([stream.window_days, PROBE_ROWS])):
        digest.update(np.ascontiguousarray(part).tobytes())
    name = digest.hexdigest()[:32]
    scores = kept(f"{name}-scores", lambda: scores_of(stream, line))
    counting = hashlib.sha256(COUNTING.encode()).hexdigest()[:16]
    return kept(f"{name}-{counting}-{recalibration}", lambda: tables_of(stream, line, scores, recalibration))


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


def tables_of(
    stream: Stream, line: Timeline, scores: dict[str, np.ndarray], recalibration: str
) -> dict[str, np.ndarray]:
    """What :func:`cached` keeps."""
    target = stream.target[: line.day_starts[-1]]
    served = {
        name: fitted.fitted(line, scores[of])
        if recalibration == "fit"
        else recalibrated.recalibrated(line, scores[of], "log_odds")
        for name, of in (("served", "model"), ("probe_served", "probe"))
    }
    every = scores | served
    found = {key: LossTable.of(line, row_losses(target, value, "log_loss")).daily for key, value in every.items()}
    found["errors"] = LossTable.of(line, row_losses(target, scores["model"], "error")).daily
    counts = shifts.feature_counts(line, list(stream.features.T))
    return found | {"stability": shifts.stability(counts), "distance": shifts.least_p_value(counts)}


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


def losses_table(streams: Sequence[Measured], cost: float) -> str:
    """Log loss a row: frozen, always retrained, and this product's, and how often that retrains."""
    head = [
        "stream",
        "frozen",
        "frozen, recalibrated",
        "always retrained",
        "investment, recalibrated",
        "retrainings of",
    ]
    rows = []
    for s in streams:
        scale = 1 / s.recalibrated.windows
        found = walked(s, Invest(), cost)
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
            ]
        )
    return markdown(head, rows)


def streams_table(streams: Sequence[Measured]) -> str:
    """Hindsight, this product's, and the best schedule and trigger of each stream."""
    head = ["stream"] + [f"c = {cost:g}: {what}" for cost in COSTS for what in ("hindsight", "investment", "every 8")]
    rows = []
    for s in streams:
        cells = [s.name]
        for cost in COSTS:
            for found in (best(s, cost), walked(s, Invest(), cost), walked(s, Every(8), cost)):
                cells.append(f"{in_losses(s, found):.2f} ({found.retrainings})")
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
COUNTING = _source(losses, fitted, recalibrated, calibrating, fit, mixture, shifts, tables_of)


if __name__ == "__main__":
    sys.exit(main())
