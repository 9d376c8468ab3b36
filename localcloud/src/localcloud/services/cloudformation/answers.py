"""Stacks, events and changes in the shapes of CloudFormation's answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from localcloud.cloudformation.changes import PropertyChange, ResourceChange, shown
from localcloud.cloudformation.events import StackEvent
from localcloud.cloudformation.state import StackRequest, StackState
from localcloud.cloudformation.template import Template
from localcloud.cloudformation.template_text import parse_template
from localcloud.services.cloudformation.change_sets import ChangeSet
from localcloud.services.cloudformation.requests import capabilities_of

_NOT_CHECKED = {"StackDriftStatus": "NOT_CHECKED"}


def instant(text: str | None) -> datetime | None:
    """A kept instant."""
    return datetime.fromisoformat(text) if text else None


def _pairs(mapping: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in mapping.items()]


def _parameters(request: StackRequest) -> list[dict[str, str]]:
    declared = parse_template(request.template).get("Parameters") or {} if request.template else {}
    return [
        {"ParameterKey": name, "ParameterValue": "****" if _is_secret(declared.get(name)) else value}
        for name, value in request.parameters.items()
    ]


def _is_secret(declaration: Any) -> bool:
    return isinstance(declaration, dict) and str(declaration.get("NoEcho", "")).lower() == "true"


def stack_of(state: StackState) -> dict[str, Any]:
    """A stack as DescribeStacks shows it."""
    request = state.request
    template = parse_template(request.template) if request.template else {}
    return _without_none(
        {
            "StackId": state.stack_id,
            "StackName": state.name,
            "ChangeSetId": state.change_set,
            "Description": template.get("Description"),
            "Parameters": _parameters(request),
            "CreationTime": instant(state.created),
            "DeletionTime": instant(state.deleted),
            "LastUpdatedTime": instant(state.updated),
            "RollbackConfiguration": {},
            "StackStatus": state.status,
            "StackStatusReason": state.reason or None,
            "DisableRollback": False,
            "NotificationARNs": request.notification_arns,
            "Capabilities": request.capabilities,
            "Outputs": _outputs(state, template),
            "RoleARN": request.role,
            "Tags": _pairs(request.tags),
            "EnableTerminationProtection": state.protected,
            "DriftInformation": _NOT_CHECKED,
        }
    )


def _outputs(state: StackState, template: dict[str, Any]) -> list[dict[str, Any]]:
    declared = template.get("Outputs") or {}
    return [
        _without_none(
            {
                "OutputKey": name,
                "OutputValue": value if isinstance(value, str) else json.dumps(value),
                "Description": declared.get(name, {}).get("Description"),
                "ExportName": state.output_exports.get(name),
            }
        )
        for name, value in state.outputs.items()
    ]


_SUMMARIZED = (
    "StackId",
    "StackName",
    "CreationTime",
    "LastUpdatedTime",
    "DeletionTime",
    "StackStatus",
    "StackStatusReason",
    "DriftInformation",
)


def summary_of(state: StackState) -> dict[str, Any]:
    """A stack as ListStacks shows it."""
    whole = stack_of(state)
    template = {"TemplateDescription": whole["Description"]} if "Description" in whole else {}
    return {**{name: whole[name] for name in _SUMMARIZED if name in whole}, **template}


def event_of(event: StackEvent) -> dict[str, Any]:
    """An event as DescribeStackEvents shows it."""
    return _without_none(
        {
            "StackId": event.stack_id,
            "EventId": event.event_id,
            "StackName": event.stack,
            "LogicalResourceId": event.logical_id,
            "PhysicalResourceId": event.physical_id,
            "ResourceType": event.type,
            "Timestamp": instant(event.at),
            "ResourceStatus": event.status,
            "ResourceStatusReason": event.reason or None,
            "ResourceProperties": event.properties or None,
        }
    )


def resources_of(state: StackState, events: list[StackEvent]) -> list[dict[str, Any]]:
    """The resources of a stack as DescribeStackResources shows them: by what last became of each."""
    last: dict[str, StackEvent] = {}
    for event in events:
        if event.is_of_stack:
            continue
        living = state.resources.get(event.logical_id)
        is_of_old = living is not None and event.physical_id != living.physical_id
        if not (is_of_old and event.status.startswith("DELETE_")):
            last[event.logical_id] = event
    return [_resource(state, event) for event in last.values()]


def _resource(state: StackState, event: StackEvent) -> dict[str, Any]:
    living = state.resources.get(event.logical_id)
    return _without_none(
        {
            "StackName": state.name,
            "StackId": state.stack_id,
            "LogicalResourceId": event.logical_id,
            "PhysicalResourceId": living.physical_id if living else event.physical_id or None,
            "ResourceType": event.type,
            "Timestamp": instant(event.at),
            "ResourceStatus": event.status,
            "ResourceStatusReason": event.reason or None,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def change_of(change: ResourceChange) -> dict[str, Any]:
    """A change as DescribeChangeSet lists it, the values of its properties included."""
    told = _without_none(
        {
            "PolicyAction": change.policy_action,
            "Action": change.action,
            "LogicalResourceId": change.logical_id,
            "PhysicalResourceId": change.physical_id,
            "ResourceType": change.type,
            "Replacement": change.replacement,
            "Scope": list(change.scope),
            "Details": [*map(_detail, change.properties), *map(_attribute_detail, change.attributes)],
            "BeforeContext": None if change.before is None else shown({"Properties": change.before}),
            "AfterContext": None if change.after is None else shown({"Properties": change.after}),
        }
    )
    return {"Type": "Resource", "ResourceChange": told}


def _detail(change: PropertyChange) -> dict[str, Any]:
    kinds = {(True, False): "Add", (False, True): "Remove"}
    kind = kinds.get((change.before is None, change.after is None), "Modify")
    return {
        "Target": _without_none(
            {
                "Attribute": "Properties",
                "Name": change.name,
                "Path": f"/Properties/{change.name}",
                "RequiresRecreation": change.requires,
                "BeforeValue": None if change.before is None else shown(change.before),
                "AfterValue": None if change.after is None else shown(change.after),
                "AttributeChangeType": kind,
            }
        ),
        "Evaluation": "Static" if change.is_known else "Dynamic",
        "ChangeSource": "DirectModification" if change.is_known else "ResourceReference",
    }


def _attribute_detail(name: str) -> dict[str, Any]:
    target = {"Attribute": name, "RequiresRecreation": "Never"}
    return {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}


_VALUES = ("BeforeValue", "AfterValue", "Path", "AttributeChangeType")


def without_values(change: dict[str, Any]) -> dict[str, Any]:
    """A change as it is listed when nobody asks for the values of properties."""
    told = {name: value for name, value in change["ResourceChange"].items() if not name.endswith("Context")}
    told["Details"] = [
        {**detail, "Target": {name: value for name, value in detail["Target"].items() if name not in _VALUES}}
        for detail in told["Details"]
    ]
    return {**change, "ResourceChange": told}


def change_set_of(change_set: ChangeSet, *, values: bool) -> dict[str, Any]:
    """A change set as DescribeChangeSet shows it."""
    return {
        **change_set_summary_of(change_set),
        **_without_none(
            {
                "Parameters": _parameters(change_set.request),
                "NotificationARNs": change_set.request.notification_arns,
                "RollbackConfiguration": {},
                "Capabilities": change_set.request.capabilities,
                "Tags": _pairs(change_set.request.tags),
                "Changes": change_set.changes if values else list(map(without_values, change_set.changes)),
                "OnStackFailure": change_set.on_failure,
            }
        ),
    }


def change_set_summary_of(change_set: ChangeSet) -> dict[str, Any]:
    """A change set as ListChangeSets shows it."""
    return _without_none(
        {
            "StackId": change_set.stack_id,
            "StackName": change_set.stack,
            "ChangeSetId": change_set.change_set_id,
            "ChangeSetName": change_set.name,
            "ExecutionStatus": change_set.execution_status,
            "Status": change_set.status,
            "StatusReason": change_set.reason,
            "CreationTime": instant(change_set.created),
            "Description": change_set.description,
            "IncludeNestedStacks": change_set.include_nested,
        }
    )


def _without_none(mapping: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if value is not None}


def problems_of(change_set: ChangeSet) -> list[dict[str, Any]]:
    """What keeps a change set from being carried out, as DescribeEvents lists it."""
    return [
        _without_none(
            {
                "EventId": f"{change_set.change_set_id.rpartition('/')[2]}-{number}",
                "StackId": change_set.stack_id,
                "OperationType": "CREATE_CHANGESET",
                "EventType": "VALIDATION_ERROR",
                "LogicalResourceId": problem.get("logical_id"),
                "ResourceType": problem.get("type"),
                "Timestamp": instant(change_set.created),
                "ValidationFailureMode": "FAIL",
                "ValidationName": "SUPPORTED_LOCALLY",
                "ValidationStatus": "FAILED",
                "ValidationStatusReason": problem["message"],
                "ValidationPath": f"/Resources/{problem['logical_id']}" if "logical_id" in problem else None,
            }
        )
        for number, problem in enumerate(change_set.problems)
    ]


def operation_event_of(event: StackEvent) -> dict[str, Any]:
    """An event as DescribeEvents shows it."""
    told = event_of(event)
    del told["StackName"]
    return {**told, "EventType": "STACK_EVENT"}


def template_validation_of(template: Template) -> dict[str, Any]:
    """A template as ValidateTemplate shows it."""
    needed, reason = capabilities_of(template)
    declared = template.document.get("Parameters") or {}
    return _without_none(
        {
            "Parameters": [
                _without_none(
                    {
                        "ParameterKey": name,
                        "DefaultValue": None if "Default" not in body else str(body["Default"]),
                        "NoEcho": _is_secret(body),
                        "Description": body.get("Description"),
                    }
                )
                for name, body in declared.items()
            ],
            "Description": template.document.get("Description"),
            "Capabilities": needed,
            "CapabilitiesReason": reason,
        }
    )


def template_summary_of(template: Template) -> dict[str, Any]:
    """A template as GetTemplateSummary shows it."""
    declared = template.document.get("Parameters") or {}
    validated = template_validation_of(template)
    for shown_parameter in validated["Parameters"]:
        body = declared[shown_parameter["ParameterKey"]]
        shown_parameter["ParameterType"] = body.get("Type")
        if "AllowedValues" in body:
            allowed = [str(value) for value in body["AllowedValues"]]
            shown_parameter["ParameterConstraints"] = {"AllowedValues": allowed}
    metadata = template.document.get("Metadata")
    return _without_none(
        {
            **validated,
            "ResourceTypes": [resource.type for resource in template.resources.values()],
            "Version": template.document.get("AWSTemplateFormatVersion"),
            "Metadata": None if metadata is None else json.dumps(metadata),
        }
    )
