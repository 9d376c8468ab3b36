"""How a candidate is trained."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from everloop.model_file.sections.base import Days, InstanceType, Script, Section

DEFAULT_SCRIPT = "train.py"


def _parameter(value: Any) -> Any:
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, str | int | float) or not finite:
        raise ValueError("a string, a finite number, true or false")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number")
    return value


# Not a union either, which might make a whole number of a fractional one: the limits' kind decides the parameter's.
Number = Annotated[int | float, PlainValidator(_number)]
# One validator and not a union of types, which would tell one wrong value as a mistake of each type.
Parameter = Annotated[str | float | int | bool, PlainValidator(_parameter)]


class SearchRange(Section):
    """Where a parameter is looked for: between ``low`` and ``high``, or among ``values``.

    Whole limits give whole numbers. ``log: true`` looks on a logarithmic scale.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    values: list[Parameter] | None = Field(default=None, min_length=1, max_length=100)


class Tuning(Section):
    """Which parameters a training chooses by itself, and within which budget.

    Up to ``trials`` sets of parameters are tried within ``minutes``: the script's ``train()`` gets
    ``training.parameters`` with those of ``space`` in their place. Each is judged by ``gate.metric`` on ``folds``
    stretches of ``fold_days`` days, the newest before the test part; it is fitted on all rows before the stretch.
    """

    trials: int = Field(default=20, ge=2, le=1000)
    minutes: float = Field(default=10, gt=0, le=1440)
    folds: int = Field(default=3, ge=1, le=20)
    fold_days: Days = 7
    space: dict[str, SearchRange] = Field(min_length=1, max_length=50)


class WarmStart(Section):
    """What a training by warm start adds to the champion, from the rows that are newer than its own.

    So many trees; or, of a model without trees that learns row by row, so many ``passes`` over these rows. The training
    job keeps its fitted estimator beside the version, for the next one to continue. A model that would come to more
    than ``max_trees`` trees is trained in full instead.
    """

    added_trees: int = Field(default=50, ge=1, le=10_000)
    max_trees: int = Field(default=1000, ge=2, le=100_000)
    passes: int = Field(default=1, ge=1, le=1000)


class Spot(Section):
    """Trainings run on spare capacity, which costs less and may be taken away.

    SageMaker starts a job again that was interrupted. ``wait_minutes`` is how long one job may wait for instances
    altogether; a job that has none by then fails.
    """

    wait_minutes: int = Field(default=60, ge=1, le=1440)


class Training(Section):
    """How a candidate is trained: the user's script and the job that runs it.

    The evaluation runs on the same type of instance, with the same time limit. ``seed`` is one that numpy and
    scikit-learn take. ``learning_curve`` is how many models learn from fewer rows besides, each from half as many, to
    see whether more would help.

    ``refit: after_gate``: once the gate has passed, the same code, seed and parameters learn from all labelled rows,
    the test part's included, and that model serves. Its scores on the test rows may differ from the evaluated model's
    by ``refit_max_difference`` on average, in units of the outcomes' standard deviation there; when they differ by
    more, the evaluated model serves. ``refit: none``: the served bytes are the evaluated bytes.

    With ``warm_start`` a training may continue the champion instead of beginning anew. With ``tuning`` it chooses some
    of its parameters by itself. With ``spot`` training jobs run on spare capacity.
    """

    script: Script = DEFAULT_SCRIPT
    instance_type: InstanceType = "ml.m5.large"
    max_minutes: int = Field(default=30, ge=1, le=1440)
    learning_curve: int | None = Field(default=None, ge=2, le=6)
    seed: int = Field(default=0, ge=0, lt=2**32)
    parameters: dict[str, Parameter] = Field(default={})
    refit: Literal["after_gate", "none"] = "after_gate"
    refit_max_difference: float = Field(default=0.5, gt=0, le=10)
    warm_start: WarmStart | None = None
    tuning: Tuning | None = None
    spot: Spot | None = None
