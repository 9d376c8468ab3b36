"""Reads a CloudFormation template: what it declares, and in which order it is deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from localcloud.cloudformation.exceptions import TemplateError
from localcloud.cloudformation.intrinsics import Scope, decide, resolve
from localcloud.cloudformation.references import references

_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
        "Rules",
    }
)
_RESOURCE_KEYS = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
)
MOST = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
"""CloudFormation's quotas of a template: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
_POLICIES = frozenset({"Delete", "Retain", "RetainExceptOnCreate"})
_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(String|List<String>|CommaDelimitedList)>")


@dataclass(frozen=True)
class Declaration:
    """One resource as a template declares it, its properties unresolved."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...]
    condition: str | None
    deletion_policy: str
    update_replace_policy: str


@dataclass(frozen=True)
class Template:
    """A template, checked in form.

    Attributes
    ----------
    stack : str
        The stack it is for; messages name it.
    document : Mapping[str, Any]
        The template as JSON.
    resources : Mapping[str, Declaration]
        Declared resources by logical id.
    """

    stack: str
    document: Mapping[str, Any]
    resources: Mapping[str, Declaration]

    @classmethod
    def read(cls, path: Path, stack: str) -> Template:
        """The template in a JSON file."""
        return cls.parse(json.loads(path.read_text()), stack)

    @classmethod
    def parse(cls, document: Mapping[str, Any], stack: str) -> Template:
        """Check the form of a template.

        Raises
        ------
        TemplateError
            When it has a section, resource key or policy that this engine does not understand, or more of something
            than CloudFormation takes.
        """
        unknown = sorted(set(document) - _SECTIONS)
        if unknown:
            raise TemplateError(f"stack {stack}: template section {unknown[0]!r} is not supported")
        for section, most in MOST.items():
            count = len(document.get(section) or {})
            if count > most:
                raise TemplateError(
                    f"stack {stack}: Template format error: Number of {section.lower()}, {count}, is greater than "
                    f"maximum allowed, {most}"
                )
        resources = document.get("Resources") or {}
        if not resources:
            raise TemplateError(f"stack {stack}: the template has no resources")
        declared = {name: _declaration(stack, name, body) for name, body in resources.items()}
        return cls(stack, document, declared)

    def scope(
        self,
        pseudo: Mapping[str, Any],
        parameters: Mapping[str, str],
        import_value: Callable[[str], Any],
        read_parameter: Callable[[str], str],
    ) -> Scope:
        """What this template's values can refer to, given its parameters; its rules are checked too."""
        declared = self.document.get("Parameters") or {}
        undeclared = sorted(set(parameters) - set(declared))
        if undeclared:
            raise TemplateError(f"stack {self.stack}: the template declares no parameter {undeclared[0]!r}")
        values = dict(pseudo)
        for name, body in declared.items():
            values[name] = _parameter(self.stack, name, body, parameters.get(name), read_parameter)
        scope = Scope(
            stack=self.stack,
            values=values,
            mappings=self.document.get("Mappings") or {},
            conditions=self.document.get("Conditions") or {},
            resource_names=frozenset(self.resources),
            import_value=import_value,
            read_parameter=read_parameter,
        )
        self._check_rules(scope)
        return scope

    def _check_rules(self, scope: Scope) -> None:
        for name, rule in (self.document.get("Rules") or {}).items():
            path = f"Rules.{name}"
            if "RuleCondition" in rule and not decide(rule["RuleCondition"], scope, path):
                continue
            for assertion in rule["Assertions"]:
                if not decide(assertion["Assert"], scope, path):
                    raise scope.fail(path, assertion.get("AssertDescription", "its assertion failed"))

    def order(self, scope: Scope) -> list[Declaration]:
        """The resources whose conditions hold, each after everything it refers to or depends on."""
        active = {
            name: declared
            for name, declared in self.resources.items()
            if declared.condition is None or scope.condition(declared.condition, f"Resources.{name}")
        }
        graph: dict[str, set[str]] = {}
        for name, declared in active.items():
            path = f"Resources.{name}"
            needed = set(references(declared.properties, scope, path)) | set(declared.depends_on)
            absent = sorted(needed - set(self.resources))
            if absent:
                raise scope.fail(path, f"it depends on {absent[0]!r}, which the template does not declare")
            graph[name] = needed & set(active)
        try:
            return [active[name] for name in TopologicalSorter(graph).static_order()]
        except CycleError as error:
            raise TemplateError(f"stack {self.stack}: resources depend on each other: {error.args[1]}") from None

    def mentions(self, value: Any, scope: Scope) -> set[str]:
        """Logical ids of the resources that a value refers to."""
        return set(references(value, scope, "")) & set(self.resources)

    def outputs(self, scope: Scope) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Output values by name, those exported by export name, and the export names of outputs.

        Call it once everything is deployed.
        """
        outputs: dict[str, Any] = {}
        exports: dict[str, Any] = {}
        exported: dict[str, str] = {}
        for name, body in (self.document.get("Outputs") or {}).items():
            path = f"Outputs.{name}"
            if "Condition" in body and not scope.condition(body["Condition"], path):
                continue
            outputs[name] = resolve(body["Value"], scope, path)
            if "Export" in body:
                exported[name] = resolve(body["Export"]["Name"], scope, path)
                exports[exported[name]] = outputs[name]
        return outputs, exports, exported


def _declaration(stack: str, logical_id: str, body: Any) -> Declaration:
    where = f"stack {stack}, resource {logical_id}"
    if not isinstance(body, dict) or not isinstance(body.get("Type"), str):
        raise TemplateError(f"{where}: it has no Type")
    unknown = sorted(set(body) - _RESOURCE_KEYS)
    if unknown:
        raise TemplateError(f"{where} ({body['Type']}): {unknown[0]!r} is not supported")
    policies = [body.get(key, "Delete") for key in ("DeletionPolicy", "UpdateReplacePolicy")]
    for policy in policies:
        if policy not in _POLICIES:
            raise TemplateError(f"{where} ({body['Type']}): policy {policy!r} is not one of {sorted(_POLICIES)}")
    depends_on = body.get("DependsOn", [])
    return Declaration(
        logical_id=logical_id,
        type=body["Type"],
        properties=body.get("Properties") or {},
        depends_on=(depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        condition=body.get("Condition"),
        deletion_policy=policies[0],
        update_replace_policy=policies[1],
    )


def _parameter(
    stack: str, name: str, body: Mapping[str, Any], given: str | None, read_parameter: Callable[[str], str]
) -> Any:
    where = f"stack {stack}, parameter {name}"
    kind = body.get("Type")
    value = given if given is not None else body.get("Default")
    if value is None:
        raise TemplateError(f"{where}: it has no default and no value was given")
    value = str(value)
    if "AllowedValues" in body and value not in [str(allowed) for allowed in body["AllowedValues"]]:
        raise TemplateError(f"{where}: {value!r} is not one of {body['AllowedValues']}")
    if "AllowedPattern" in body and not re.fullmatch(body["AllowedPattern"], value):
        raise TemplateError(f"{where}: {value!r} does not match {body['AllowedPattern']!r}")
    if kind == "String":
        return value
    if kind == "Number":
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            raise TemplateError(f"{where}: {value!r} is not a number")
        return value
    if kind in ("CommaDelimitedList", "List<String>", "List<Number>"):
        return [element.strip() for element in value.split(",")]
    match = _SSM_VALUE.fullmatch(str(kind))
    if match is None:
        raise TemplateError(f"{where}: type {kind!r} is not supported")
    stored = read_parameter(value)
    return stored if match.group(1) == "String" else [element.strip() for element in stored.split(",")]
