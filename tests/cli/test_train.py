"""What ``everloop train`` says after a run that failed."""

from __future__ import annotations

from everloop.cli.commands.train import remedy_of


def test_a_run_without_an_instance_has_no_logs_to_look_at() -> None:
    cause = "SageMaker.ResourceLimitExceededException: The account-level service limit 'ml.m5.large' is 0 Instances"
    assert "`everloop preflight`" in remedy_of(cause, "flights", "train-1")


def test_of_any_other_the_logs_are_shown() -> None:
    assert remedy_of("AlgorithmError: ValueError", "flights", "train-1").startswith(
        "`everloop runs logs flights train-1`"
    )
