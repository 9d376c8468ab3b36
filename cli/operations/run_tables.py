"""How the facts of a run are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from everloop.cli.operations.run_facts import RunFacts


def shown_value(value: Any) -> str:
    """A fact as people read it; empty where there is none."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def told_of(facts: RunFacts) -> Iterator[list[object]]:
    """The facts, one a row."""
    run, training = facts.run, facts.training or {}
    lock: Any = training.get("lock") or {}
    trigger = run.trigger
    yield ["started by", facts.started_by or f"{trigger.get('kind')}, by the loop itself"]
    yield ["why", f"{trigger.get('kind')}: {trigger.get('reason')}"]
    yield ["status", run.status if run.cause is None else f"{run.status}: {run.cause}"]
    yield ["version", run.version]
    yield ["gate", run.verdict]
    yield ["snapshot", run.snapshot_hash]
    yield ["code", facts.version.code_sha256 if facts.version else None]
    yield ["packages' lock", lock.get("sha256")]
    yield ["pipeline definition", facts.definition_sha256]
    yield ["seed", training.get("seed")]
    yield ["parameters", shown_value(training.get("parameters"))]
    for name, value in sorted((facts.version.metrics if facts.version else {}).items()):
        yield [name, shown_value(value)]
    yield ["seconds", None if facts.seconds is None else f"{facts.seconds:,.0f}"]
    yield ["USD of its jobs", None if facts.usd is None else f"{facts.usd:.4f}"]


def trials_of(facts: RunFacts) -> Iterator[list[object]]:
    """The trials of a search, in their order."""
    tuning: Any = (facts.training or {}).get("tuning")
    if tuning is None:
        return
    for trial in tuning["trials"]:
        yield [
            trial["number"],
            trial["state"],
            shown_value(trial["value"]),
            f"{trial['seconds']:g}",
            json.dumps(trial["parameters"]),
            "best" if trial["number"] == tuning["best"] else trial.get("error", ""),
        ]
