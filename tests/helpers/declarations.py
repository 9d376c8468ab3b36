"""Small valid declarations."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from everloop.model_file.schema import ModelDeclaration

BINARY: dict[str, Any] = {
    "model": "late_train",
    "risk": {"tier": "light"},
    "problem": {
        "objective": "Tell passengers beforehand that their train will be late.",
        "type": "binary_classification",
        "decided_by": "The passenger information desk",
        "why_ml": "The timetable rule misses how weather and line interact.",
        "success_criterion": "Of ten trains announced as late, six are.",
        "baseline": {"kind": "prior"},
        "value": {"false_positive_cost": 1.0, "false_negative_cost": 3.0},
    },
    "owner": {
        "team": "Passenger information",
        "email": "desk@example.org",
        "escalation": "Head of operations",
    },
    "data": {
        "key": "train_id",
        "time": "departure",
        "target": "late",
        "label_lag_hours": 12,
        "minimum_rows": 100,
        "split": {"test_days": 7},
        "features": [
            {"name": "distance", "type": "number", "min": 0, "max": 5000},
            {"name": "wind", "type": "number", "missing": "allow"},
            {"name": "line", "type": "category", "values": ["north", "south"]},
            {"name": "operator", "type": "category", "missing": "allow"},
        ],
    },
    "training": {"seed": 7},
    "gate": {"metric": "log_loss", "policy": "better", "confidence": 0.95},
    "rollout": {
        "steps": [{"percent": 10, "minutes": 60}, {"percent": 50, "minutes": 60}],
        "bake_minutes": 600,
        "guardrail": {"max_error_rate": 0.02, "max_p99_latency_ms": 800},
    },
    "serving": {"max_rows": 100},
    "monitoring": {},
    "retraining": {
        "quality": {"days": 7, "minimum_increase": 0.05},
        "cooldown_days": 14,
        "quota": {"runs": 4, "days": 60},
    },
    "retirement": {"criteria": ["The timetable is withdrawn."]},
    "cost": {"monthly_budget_usd": 50, "max_training_run_usd": 2},
}


def binary_document(**changes: Any) -> dict[str, Any]:
    """A classification declaration as a document, with sections replaced key by key."""
    document = copy.deepcopy(BINARY)
    for section, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(section), dict):
            document[section].update(value)
        else:
            document[section] = value
    return document


PROBING: dict[str, Any] = {
    "retraining": {"investment": {}},
    "data": {"training_spans": [56, 112]},
    "training": {"warm_start": {}},
    "rollout": {"shadow": {"minutes": 60, "max_score_shift": 5.0}},
}
"""What a declaration says, by section, that adds functions and permissions to a model's stack."""


def regression_document(**changes: Any) -> dict[str, Any]:
    """A regression declaration as a document."""
    document = binary_document(model="delay_minutes", gate={"metric": "mae"})
    document["problem"].update(type="regression", value={"error_cost_per_unit": 0.5})
    document["data"]["target"] = "delay"
    for section, value in changes.items():
        document[section].update(value)
    return document


CLASSES = ["on_time", "late", "cancelled"]


def multiclass_document(**changes: Any) -> dict[str, Any]:
    """A declaration of three classes as a document."""
    document = binary_document()
    document["problem"].update(type="multiclass_classification", classes=[*CLASSES], value={})
    for section, value in changes.items():
        document[section].update(value)
    return document


def declare(document: dict[str, Any]) -> ModelDeclaration:
    """The declaration that a document makes."""
    return ModelDeclaration.model_validate(document)


def as_yaml(document: dict[str, Any]) -> str:
    """The document as a person would keep it on disk."""
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))


ENDPOINT: dict[str, Any] = {
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop-serve@sha256:" + 64 * "a",
    "instance_type": "ml.m5.large",
    "usd_per_hour": 0.115,
}


SERVERLESS: dict[str, Any] = {"memory_mb": 2048, "max_concurrency": 20, "usd_per_gb_second": 0.00002}


def serverless(document: dict[str, Any]) -> dict[str, Any]:
    """The same model, each of whose versions is served by a serverless endpoint of its own."""
    endpoint = {"image": ENDPOINT["image"], "serverless": dict(SERVERLESS)}
    return {
        **document,
        "serving": {**document.get("serving", {}), "endpoint": endpoint},
        "rollout": {**document["rollout"], "target": "sagemaker_serverless"},
    }


def with_endpoint(document: dict[str, Any]) -> dict[str, Any]:
    """The same model, served by a SageMaker endpoint, with a budget for it."""
    return {
        **document,
        "serving": {**document.get("serving", {}), "endpoint": dict(ENDPOINT)},
        "rollout": {**document["rollout"], "target": "sagemaker_endpoint"},
        "cost": {**document["cost"], "monthly_budget_usd": 1000},
    }


def everything_document(**changes: Any) -> dict[str, Any]:
    """A declaration of all that adds a role, a function, a statement or an API to a model's stack.

    Its API is an HTTP API; what a REST API adds in its place has tests of its own.
    """
    document = with_endpoint(regression_document(**changes, **PROBING))
    document["serving"]["endpoint"]["autoscaling"] = {"max_instances": 2, "invocations_per_instance": 600}
    document["serving"]["rate"] = {"requests_per_second": 50}
    return document
