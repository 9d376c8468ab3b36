"""What a request says of a stack: its template, the values of its parameters, and what can't be had here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from localcloud.cloudformation.exceptions import TemplateError
from localcloud.cloudformation.state import StackRequest
from localcloud.cloudformation.template import Template
from localcloud.cloudformation.template_text import parse_template
from localcloud.core.answers import Refusal

LARGEST_BODY = 51_200
LARGEST_TEMPLATE = 1_000_000
_NAME = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,127}")
_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com")
_NAMED = ("RoleName", "ManagedPolicyName", "UserName", "GroupName", "InstanceProfileName")

_REFUSED = {
    "ResourcesToImport": "resources can only be created here, not imported",
    "DeploymentMode": "drift is not detected here: leave it out",
    "DisableRollback": "failures are always rolled back: leave it out",
    "StackPolicyBody": "stack policies are not enforced here: leave it out",
    "StackPolicyURL": "stack policies are not enforced here: leave it out",
    "StackPolicyDuringUpdateBody": "stack policies are not enforced here: leave it out",
    "StackPolicyDuringUpdateURL": "stack policies are not enforced here: leave it out",
    "ResourceTypes": "leave it out: the role's policies decide what a template may create",
    "TimeoutInMinutes": "deployments have no time limit here: leave it out",
    "RetainExceptOnCreate": "write DeletionPolicy: RetainExceptOnCreate into the template",
}
"""Parameters that would act on AWS and do not here, with what to do instead."""


def invalid(message: str) -> Refusal:
    """CloudFormation's error for whatever is wrong with a request."""
    return Refusal("ValidationError", message)


def refuse_what_does_not_act(action: str, params: Mapping[str, Any]) -> None:
    """Refuse parameters that would be without effect.

    Raises
    ------
    Refusal
        Naming the parameter and what to do.
    """
    for name, remedy in _REFUSED.items():
        if params.get(name):
            raise invalid(f"{action}: {name} is not supported by the local cloud: {remedy}")
    if (params.get("RollbackConfiguration") or {}).get("RollbackTriggers"):
        raise invalid(f"{action}: RollbackConfiguration is not supported by the local cloud: leave it out")
    if params.get("ChangeSetType") == "IMPORT":
        raise invalid("CreateChangeSet: ChangeSetType IMPORT is not supported by the local cloud: use CREATE or UPDATE")
    if (params.get("DeploymentConfig") or {}).get("Mode", "STANDARD") != "STANDARD":
        raise invalid(f"{action}: DeploymentConfig.Mode is supported by the local cloud only as STANDARD")
    on_failure = params.get("OnStackFailure") or params.get("OnFailure") or "ROLLBACK"
    if on_failure not in ("ROLLBACK", "DELETE"):
        raise invalid(f"{action}: {on_failure} on failure is not supported by the local cloud: use ROLLBACK or DELETE")


def require_name(name: str) -> None:
    """Refuse what is not a name of a stack."""
    if _NAME.fullmatch(name) is None:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def template_text(params: Mapping[str, Any], read_object: Callable[[str, str], bytes], previous: str | None) -> str:
    """The template that a request gives, names or leaves as it is.

    Parameters
    ----------
    read_object : callable
        Gives the content of an object by bucket and key, with the rights of who asks.
    previous : str or None
        The template that the stack has.
    """
    given = [name for name in ("TemplateBody", "TemplateURL", "UsePreviousTemplate") if params.get(name)]
    if not given:
        raise invalid("Either Template URL or Template Body must be specified.")
    if len(given) > 1:
        raise invalid(f"You cannot specify both {' and '.join(given)}.")
    if given == ["UsePreviousTemplate"]:
        if previous is None:
            raise invalid("there is no previous template")
        return previous
    if given == ["TemplateBody"]:
        body = str(params["TemplateBody"])
        if len(body.encode()) > LARGEST_BODY:
            raise invalid(
                f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have "
                f"length less than or equal to {LARGEST_BODY}"
            )
        return body
    content = read_object(*_place_of(str(params["TemplateURL"])))
    if len(content) > LARGEST_TEMPLATE:
        raise invalid(f"Template may not exceed {LARGEST_TEMPLATE} bytes in size.")
    return content.decode()


def _place_of(url: str) -> tuple[str, str]:
    """Bucket and key of a template's address."""
    parts = urlsplit(url)
    match = _HOST.fullmatch(parts.hostname or "")
    path = unquote(parts.path.lstrip("/"))
    is_local = parts.hostname in ("127.0.0.1", "localhost")
    if match is None and not is_local:
        raise invalid("TemplateURL must be a supported URL.")
    if match is not None and match["bucket"]:
        return match["bucket"], path
    bucket, _, key = path.partition("/")
    return bucket, key


def parsed(text: str, stack: str) -> Template:
    """The template of a text.

    Raises
    ------
    Refusal
        When it has not the form of one.
    """
    try:
        return Template.parse(parse_template(text), stack)
    except TemplateError as error:
        raise invalid(str(error)) from error


def request_of(params: Mapping[str, Any], text: str, template: Template, previous: StackRequest | None) -> StackRequest:
    """What a stack is asked to be.

    Parameters
    ----------
    previous : StackRequest or None
        What it was asked to be before: its role stays, and whatever the request says to keep.
    """
    return StackRequest(
        template=text,
        parameters=_parameters(params, template, previous),
        tags={tag["Key"]: str(tag["Value"]) for tag in params.get("Tags") or []},
        role=params.get("RoleARN") or (previous.role if previous else None),
        capabilities=list(params.get("Capabilities") or []),
        notification_arns=list(params.get("NotificationARNs") or []),
    )


def _parameters(params: Mapping[str, Any], template: Template, previous: StackRequest | None) -> dict[str, str]:
    """The value of every parameter that the template declares."""
    declared = template.document.get("Parameters") or {}
    before = previous.parameters if previous else {}
    values = {name: str(body["Default"]) for name, body in declared.items() if "Default" in body}
    for parameter in params.get("Parameters") or []:
        name = parameter["ParameterKey"]
        if not parameter.get("UsePreviousValue"):
            values[name] = str(parameter.get("ParameterValue", ""))
        elif previous is None:
            raise invalid(
                f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key "
                "not in the previous template"
            )
        elif name in before:
            values[name] = before[name]
    undeclared = sorted(set(values) - set(declared))
    if undeclared:
        raise invalid(f"Parameters: [{', '.join(undeclared)}] do not exist in the template")
    missing = sorted(set(declared) - set(values))
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def capabilities_of(template: Template) -> tuple[list[str], str | None]:
    """The capabilities that a template needs, and why."""
    made = [resource for resource in template.resources.values() if resource.type.startswith("AWS::IAM::")]
    if not made:
        return [], None
    named = any(name in resource.properties for resource in made for name in _NAMED)
    kinds = ", ".join(sorted({resource.type for resource in made}))
    reason = f"The following resource(s) require capabilities: [{kinds}]"
    return ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"], reason


def require_capabilities(template: Template, given: list[str]) -> None:
    """Refuse a template that makes roles or policies when nobody said that it may."""
    needed, _reason = capabilities_of(template)
    missing = [name for name in needed if name not in given and "CAPABILITY_NAMED_IAM" not in given]
    if missing:
        raise Refusal("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]")
