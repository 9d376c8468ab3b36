"""The longest and the dearest that a declared pipeline can come to, before anything has run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from everloop.model_file.partial import value_of
from everloop.model_file.prices import USD_PER_HOUR

if TYPE_CHECKING:
    from everloop.model_file.sections.all_sections import AllSections
    from everloop.model_file.sections.retraining import Investment
    from everloop.model_file.sections.rollout import Rollout

JOBS = {"none": 2, "after_gate": 4}
"""Training and evaluation; with a refit also its training and its check. All are on the same type of instance with the
same time limit."""

START_UP_SECONDS = 1800
"""What a job may take on top of its own limit, to find an instance and pull the image; some of it is billed."""

LONGEST_MONTH_DAYS = 31

EXECUTION_SECONDS = 365 * 24 * 3600
"""Step Functions ends an execution after a year."""

HISTORY_LOOKS = 2000
"""How often one execution may look at a rollout. A look leaves 9 events in its history, and Step Functions ends an
execution at 25,000; the rest is for everything else, and for tries that were repeated."""


LEAST_ANSWERED_MINUTES = 35
"""What was asked is in the lake after 20 minutes, and is looked at every 15."""

MOST_PAUSED_HOURS = 24
"""For how long all pauses of a rollout together may hold it up."""


def jobs(declaration: AllSections) -> int:
    """How many jobs one run may start."""
    return JOBS[declaration.training.refit]


def job_seconds(declaration: AllSections) -> int:
    """How long one job may take from its request to its end."""
    return declaration.training.max_minutes * 60 + START_UP_SECONDS


def training_job_seconds(declaration: AllSections) -> int:
    """The same of a training job, which may have to wait for spare capacity."""
    return job_seconds(declaration) + spot_wait_seconds(declaration)


def spot_wait_seconds(declaration: AllSections) -> int:
    """How long a training job may wait for spare capacity; 0 where it asks for none."""
    spot = declaration.training.spot
    return 0 if spot is None else spot.wait_minutes * 60


def pipeline_seconds(declaration: AllSections) -> int:
    """How long one execution may take: all jobs, the rollout, a day."""
    minutes = longest_rollout_minutes(declaration.rollout) + 24 * 60
    # Half of the jobs are trainings; the others score, on instances that are not taken away.
    waits = jobs(declaration) // 2 * spot_wait_seconds(declaration)
    return jobs(declaration) * job_seconds(declaration) + waits + minutes * 60


def longest_rollout_minutes(rollout: Rollout) -> int:
    """How long a rollout may last: every step held as long as it may be, the bake, and pauses."""
    steps = sum(minutes + rollout.guardrail.max_hold_minutes for minutes in step_minutes(rollout))
    return steps + rollout.bake_minutes + rollout.guardrail.max_hold_minutes + MOST_PAUSED_HOURS * 60


def step_minutes(rollout: Rollout) -> list[int]:
    """How long each step lasts, the shadow among them."""
    unseen = [] if rollout.shadow is None else [value_of(rollout.shadow, "minutes") or 0]
    return [*unseen, *(step.minutes for step in rollout.steps)]


def instance_usd_per_hour(declaration: AllSections) -> float | None:
    """The declared price of the jobs' instance, or else the known one; None where there is neither."""
    declared = declaration.cost.instance_usd_per_hour
    return USD_PER_HOUR.get(declaration.training.instance_type) if declared is None else declared


def training_run_usd(declaration: AllSections) -> float | None:
    """What the instances of one training run cost when all jobs take all the time they may; None without a price."""
    price = instance_usd_per_hour(declaration)
    return None if price is None else price * jobs(declaration) * job_seconds(declaration) / 3600


PROBE_TRIES = 3
"""How often a probe of one window is asked for, at one run of the monitor after the other, until one ends well."""


def probe_seconds(investment: Investment) -> int:
    """How long the job of a probe may take from its request to its end."""
    return investment.probe_minutes * 60 + START_UP_SECONDS


def probe_usd_per_hour(declaration: AllSections) -> float | None:
    """The price of the probes' instance; None where it is not known, or there are no probes."""
    investment = declaration.retraining.investment
    if investment is None:
        return None
    if investment.instance_type in (None, declaration.training.instance_type):
        return instance_usd_per_hour(declaration)
    return USD_PER_HOUR.get(investment.instance_type)


def probe_usd(declaration: AllSections) -> float:
    """What the instance of one probe can cost; 0 where there are none, or no price."""
    investment, price = declaration.retraining.investment, probe_usd_per_hour(declaration)
    return 0.0 if investment is None or price is None else price * probe_seconds(investment) / 3600


def probes_in_a_month(investment: Investment) -> int:
    """The most jobs of probes that start in one month, when each must be tried again."""
    return PROBE_TRIES * math.ceil(LONGEST_MONTH_DAYS / investment.every_days)


def probes_usd(declaration: AllSections) -> float:
    """What the instances of all probes of a month can cost; 0 where there are none, or no price."""
    investment = declaration.retraining.investment
    return 0.0 if investment is None else probes_in_a_month(investment) * probe_usd(declaration)


def restorations_in_a_month(declaration: AllSections) -> int:
    """How often the monitor may have an older version judged in one month; 0 where no probe asks for it."""
    if declaration.retraining.investment is None:
        return 0
    apart = max(declaration.retraining.cooldown_days, declaration.monitoring.window_hours / 24)
    return math.ceil(LONGEST_MONTH_DAYS / apart)


def restorations_usd(declaration: AllSections) -> float:
    """What the evaluations of older versions can cost in one month; 0 where there are none, or no price."""
    price = instance_usd_per_hour(declaration)
    return 0.0 if price is None else price * restorations_in_a_month(declaration) * job_seconds(declaration) / 3600


ENDPOINT_CHANGE_MINUTES = 10
"""How long an endpoint may take to bring another list of variants up. AWS says minutes; no account was measured."""

RUN_BESIDE = 4
"""So many times the instances of one version run beside what serves for that long, in a rollout or a calibration: each
changes the list twice, and the old list, of one version and of two in turn, runs on beside the new one."""


def endpoint_usd(declaration: AllSections) -> float:
    """What the endpoint's instances can cost in one month; 0 where there are none, or it is serverless.

    Those of the champion run all the time, as many as autoscaling may add, and those of a candidate through its steps
    and its bake: the old champion is kept warm as long. While the list of variants changes both lists run.
    """
    endpoint, rollout = declaration.serving.endpoint, declaration.rollout
    if endpoint is None or endpoint.usd_per_hour is None:
        return 0.0
    month = LONGEST_MONTH_DAYS * 24
    minutes = sum(step_minutes(rollout)) + rollout.bake_minutes
    runs = runs_in_a_month(declaration)
    beside = min(month, runs * minutes / 60)
    changing = RUN_BESIDE * (runs + calibrations_in_a_month(declaration)) * ENDPOINT_CHANGE_MINUTES / 60
    return endpoint.usd_per_hour * endpoint.most_instances * (month + beside + changing)


def calibrations_in_a_month(declaration: AllSections) -> int:
    """The most windows of a month from which a calibration may be learned; 0 where none are."""
    if declaration.recalibration is None:
        return 0
    return math.ceil(LONGEST_MONTH_DAYS * 24 / declaration.monitoring.window_hours)


def runs_in_a_month(declaration: AllSections) -> int:
    """The most training runs that the quota lets start in one month."""
    quota = declaration.retraining.quota
    return quota.runs * math.ceil(LONGEST_MONTH_DAYS / quota.days)
