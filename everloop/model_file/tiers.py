"""Risk tiers: which controls ``risk.tier`` makes mandatory, and what a declaration lacks of them.

A control that Everloop has is declared, and its absence is a mistake. One that it does not have yet can't be: a tier
that asks for it wants to be told, under ``risk.done_outside``, who does it instead. So nobody takes a declaration for a
control that exists nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.model_file.misfit import Misfit
from everloop.model_file.partial import UnknownError, known, value_of

if TYPE_CHECKING:
    from everloop.model_file.sections.all_sections import AllSections

TIERS = ("light", "standard", "high")
DAY_MINUTES = 1440
LEAST_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Control:
    """Something that keeps a model from doing harm.

    Attributes
    ----------
    name : str
    what : str
        What it asks for, for people.
    least : str
        The lowest tier that asks for it.
    lacking : callable or None
        What a declaration lacks of it; None of a control that Everloop does not have.
    """

    name: str
    what: str
    least: str
    lacking: Callable[[Any], Iterator[Misfit]] | None = None

    @property
    def built(self) -> bool:
        """Whether Everloop has it."""
        return self.lacking is not None

    def asked_by(self, tier: str) -> bool:
        """Whether ``tier`` makes it mandatory."""
        return TIERS.index(tier) >= TIERS.index(self.least)


def _affected(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.problem.affected is None:
        yield Misfit(("problem", "affected"), None, "whom an answer concerns, e.g. 'Passengers with a booked seat'")


def _sources(declaration: AllSections) -> Iterator[Misfit]:
    if not declaration.data.sources:
        example = "{name: Ticket system, licence: Our own data}"
        yield Misfit(("data", "sources"), None, f"each source of the rows with its licence, e.g. `- {example}`")


def _canary(declaration: AllSections) -> Iterator[Misfit]:
    if not declaration.rollout.steps:
        example = "{percent: 25, minutes: 60}"
        yield Misfit(("rollout", "steps"), [], f"one step or more of a canary, e.g. `- {example}`")


def _shadow(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.rollout.shadow is None:
        example = "{minutes: 1440, minimum_rows: 200, max_disagreement: 0.1}"
        yield Misfit(("rollout", "shadow"), None, f"what a candidate keeps before anybody meets it, e.g. `{example}`")


def _callers(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.serving.authorization == "none":
        yield Misfit(("serving", "authorization"), declaration.serving.authorization, "'iam' or 'jwt'")


def _latency(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.problem.acceptable_latency_ms is None:
        yield Misfit(
            ("problem", "acceptable_latency_ms"), None, "the milliseconds within which a caller needs an answer"
        )


def _hand_overs(declaration: AllSections) -> Iterator[Misfit]:
    owners = declaration.owner.hand_overs
    for name in ("data", "labels", "promotion", "alerts", "retirement"):
        if value_of(owners, name, "unknown") is None:
            yield Misfit(("owner", "hand_overs", name), None, "who owns this hand-over")


def _dictionary(declaration: AllSections) -> Iterator[Misfit]:
    for index, feature in known(declaration.data.features):
        if not value_of(feature, "description", "unknown").strip():
            yield Misfit(("data", "features", index, "description"), None, "what the feature means, with its unit")


def _confidence(declaration: AllSections) -> Iterator[Misfit]:
    found = declaration.gate.confidence
    if found < LEAST_CONFIDENCE:
        yield Misfit(("gate", "confidence"), found, f"{LEAST_CONFIDENCE:g} or more")


def _money(declaration: AllSections) -> Iterator[Misfit]:
    if declaration.gate.money is None:
        yield Misfit(("gate", "money"), None, "the gate in money as well: `money: {}` asks for no higher cost")


def _bake(declaration: AllSections) -> Iterator[Misfit]:
    found = declaration.rollout.bake_minutes
    if found < DAY_MINUTES:
        yield Misfit(
            ("rollout", "bake_minutes"), found, f"{DAY_MINUTES} or more: a day in which the old champion can come back"
        )


def _recalibration(declaration: AllSections) -> Iterator[Misfit]:
    recalibration = declaration.recalibration
    if recalibration is None:
        return
    fairness = recalibration.fairness
    limits = ("max_selection_rate_gap", "max_true_positive_rate_gap", "max_false_positive_rate_gap")
    limited = fairness is not None and any(
        value_of(fairness, key, 0) is not None for key in (*limits, "max_calibration_gap")
    )
    if not limited:
        yield Misfit(
            ("recalibration",),
            None,
            "`recalibration: none`, or groups (by) with a limit under fairness: else scores of people change between"
            " two evaluations and nobody compares the groups",
        )


def _fairness(declaration: AllSections) -> Iterator[Misfit]:
    fairness = value_of(declaration.gate, "fairness")
    if fairness is None:
        example = "{by: [{by: sex}], max_selection_rate_gap: 0.1}"
        yield Misfit(("gate", "fairness"), None, f"which groups may be how far apart, e.g. `fairness: {example}`")
    elif value_of(fairness, "too_few") != "refuse":
        yield Misfit(("gate", "fairness", "too_few"), fairness.too_few, "'refuse': a group that can't be judged")


CONTROLS = (
    Control("affected", "who is affected is named (`problem.affected`)", "standard", _affected),
    Control("sources", "each source of data has a licence (`data.sources`)", "standard", _sources),
    Control("canary", "a new version begins with a part of the requests (`rollout.steps`)", "standard", _canary),
    Control("callers", "only known callers are answered (`serving.authorization: iam` or `jwt`)", "standard", _callers),
    Control("latency", "the acceptable latency is stated (`problem.acceptable_latency_ms`)", "high", _latency),
    Control("hand_overs", "each hand-over has an owner (`owner.hand_overs`)", "high", _hand_overs),
    Control("dictionary", "each feature has a description (`data.features`)", "high", _dictionary),
    Control("confidence", f"the gate is {100 * LEAST_CONFIDENCE:g}% sure (`gate.confidence`)", "high", _confidence),
    Control("money", "the gate decides in money as well (`gate.money`)", "high", _money),
    Control("fairness", "the gate limits differences between groups (`gate.fairness`)", "high", _fairness),
    Control("shadow", "a new version first answers unseen (`rollout.shadow`)", "high", _shadow),
    Control("bake", "the old champion is kept for a day (`rollout.bake_minutes`)", "high", _bake),
    Control("recalibration", "no recalibration, or one within fairness limits", "high", _recalibration),
    Control("approval", "a person approves a version before it serves", "high"),
    Control("four_eyes", "whoever approves is not who asked", "high"),
    Control("explanations", "an answer can be explained on request", "high"),
    Control("retention", "personal data are deleted after a stated time", "high"),
)
"""Every control, those that Everloop does not have last."""


def tier_misfits(declaration: AllSections) -> Iterator[Misfit]:
    """What a declaration lacks of the controls that its tier makes mandatory."""
    tier = declaration.risk.tier
    for control in CONTROLS:
        if control.lacking is None or not control.asked_by(tier):
            continue
        try:
            for misfit in control.lacking(declaration):
                yield Misfit(misfit.location, misfit.found, f"{misfit.allowed} (risk.tier is {tier})")
        except UnknownError:
            continue
    yield from _outside(declaration.risk)


def _outside(risk: Any) -> Iterator[Misfit]:
    missing = {control.name: control for control in CONTROLS if not control.built}
    for name, control in missing.items():
        if control.asked_by(risk.tier) and name not in risk.done_outside:
            yield Misfit(
                ("risk", "done_outside", name),
                None,
                f"who makes sure outside of Everloop that {control.what}, and how: risk.tier {risk.tier} asks for it,"
                " and Everloop does not have it yet",
            )
    for name, said in risk.done_outside.items():
        if name not in missing:
            yield Misfit(("risk", "done_outside", name), said, f"a control that Everloop lacks: {', '.join(missing)}")


def tier_table() -> str:
    """The table of the documentation: the controls of each tier, in Markdown."""
    lines = ["| control | " + " | ".join(TIERS) + " |", "|---" * (len(TIERS) + 1) + "|"]
    for control in CONTROLS:
        asked = "yes" if control.built else "outside"
        cells = [asked if control.asked_by(tier) else "" for tier in TIERS]
        lines.append(f"| `{control.name}`: {control.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
