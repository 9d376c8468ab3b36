"""What of the roles' statements allowed something, merged from the files that local clouds leave.

A local cloud writes ``iam-usage.json`` beside the stacks that were deployed into it. Each entry is held against the
deployed template, whose spelling does not depend on names, accounts and buckets of that cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.roles.statements import RoleStatement, statements_of

USAGE = "iam-usage.json"

Evidence = dict[str, dict[str, str]]
"""Of each statement (:attr:`RoleStatement.key`), by action: ``alone`` where some call was allowed by it and by nothing
else, ``shared`` where each call had another statement too."""


@dataclass(frozen=True)
class Unmatched:
    """An entry whose statement stands in no deployed template: a test changed a role."""

    role: str
    action: str


def merge(found: Evidence, folder: Path) -> list[Unmatched]:
    """Add what the clouds below ``folder`` used to ``found``; give what stands in no template."""
    unmatched: list[Unmatched] = []
    for file in sorted(folder.rglob(USAGE)):
        unmatched += _merge_one(found, file)
    return unmatched


def _merge_one(found: Evidence, file: Path) -> list[Unmatched]:
    unmatched = []
    deployed = dict(_deployed(file.parent / "stacks"))
    for entry in json.loads(file.read_text(encoding="utf-8"))["allowed"]:
        for text in entry["statements"]:
            known = deployed.get((entry["role"], text))
            if known is None:
                unmatched.append(Unmatched(entry["role"], entry["action"]))
                continue
            how = "alone" if len(entry["statements"]) == 1 else "shared"
            actions = found.setdefault(known.key, {})
            if actions.get(entry["action"]) != "alone":
                actions[entry["action"]] = how
    return unmatched


def _deployed(stacks: Path) -> Iterator[tuple[tuple[str, str], RoleStatement]]:
    """Role ARN and statement as the guard saw it, to the template's statement."""
    for file in sorted(stacks.glob("*.json")):
        stack = json.loads(file.read_text(encoding="utf-8"))
        template = json.loads(stack["request"]["template"])
        resources: dict[str, Any] = stack["resources"]
        for policy, index, statement in statements_of(template, stack["name"]):
            resolved = resources[policy]["properties"]
            raw = resolved["PolicyDocument"]["Statement"][index]
            text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
            for role in resolved["Roles"]:
                arn = next(r["attributes"]["Arn"] for r in resources.values() if r["physical_id"] == role)
                yield (arn, text), statement


def used(evidence: Evidence, statement: RoleStatement) -> dict[str, str]:
    """How the statement's actions were used: ``alone``, ``shared``, or missing where they were not.

    Models differ in what they declare, and so may their roles' resources: a statement counts as the same where its role
    and conditions are, and the resources of one are among the other's.
    """
    ways: dict[str, str] = {}
    for key, actions in evidence.items():
        role, resources, conditions = json.loads(key)
        if (role, conditions) != (statement.role, statement.conditions):
            continue
        if set(resources) <= set(statement.resources) or set(statement.resources) <= set(resources):
            for action, way in actions.items():
                if action in statement.actions and ways.get(action) != "alone":
                    ways[action] = way
    return ways


def read(file: Path) -> Evidence:
    """The evidence that is checked in."""
    kept: Evidence = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return kept


def write(file: Path, evidence: Evidence, known: Iterable[RoleStatement]) -> None:
    """Keep the evidence of statements that there are."""
    kept = [one for one in evidence if any(used({one: evidence[one]}, statement) for statement in known)]
    ordered = {key: dict(sorted(evidence[key].items())) for key in sorted(kept)}
    file.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
