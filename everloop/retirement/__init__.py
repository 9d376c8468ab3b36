"""Retirement: when a version that no longer serves may go."""

from everloop.retirement.decision import RetirementDecision, RetirementFacts, decide_retirement

__all__ = ["RetirementDecision", "RetirementFacts", "decide_retirement"]
