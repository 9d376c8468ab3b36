"""The model card: what a declaration says of a model, for people who are to judge it, in Markdown.

The data dictionary is computed from the contract, so it is what requests and training rows are checked against.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.dataset.held_groups import HeldGroups
from everloop.evaluation.baselines import ALL_KEYS
from everloop.model_file.tiers import CONTROLS
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS, REGRESSION

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration
    from everloop.model_file.sections.problem import Baseline

NOTHING = "Nothing is declared."
DICTIONARY = ("column", "type", "allowed", "missing", "meaning")


def card(declaration: ModelDeclaration) -> str:
    """The card."""
    return "\n".join(_lines(declaration)) + "\n"


def dictionary(declaration: ModelDeclaration) -> list[tuple[str, str, str, str, str]]:
    """The data dictionary, a row for each column, as ``DICTIONARY`` names its cells."""
    data = declaration.data
    target = _range(data.target_min, data.target_max)
    if declaration.problem.type == BINARY:
        target = "0 or 1"
    elif declaration.problem.classes:
        target = "one of " + ", ".join(map(str, declaration.problem.classes))
    return [
        (data.key, "key", "a unique name for each row", "refused", "The row's key."),
        (data.time, "time", "an instant", "refused", "When the answer is needed."),
        (data.target, "target", target, "until the outcome is known", f"Known {data.label_lag_hours:g} hours later."),
        *((f.name, f.type, _allowed(f), _missing(f), f.description) for f in data.features),
    ]


def facts(declaration: ModelDeclaration) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The sections before the dictionary: a title, and what is declared, each with its name."""
    for title, found in _facts(declaration):
        yield title, [(what, " ".join(text.split())) for what, text in found if text]


def _facts(declaration: ModelDeclaration) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    problem, owner, risk = declaration.problem, declaration.owner, declaration.risk
    yield (
        "Purpose",
        [
            ("objective", problem.objective),
            ("success", problem.success_criterion),
            ("why a model", problem.why_ml),
            ("decides", problem.decided_by),
            ("affected", problem.affected),
            ("answers within", _milliseconds(problem.acceptable_latency_ms)),
            ("baseline", _baseline(problem.baseline)),
            ("interval", _coverage(declaration)),
            ("order of rows", _ranking(declaration)),
            ("standing set", _standing(declaration)),
            ("held-out groups", _held_groups(declaration)),
        ],
    )
    yield "What decisions are worth", list(_prices(declaration))
    yield (
        "Who is responsible",
        [
            ("team", f"{owner.team} ({owner.email})"),
            ("escalation", owner.escalation),
            *((f"hand-over of {name}", who) for name, who in owner.hand_overs),
            ("ends", "; ".join(declaration.retirement.criteria)),
            ("consumers are told", f"{declaration.retirement.notify_days} days before"),
        ],
    )
    yield f"Controls (risk tier {risk.tier})", list(_controls(declaration))
    yield "Sources of data", [(source.name, source.licence) for source in declaration.data.sources]


def _lines(declaration: ModelDeclaration) -> Iterator[str]:
    yield f"# {declaration.model}"
    for title, found in facts(declaration):
        yield from _section(title, found)
    yield from ("", "## Data dictionary", "", _row(DICTIONARY), _row(["---"] * len(DICTIONARY)))
    yield from map(_row, dictionary(declaration))


def _section(title: str, found: list[tuple[str, str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from (f"- {what}: {text}" for what, text in found)
    if not found:
        yield NOTHING


def _baseline(declared: Baseline) -> str:
    said = ((key, getattr(declared, key)) for key in ALL_KEYS)
    return declared.kind + "".join(f", {key} {text}" for key, text in said if text is not None)


def _coverage(declaration: ModelDeclaration) -> str | None:
    interval = declaration.problem.interval
    return None if interval is None else f"{interval.coverage:.3g} of the outcomes lie between low and high"


def _ranking(declaration: ModelDeclaration) -> str | None:
    ranking, judged = declaration.problem.ranking, declaration.gate.ranking
    if ranking is None:
        return None
    told = f"measured in each list ({ranking.group}), of which the first {ranking.at} rows count"
    return told if judged is None else f"{told}; judged by {judged.metric}"


def _standing(declaration: ModelDeclaration) -> str | None:
    standing, metric = declaration.gate.standing, declaration.gate.metric
    if standing is None:
        return None
    return (
        f"{number_of(standing.days, 'day')} of older rows that no training learns from; on them a new version's"
        f" {metric} is at most {standing.max_increase:g} worse than that of the version in use"
    )


def _held_groups(declaration: ModelDeclaration) -> str | None:
    held = HeldGroups.of(declaration)
    if held is None:
        return None
    return f"{held.share:.0%} of the groups of {held.column}, from which no training learns and by which it is judged"


def _prices(declaration: ModelDeclaration) -> Iterator[tuple[str, str]]:
    value = declaration.problem.value
    if declaration.problem.type == MULTICLASS:
        return
    if declaration.problem.type == REGRESSION:
        yield "a unit of error costs", f"{value.error_cost_per_unit:g} {value.currency}"
        return
    yield "a false positive costs", f"{value.false_positive_cost:g} {value.currency}"
    yield "a false negative costs", f"{value.false_negative_cost:g} {value.currency}"
    yield "a true positive is worth", f"{value.true_positive_value:g} {value.currency}"


def _controls(declaration: ModelDeclaration) -> Iterator[tuple[str, str]]:
    for control in CONTROLS:
        if control.asked_by(declaration.risk.tier):
            done = "by Everloop" if control.built else f"outside: {declaration.risk.done_outside[control.name]}"
            yield control.name, f"{control.what}; {done}"


def _milliseconds(limit: float | None) -> str | None:
    return None if limit is None else f"{limit:g} ms"


def _allowed(feature: Feature) -> str:
    if feature.type == "number":
        return _range(feature.min, feature.max)
    if feature.values is not None:
        listed = ", ".join(feature.values)
        return listed if feature.unseen == "refuse" else f"{listed}; others are answered and counted"
    return f"any text of up to {feature.max_length} characters"


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any number"
    return " ".join(f"{word} {limit:g}" for word, limit in (("from", low), ("to", high)) if limit is not None)


def _missing(feature: Feature) -> str:
    if feature.missing == "refuse":
        return "refused"
    most = feature.max_missing_rate
    return "allowed" if most == 1 else f"allowed, in at most {100 * most:g}% of training rows"


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
