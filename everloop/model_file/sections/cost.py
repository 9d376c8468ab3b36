"""Ceilings for training."""

from __future__ import annotations

from pydantic import Field

from everloop.model_file.sections.base import Section


class Cost(Section):
    """Ceilings for training, in US dollars. A declaration that could go beyond them is refused before it is deployed.

    ``max_training_run_usd`` is for the instances of one run, when all its jobs (training, evaluation and the two of a
    refit) take all the time they may; ``monthly_budget_usd`` for as many such runs as the quota lets start in a month.
    Answering, storing and watching are not in them: they follow the traffic, which nobody declares.
    ``instance_usd_per_hour`` is the price of ``training.instance_type`` where it is not the one known here.
    """

    monthly_budget_usd: float = Field(gt=0)
    max_training_run_usd: float = Field(gt=0)
    instance_usd_per_hour: float | None = Field(default=None, gt=0, le=10_000)
