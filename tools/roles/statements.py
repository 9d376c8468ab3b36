"""The statements of every role in synthesized templates, in one spelling for all models, accounts and regions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MODEL_STACKS = "EverloopModel-"

_HASHED = re.compile(r"[0-9A-F]{8}$")
_EXPORT = re.compile(r"^[^:]+:ExportsOutput(?:FnGetAtt|Ref)(.+?)[0-9A-F]{8}(?:Arn[0-9A-F]{8}|[0-9A-F]{8})?$")
_ASSET = re.compile(r"[0-9a-f]{64}")
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "<region>", "AWS::AccountId": "<account>"}


class UnknownShapeError(ValueError):
    """A template says something in a way that is not known here."""


@dataclass(frozen=True)
class RoleStatement:
    """One statement of a role.

    Attributes
    ----------
    role : str
        The role's place in its stack, such as ``Functions/Monitor``.
    actions, resources : tuple of str
        Sorted. References are in angle brackets; ``<model>`` stands for the model's name.
    conditions : str
        As canonical JSON; empty where there are none.
    """

    role: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: str = ""

    @property
    def key(self) -> str:
        """What names the statement among its role's: all but its actions."""
        return json.dumps([self.role, self.resources, self.conditions])

    def action_key(self, action: str) -> str:
        """What names one action of the statement among those of its role."""
        return json.dumps([self.role, self.resources, self.conditions, action])

    def as_policy(self) -> dict[str, Any]:
        """The statement as a policy writes it."""
        written: dict[str, Any] = {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        return written | ({"Condition": json.loads(self.conditions)} if self.conditions else {})


def statements_of(template: Mapping[str, Any], stack: str) -> Iterator[tuple[str, int, RoleStatement]]:
    """Every statement of the stack's roles, with the logical id of its policy and its place there.

    Raises
    ------
    UnknownShapeError
        For a statement that denies, and for a policy that no role of the stack has.
    """
    resources = template["Resources"]
    roles = {name: r for name, r in resources.items() if r["Type"] == "AWS::IAM::Role"}
    for logical_id, resource in resources.items():
        if resource["Type"] not in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            continue
        named = [ref["Ref"] for ref in resource["Properties"].get("Roles", [])]
        if len(named) != 1 or named[0] not in roles:
            raise UnknownShapeError(f"{stack}: the policy {logical_id} is of {named}, not of one role of the stack")
        place = role_path(roles[named[0]], stack)
        for index, raw in enumerate(resource["Properties"]["PolicyDocument"]["Statement"]):
            yield logical_id, index, statement(place, raw, model_of(stack))


def role_path(role: Mapping[str, Any], stack: str) -> str:
    """A role's place in its stack, by the CDK's path."""
    path = str(role["Metadata"]["aws:cdk:path"]).removeprefix(f"{stack}/").removesuffix("/Resource")
    return path.removesuffix("/Role")


def model_of(stack: str) -> str:
    """The model's name as the stack's name has it, with dashes."""
    return stack.removeprefix(MODEL_STACKS)


def statement(role: str, raw: Mapping[str, Any], model: str) -> RoleStatement:
    """One statement, from a template."""
    if raw["Effect"] != "Allow":
        raise UnknownShapeError(f"{role}: a statement that denies: {raw}")
    conditions = json.dumps(_shown_within(raw["Condition"], model), sort_keys=True) if "Condition" in raw else ""
    return RoleStatement(
        role,
        tuple(sorted(_listed(raw["Action"]))),
        tuple(sorted(shown(one, model) for one in _listed(raw["Resource"]))),
        conditions,
    )


def shown(value: Any, model: str) -> str:
    """A value of a template as text: references in angle brackets, the model's name as ``<model>``."""
    text = _ASSET.sub("<code>", _text(value))
    return text.replace(model.replace("-", "_"), "<model>").replace(model, "<model>")


def _shown_within(value: Any, model: str) -> Any:
    if isinstance(value, Mapping) and not any(str(key).startswith("Fn::") or key == "Ref" for key in value):
        return {key: _shown_within(one, model) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown_within(one, model) for one in value]
    return shown(value, model)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_text(part) for part in argument[1])
    if function == "Ref":
        return _PSEUDO.get(argument) or f"<{_HASHED.sub('', argument)}>"
    if function == "Fn::GetAtt":
        return f"<{_HASHED.sub('', argument[0])}>"
    if function == "Fn::ImportValue":
        found = _EXPORT.match(argument)
        if found:
            return f"<{found[1]}>"
    if function == "Fn::FindInMap":
        return f"<{argument[2]}>"
    if function == "Fn::Sub" and isinstance(argument, str):
        for pseudo, plain in _PSEUDO.items():
            argument = argument.replace(f"${{{pseudo}}}", plain)
        return argument
    raise UnknownShapeError(f"{value}: this is not written in a policy by anything known here")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
