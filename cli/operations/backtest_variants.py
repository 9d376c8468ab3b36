"""Other ways to declare retraining that a backtest lives through beside the declaration as it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from everloop.cli.operations.backtest_advice import Recommendation, Settings
from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.cli.operations.backtest_training_days import WINDOWS, longest_worth_trying
from everloop.model_file.schema import Investment, ModelDeclaration
from everloop.model_file.sections.retraining import LONGEST_PROBE_DAYS
from everloop.retraining.probe.spans import ROOM

AS_SCHEDULED = "this one, best schedule"
AS_INVESTMENT = "this one, as an investment"
WITH_SPANS = "this one, with training spans"


@dataclass(frozen=True)
class Variant:
    """A way to declare retraining.

    Attributes
    ----------
    policy : str
        Its row among the policies.
    lines : tuple of str
        For ``model.yaml``.
    told : str
        What sentences call it.
    """

    policy: str
    declaration: ModelDeclaration
    lines: tuple[str, ...]
    told: str


def variants(
    declaration: ModelDeclaration, advice: Recommendation, shape: Shape, knobs: Knobs, cost: float
) -> list[Variant]:
    """The best schedule; retraining as an investment; and that with training spans. Not what is declared already.

    Parameters
    ----------
    advice : Recommendation
        With the best schedule among the policies.
    cost : float
        Of a retraining, in the unit of the backtest.
    """
    found = []
    scheduled = with_schedule(declaration, advice.settings)
    if scheduled is not None:
        found.append(Variant(AS_SCHEDULED, scheduled, advice.lines, "the best schedule among the policies"))
    if not knobs.investment:
        return found
    invested, lines = declaration, [*before_retraining(advice.lines), "# retraining: keep it as it is"]
    if declaration.retraining.investment is None:
        investment = _investment(declaration, shape, cost)
        retraining = declaration.retraining.model_copy(update={"investment": investment, "schedule_days": None})
        invested = declaration.model_copy(update={"retraining": retraining})
        lines = [*before_retraining(advice.lines), "retraining:", *_investment_lines(investment)]
        found.append(Variant(AS_INVESTMENT, invested, tuple(lines), "retraining as an investment"))
    spans = _spans(declaration, shape)
    if spans:
        data = invested.data.model_copy(update={"training_spans": spans})
        chosen = ["data:", f"  training_spans: [{', '.join(map(str, spans))}]"]
        own = lines[lines.index("retraining:") :] if "retraining:" in lines else lines[-1:]
        told = "retraining as an investment, on spans that evidence chooses,"
        found.append(Variant(WITH_SPANS, invested.model_copy(update={"data": data}), (*chosen, *own), told))
    return found


def with_schedule(declaration: ModelDeclaration, settings: Settings) -> ModelDeclaration | None:
    """The declaration with a schedule instead of an investment and its spans; None where it says so already."""
    retraining = declaration.retraining
    changed = retraining.model_copy(
        update={
            "schedule_days": settings["schedule_days"],
            "cooldown_days": settings.get("cooldown_days", retraining.cooldown_days),
            "quota": retraining.quota.model_copy(update=dict(settings.get("quota", {}))),
            "investment": None,
        }
    )
    if changed == retraining:
        return None
    data = declaration.data.model_copy(update={"training_spans": None})
    return declaration.model_copy(update={"retraining": changed, "data": data})


def before_retraining(lines: Sequence[str]) -> list[str]:
    """Lines for ``model.yaml`` without those of its section ``retraining``, which is the last one."""
    return list(lines)[: list(lines).index("retraining:")]


def _investment(declaration: ModelDeclaration, shape: Shape, cost: float) -> Investment:
    """A probe in every window of the backtest, at the backtest's cost of a retraining."""
    monitored = declaration.monitoring.window_hours // 24
    longest = LONGEST_PROBE_DAYS // monitored * monitored
    every = min(math.ceil(shape.window_days / monitored) * monitored, longest)
    return Investment(every_days=every, cost=cost)


def _investment_lines(investment: Investment) -> list[str]:
    price = f"cost: {investment.cost:g}" if investment.cost is not None else f"cost_share: {investment.cost_share:g}"
    return [
        f"  investment: {{every_days: {investment.every_days}, {price}}}",
        "  # without schedule_days: probes say when a training pays",
    ]


def _spans(declaration: ModelDeclaration, shape: Shape) -> list[int]:
    """Lengths that trainings could choose from; none where it is declared what they learn from."""
    if declaration.data.training_spans or declaration.data.training_window_days is not None:
        return []
    days = shape.history_days + shape.windows * shape.window_days
    enough = max(declaration.data.split.test_days + 1, ROOM * declaration.data.minimum_rows * days / shape.rows)
    usual = (windows * shape.window_days for windows in WINDOWS)
    return [length for length in usual if enough <= length < longest_worth_trying(shape)]
