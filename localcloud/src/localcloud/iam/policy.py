"""Decides what IAM policies allow: statements and a request in, a decision with its reason out.

Follows the policy evaluation logic of the IAM user guide for one account: an explicit deny wins, then an
allow, and what nobody allows is denied. Conditions are in :mod:`localcloud.iam.conditions`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from localcloud.core.globs import glob
from localcloud.core.json_text import read_json
from localcloud.iam.conditions import Condition, ConditionResult, parse_conditions, substitute


class PolicyError(ValueError):
    """A policy document is malformed; the message says where and how."""


@dataclass(frozen=True)
class AccessRequest:
    """What somebody wants to do.

    Attributes
    ----------
    action : str
        ``service:Action``.
    resource : str
        The ARN, or ``*`` when the action has none.
    context : mapping of str to tuple of str
        Condition keys in lower case, each with its values.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, whether a statement denied it, and why.

    Attributes
    ----------
    by : tuple of str
        The statements that allow it, as canonical JSON; any of them would be enough.
    """

    allowed: bool
    explicit_deny: bool
    reason: str
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, its patterns still as written; ``text`` is all of it as canonical JSON."""

    effect: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    conditions: tuple[Condition, ...]
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    text: str = ""

    def covers_action(self, action: str) -> bool:
        """Whether the statement speaks of ``action``. Actions are compared without regard to case."""
        if self.not_actions:
            return not any(glob(pattern.lower()).fullmatch(action.lower()) for pattern in self.not_actions)
        return any(glob(pattern.lower()).fullmatch(action.lower()) for pattern in self.actions)

    def covers_resource(self, request: AccessRequest) -> bool:
        """Whether the statement speaks of the request's resource. A resource policy may name none."""
        if self.not_resources:
            return not any(_matches_resource(pattern, request) for pattern in self.not_resources)
        if not self.resources:
            return True
        return any(_matches_resource(pattern, request) for pattern in self.resources)

    def judge_conditions(self, request: AccessRequest) -> ConditionResult:
        """Whether all conditions hold, and what could not be judged."""
        for condition in self.conditions:
            result = condition.judge(request.context)
            if result.unsupported or not result.holds:
                return result
        return ConditionResult(holds=True)


def _matches_resource(pattern: str, request: AccessRequest) -> bool:
    if "${" in pattern:
        substituted = substitute(pattern, request.context)
        if substituted is None:
            return False
        pattern = substituted
    return glob(pattern).fullmatch(request.resource) is not None


def _as_tuple(value: Any, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in values):
        raise PolicyError(f"{where}: expected a string or a list of strings, got {value!r}")
    return tuple(values)


def _parse_principals(value: Any, where: str) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if value == "*":
        return {"*": ("*",)}
    if not isinstance(value, dict):
        raise PolicyError(f"{where}: expected '*' or an object, got {value!r}")
    return {kind: _as_tuple(names, f"{where}.{kind}") for kind, names in value.items()}


def _parse_statement(raw: dict[str, Any], where: str) -> Statement:
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{where}.Effect: expected Allow or Deny, got {effect!r}")
    if ("Action" in raw) == ("NotAction" in raw):
        raise PolicyError(f"{where}: exactly one of Action and NotAction is needed")
    if "Resource" in raw and "NotResource" in raw:
        raise PolicyError(f"{where}: use either Resource or NotResource, not both")
    return Statement(
        effect=effect,
        actions=_as_tuple(raw.get("Action", []), f"{where}.Action"),
        not_actions=_as_tuple(raw.get("NotAction", []), f"{where}.NotAction"),
        resources=_as_tuple(raw.get("Resource", []), f"{where}.Resource"),
        not_resources=_as_tuple(raw.get("NotResource", []), f"{where}.NotResource"),
        conditions=parse_conditions(raw.get("Condition") or {}),
        principals=_parse_principals(raw.get("Principal"), f"{where}.Principal"),
        not_principals=_parse_principals(raw.get("NotPrincipal"), f"{where}.NotPrincipal"),
        text=json.dumps(raw, sort_keys=True, separators=(",", ":")),
    )


@lru_cache(maxsize=2048)
def parse_policy(document: str) -> tuple[Statement, ...]:
    """The statements of a policy document (JSON).

    Raises
    ------
    PolicyError
        When the document is not a policy.
    """
    try:
        policy = read_json(document)
    except ValueError as error:
        raise PolicyError(f"policy: not JSON: {error}") from error
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise PolicyError("policy: expected an object with a Statement")
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    return tuple(_parse_statement(raw, f"Statement[{index}]") for index, raw in enumerate(statements))


@lru_cache(maxsize=8192)
def _statements_for(documents: tuple[str, ...], action: str) -> tuple[Statement, ...]:
    return tuple(
        statement for document in documents for statement in parse_policy(document) if statement.covers_action(action)
    )


def decide(documents: tuple[str, ...], request: AccessRequest) -> Decision:
    """What identity policies say about a request.

    Parameters
    ----------
    documents : tuple of str
        The policy documents of one identity; the statements that speak of an action are kept per tuple.
    request : AccessRequest
        What is asked.

    Raises
    ------
    PolicyError
        When a document is malformed.
    """
    return decide_statements(_statements_for(documents, request.action), request)


def decide_statements(statements: Iterable[Statement], request: AccessRequest) -> Decision:
    """What statements, already known to speak of the action (and principal), say about a request."""
    allowing: list[str] = []
    for statement in statements:
        if not statement.covers_resource(request):
            continue
        result = statement.judge_conditions(request)
        if result.unsupported:
            return Decision(False, statement.effect == "Deny", result.unsupported)
        if not result.holds:
            continue
        if statement.effect == "Deny":
            return Decision(False, True, "with an explicit deny in a policy")
        allowing.append(statement.text)
    if allowing:
        return Decision(True, False, "allowed by a policy", tuple(allowing))
    return Decision(False, False, f"because no identity-based policy allows the {request.action} action")


@dataclass(frozen=True)
class Principal:
    """Who asks: a service (``lambda.amazonaws.com``) or AWS identities (session, role and account ARNs)."""

    service: str | None = None
    arns: tuple[str, ...] = ()

    def is_named_by(self, principals: Mapping[str, tuple[str, ...]] | None) -> bool:
        """Whether a Principal element names this principal."""
        if principals is None:
            return False
        if "*" in principals:
            return True
        if self.service is not None:
            return self.service in principals.get("Service", ())
        names = principals.get("AWS", ())
        return "*" in names or any(arn in names for arn in self.arns)


def decide_for_principal(document: str, principal: Principal, request: AccessRequest) -> Decision:
    """What a resource policy (trust, bucket, queue, function …) says about a principal's request.

    Raises
    ------
    PolicyError
        When the document is malformed.
    """
    statements = [
        statement
        for statement in parse_policy(document)
        if statement.covers_action(request.action)
        and (
            not principal.is_named_by(statement.not_principals)
            if statement.not_principals is not None
            else principal.is_named_by(statement.principals)
        )
    ]
    decision = decide_statements(statements, request)
    if decision.allowed or decision.explicit_deny or statements:
        return decision
    who = principal.service or ", ".join(principal.arns)
    return Decision(False, False, f"because no resource-based policy allows {who} the {request.action} action")
