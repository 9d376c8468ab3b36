"""Looks through all stacks of an assembly before anything of it exists, and says everything that would be refused.

Values are resolved as far as they are known: what a resource will be called, or what it will answer, is a placeholder
in them (:func:`~localcloud.cloudformation.intrinsics.later`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from localcloud.cloudformation.exceptions import TemplateError, UnsupportedResourceError
from localcloud.cloudformation.intrinsics import Made, is_known, later, resolve
from localcloud.cloudformation.resource import Handler
from localcloud.cloudformation.template import Declaration, Template

MOST_PROBLEMS = 40

_REMEDIES = {
    "AWS::ApiGateway::": "leave it out",
    "AWS::ApiGateway::ApiKey": "limit requests by the MethodSettings of the stage",
    "AWS::ApiGateway::Authorizer": "authorize methods with AWS_IAM, or not at all",
    "AWS::ApiGateway::BasePathMapping": "call the API at its own URL",
    "AWS::ApiGateway::DomainName": "call the API at its own URL",
    "AWS::ApiGateway::Model": "check requests in the function",
    "AWS::ApiGateway::RequestValidator": "check requests in the function",
    "AWS::ApiGateway::UsagePlan": "limit requests by the MethodSettings of the stage",
    "AWS::ApiGateway::VpcLink": "lead methods to functions",
    "AWS::ApiGatewayV2::": "call the API at its own URL",
    "AWS::CloudFormation::Stack": "turn the nested stack into a separate stack",
    "AWS::EC2::": "functions and jobs run on this machine, without a network of their own: leave the network out",
    "AWS::Lambda::EventSourceMapping": (
        "invoke it from a topic, a rule or a bucket, or let the function read the messages"
    ),
    "AWS::IAM::": "use roles; requests are made with a role, or by the operator",
    "Custom::AWS": "make the call that AwsCustomResource would make by hand once the stack is up",
    "Custom::CDKBucketDeployment": "put the files into the bucket by hand once the stack is up (`aws s3 cp`)",
    "Custom::LogRetention": "give the function its own log group (log_group) instead of log_retention",
    "Custom::S3AutoDeleteObjects": "leave auto_delete_objects out: nothing is kept when the local cloud ends",
    "Custom::": "leave it out, or do what it does by hand once the stack is up",
}
"""What to do in place of a resource type, by the longest beginning that fits."""


class Surroundings(Protocol):
    """What an examination asks of the engine."""

    handlers: Mapping[str, Handler]

    def pseudo_parameters(self, stack: str) -> dict[str, Any]:
        """Values of the names that begin with ``AWS::``."""

    def exported(self, stack: str) -> dict[str, Any]:
        """What the other deployed stacks export, by name."""

    def read_parameter(self, name: str) -> str:
        """The value of an SSM parameter; raises `TemplateError` when there is none."""


def examine(
    stacks: Sequence[tuple[Template, Mapping[str, str]]], surroundings: Surroundings, *, promised: Iterable[str] = ()
) -> None:
    """Refuse what can't be deployed.

    Parameters
    ----------
    stacks : sequence of (Template, parameters)
        In the order in which they are deployed.
    promised : iterable of str
        Names of SSM parameters that will be there before the first of them.

    Raises
    ------
    UnsupportedResourceError
        With every problem found: stack, logical id, type, property and what to do.
    TemplateError
        When the only problem is in the form of a template.
    """
    found: list[TemplateError] = []
    made = {f"parameter {name}" for name in promised}
    for template, parameters in stacks:
        try:
            found += _Examination(template, parameters, surroundings, made).problems()
        except TemplateError as error:
            found.append(error)
    if len(found) == 1:
        raise found[0]
    if found:
        lines = [f"  {error}" for error in found[:MOST_PROBLEMS]]
        if len(found) > MOST_PROBLEMS:
            lines.append(f"  and {len(found) - MOST_PROBLEMS} more")
        together = UnsupportedResourceError("\n".join([f"{len(found)} things can't be deployed here:", *lines]))
        together.problems = tuple(found)
        raise together


class _Examination:
    """One stack, looked through.

    Parameters
    ----------
    promised : set of str
        Names of exports (``export …``) and SSM parameters (``parameter …``) that stacks before this one make; what this
        one makes is added.
    """

    def __init__(
        self, template: Template, parameters: Mapping[str, str], surroundings: Surroundings, promised: set[str]
    ) -> None:
        self._template = template
        self._handlers = surroundings.handlers
        self._promised = promised
        exported = surroundings.exported(template.stack)

        def import_value(name: str) -> Any:
            if name in exported:
                return exported[name]
            if f"export {name}" in promised or not is_known(name):
                return later(name)
            raise TemplateError(f"stack {template.stack}: no deployed stack exports {name!r}")

        def read_parameter(name: str) -> str:
            if f"parameter {name}" in promised or not is_known(name):
                return later(name)
            return surroundings.read_parameter(name)

        self._scope = template.scope(
            surroundings.pseudo_parameters(template.stack), parameters, import_value, read_parameter
        )

    def problems(self) -> list[TemplateError]:
        """What keeps the stack from being deployed."""
        declarations = self._template.order(self._scope)
        for declaration in declarations:
            handler = self._handlers.get(declaration.type)
            attributes = handler.attributes if handler is not None else frozenset()
            logical_id = declaration.logical_id
            self._scope.made[logical_id] = Made(
                later(logical_id), {name: later(f"{logical_id}.{name}") for name in attributes}
            )
        found = []
        for declaration in declarations:
            for problem in self._problems_of(declaration):
                problem.logical_id, problem.type = declaration.logical_id, declaration.type
                found.append(problem)
        unsupported = {d.logical_id for d in declarations if d.type not in self._handlers}
        if not unsupported:  # what refers to a resource that can't be had is not a problem of its own
            try:
                _outputs, exports, _exported = self._template.outputs(self._scope)
                self._promised.update(f"export {name}" for name in exports)
            except TemplateError as error:
                found.append(error)
        return found

    def _problems_of(self, declaration: Declaration) -> Iterator[TemplateError]:
        where = f"stack {self._template.stack}, resource {declaration.logical_id} ({declaration.type})"
        handler = self._handlers.get(declaration.type)
        if handler is None:
            yield UnsupportedResourceError(f"{where}: {_why_unsupported(declaration.type)}")
            return
        resolved: dict[str, Any] = {}
        passed_over: set[str] = set()
        for name, value in declaration.properties.items():
            try:
                if any(map(self._is_unsupported, self._template.mentions(value, self._scope))):
                    passed_over.add(name)
                else:
                    resolved.update(self._resolved(declaration, name, value))
            except TemplateError as error:
                passed_over.add(name)
                yield error
        for problem in handler.problems(resolved):
            if problem.path not in passed_over:
                yield UnsupportedResourceError(f"{where}: {problem}")
        if declaration.type == "AWS::SSM::Parameter" and is_known(resolved.get("Name", "")):
            self._promised.add(f"parameter {resolved.get('Name')}")

    def _is_unsupported(self, logical_id: str) -> bool:
        declaration = self._template.resources.get(logical_id)
        return declaration is not None and declaration.type not in self._handlers

    def _resolved(self, declaration: Declaration, name: str, value: Any) -> Any:
        path = f"Resources.{declaration.logical_id}.Properties"
        return resolve({name: value}, self._scope, path)


def _why_unsupported(kind: str) -> str:
    beginnings = [beginning for beginning in _REMEDIES if kind.startswith(beginning)]
    remedy = _REMEDIES[max(beginnings, key=len)] if beginnings else "leave it out"
    if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource":
        return f"custom resources are not run here: {remedy}"
    return f"this resource type is not supported: {remedy}"
