"""What is predicted, for whom, at what risk, and what it is worth."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, PlainValidator

from everloop.evaluation.baselines import BASELINES
from everloop.limits import UNUSABLE_CHARACTERS, hidden_in_key
from everloop.model_file.sections.base import Criterion, Name, Script, Section, Sentence, Text
from everloop.problem_types import FEWEST_CLASSES, MOST_CLASSES, ProblemType


class Baseline(Section):
    """The rule the model must beat, scored like any candidate.

    ``prior`` answers the training rate (or mean) to everyone; ``group_mean`` the training rate (or mean) of
    the row's value of the feature ``by``; ``last_value`` what became of the last row that was known, of the same ``by``
    where it is given; ``expression`` what the ``expression`` over features says; ``rule_in_force`` what the function
    ``rule(features)`` of the file ``script`` says; ``logistic_regression`` is the model that anybody would try first.
    """

    kind: Annotated[str, PlainValidator(BASELINES.registered)]
    by: str | None = None
    expression: Annotated[str, Field(min_length=1)] | None = None
    script: Script | None = None


def _class_name(value: Any) -> Any:
    """Of a key that YAML reads as a whole number, the text that names the class."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ClassName = Annotated[str, BeforeValidator(_class_name)]


class Value(Section):
    """How money follows from predictions, in ``currency`` (ISO 4217) per row.

    Reports, gate, windows and backtests count with it. A classification has a price of acting wrongly
    (``false_positive_cost``) and something to gain by acting rightly (``false_negative_cost``, ``true_positive_value``
    or both): without either, always acting or never acting would cost least, and no model is needed. A regression pays
    ``error_cost_per_unit`` for each unit of its absolute error.

    A multiclass classification may have ``costs``: of each class that came, what deciding for each class costs; 0 where
    nothing stands, below 0 where a decision earns. ``decisions`` says what counts as decided: the ``likeliest`` class,
    as answers name it, or the one of ``least_cost``, by the probabilities and these costs.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    false_positive_cost: float = Field(default=0, ge=0)
    false_negative_cost: float = Field(default=0, ge=0)
    true_positive_value: float = Field(default=0, ge=0)
    error_cost_per_unit: float = Field(default=0, ge=0)
    costs: dict[ClassName, dict[ClassName, FiniteFloat]] | None = None
    decisions: Literal["likeliest", "least_cost"] = "likeliest"


class PredictionInterval(Section):
    """Of a regression: each answer has a ``low`` and a ``high`` between which the share ``coverage`` of outcomes lies.

    Half of the others is meant to lie below, and half above.
    """

    coverage: float = Field(ge=0.5, le=0.99)


class Ranking(Section):
    """Rows come in lists, and what counts is their order: a query's results, a session's items, a day's cases.

    The lists are the values of the category feature ``group``, or with ``day`` the UTC days. Callers look at the first
    ``at`` rows. A row with the label 1 is relevant; of a regression the label is the gain, and a row is relevant from
    the label ``relevant_from`` on. See :mod:`everloop.evaluation.ranking`.
    """

    group: Name
    at: int = Field(default=10, ge=1, le=1000)
    relevant_from: float | None = Field(default=None, gt=0)


class Risk(Section):
    """How much harm a wrong or unfair answer can do, and so which controls are mandatory.

    ``light``: nobody is harmed; ``standard``: a mistake costs money or time; ``high``: answers decide about people. See
    :mod:`everloop.model_file.tiers` for the controls of each. ``done_outside`` says of each control that the tier asks
    for and Everloop does not have, by its name, who does it and how.
    """

    tier: Literal["light", "standard", "high"]
    done_outside: dict[str, Sentence] = Field(default={})


def _class(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a string or a whole number")
    if isinstance(value, str) and (not value.strip() or value != value.strip() or len(value) > LONGEST_CLASS):
        raise ValueError(f"a string of 1 to {LONGEST_CLASS} characters, without space at its ends")
    if isinstance(value, str) and (UNUSABLE_CHARACTERS.search(value) or hidden_in_key(value)):
        raise ValueError("a string without control characters and hidden ones")
    if isinstance(value, int) and abs(value) > LARGEST_CLASS:
        raise ValueError(f"a whole number from {-LARGEST_CLASS} to {LARGEST_CLASS}")
    return value


LONGEST_CLASS = 64
LARGEST_CLASS = 2**53 - 1
"""Beyond, files of doubles hold no whole number exactly."""

# One validator and not a union of types, which would tell one wrong value as a mistake of each type.
Class = Annotated[str | int, PlainValidator(_class)]


class Problem(Section):
    """What is predicted, for whom, and why a model at all.

    ``affected`` are those whom an answer concerns. A caller has an answer within ``acceptable_latency_ms``: limits of
    the gate and of the guardrail that are wider are refused. ``classes`` are those of a multiclass classification, by
    the names that labels and answers have: strings or whole numbers. Inside, a class is its place among them, from 0.
    """

    objective: Sentence
    type: ProblemType
    classes: Annotated[list[Class], Field(min_length=FEWEST_CLASSES, max_length=MOST_CLASSES)] | None = None
    decided_by: Text
    affected: Text | None = None
    why_ml: Sentence
    success_criterion: Criterion
    acceptable_latency_ms: float | None = Field(default=None, gt=0)
    baseline: Baseline
    value: Value
    interval: PredictionInterval | None = None
    ranking: Ranking | None = None
