"""Permissions, written down with the reason wherever they reach further than one named thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.exceptions import SynthesisError


@dataclass(frozen=True)
class Grant:
    """Actions on resources.

    Attributes
    ----------
    why : str
        Why a resource must be written with ``*``. :func:`give` refuses such a resource without a reason.
    conditions : mapping, optional
        Operators by name, as in a policy.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str = ""
    conditions: Mapping[str, Any] | None = None

    def statement(self) -> iam.PolicyStatement:
        """The policy statement."""
        conditions = dict(self.conditions) if self.conditions else None
        return iam.PolicyStatement(actions=list(self.actions), resources=list(self.resources), conditions=conditions)


Exports = Mapping[tuple[str, str], str]
"""Names of stack exports by what they export: logical id and attribute."""


def give(role: iam.Role, grants: Iterable[Grant], exports: Exports) -> None:
    """Add ``grants`` to ``role``, and record the reason of each wildcard with it.

    Raises
    ------
    SynthesisError
        For a wildcard in an action, or in a resource without a reason.
    """
    stack = Stack.of(role)
    for grant in grants:
        role.add_to_policy(grant.statement())
        if any("*" in action for action in grant.actions):
            raise SynthesisError(f"{role.node.path}: {', '.join(grant.actions)}: name the actions one by one")
        for resource in (r for r in grant.resources if "*" in r):
            shown = _shown(stack.resolve(resource), exports)
            if not grant.why:
                raise SynthesisError(f"{role.node.path}: {shown}: say why this needs a wildcard")
            acknowledge(role, f"AwsSolutions-IAM5[Resource::{shown}]", reason=grant.why)


def exports_of(stack: Stack, *values: str) -> Exports:
    """Export these attributes of ``stack``'s resources, and say under which names."""
    names: dict[tuple[str, str], str] = {}
    for value in values:
        logical, attribute = stack.resolve(value)["Fn::GetAtt"]
        names[logical, attribute] = stack.resolve(stack.export_value(value))["Fn::ImportValue"]
    return names


def _shown(value: Any, exports: Exports) -> str:
    """A resource as the security checks write it: references in angle brackets, imports by their names."""
    if isinstance(value, str):
        return value
    (function, argument), *_ = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_shown(part, exports) for part in argument[1])
    if function == "Ref":
        return f"<{argument}>"
    if function == "Fn::GetAtt":
        return exports.get((argument[0], argument[1]), f"<{'.'.join(argument)}>")
    raise SynthesisError(f"{value}: write a policy's resource only with references and text")
