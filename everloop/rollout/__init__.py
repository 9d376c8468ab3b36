"""Rollout: how a passed candidate comes to serve, step by step, and goes back when it fails."""

from everloop.rollout.conductor import Conductor
from everloop.rollout.guardrails import Verdict, VersionMetrics, decide_bake, decide_step
from everloop.rollout.plan import RolloutPlan, Step, plan_rollout
from everloop.rollout.target import LambdaAliasTarget, Published, ServedArtifact

__all__ = [
    "Conductor",
    "LambdaAliasTarget",
    "Published",
    "RolloutPlan",
    "ServedArtifact",
    "Step",
    "Verdict",
    "VersionMetrics",
    "decide_bake",
    "decide_step",
    "plan_rollout",
]
