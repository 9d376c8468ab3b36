"""Findings of the security checks that stand, each with the reason why."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, *findings: str, reason: str) -> None:
    """Record on ``construct`` that ``findings`` (``<pack>-<rule>[<what>]``) are known, and why they stand."""
    Validations.of(construct).acknowledge(*(Acknowledgment(id=f, reason=reason) for f in findings))
