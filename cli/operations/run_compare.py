"""What differs between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from everloop.cli.operations.run_facts import RunFacts

_OF_THE_RUN = ("run_id", "model", "started_at", "ended_at", "as_of", "gate_reasons")
"""What no two runs share, and what is told by the verdict."""


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same; None where a run does not have it."""

    what: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Comparison:
    """The facts in which two runs differ, and how many are equal."""

    differences: tuple[Difference, ...]
    equal: int


def compare(a: RunFacts, b: RunFacts) -> Comparison:
    """Hold two runs against each other, fact by fact, in the order of the record.

    Trials of a search are told by their best one. Names of jobs, and when things happened, are not compared.
    """
    one, other = dict(_flat(_comparable(a))), dict(_flat(_comparable(b)))
    names = list(dict.fromkeys([*one, *other]))
    differing = tuple(
        Difference(name, one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)
    )
    return Comparison(differing, len(names) - len(differing))


def _comparable(facts: RunFacts) -> dict[str, Any]:
    document = facts.to_json()
    run: Any = document["run"]
    training: Any = dict(document["training"] or {})  # type: ignore[call-overload]  # a JSON object, or None
    training.pop("time_range", None)
    tuning = training.pop("tuning", None)
    if tuning is not None:
        best = tuning["trials"][tuning["best"]]
        training["tuning"] = {"trials": len(tuning["trials"]), "value": best["value"], "ended_by": tuning["ended_by"]}
    trigger = {k: v for k, v in run.get("trigger", {}).items() if k in ("kind", "reason", "version", "update")}
    jobs = {job.purpose: {k: v for k, v in vars(job).items() if k not in ("name", "purpose")} for job in facts.jobs}
    return {
        **{name: value for name, value in run.items() if name not in (*_OF_THE_RUN, "trigger")},
        "trigger": trigger,
        "started_by": facts.started_by,
        "definition_sha256": facts.definition_sha256,
        "metrics": document["metrics"],
        "training": training,
        "jobs": jobs,
        "seconds": facts.seconds,
        "usd": facts.usd,
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, value
