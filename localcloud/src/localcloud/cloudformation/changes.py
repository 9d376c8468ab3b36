"""What a template would change of a stack, from what the resource types themselves say about a change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation.exceptions import TemplateError
from localcloud.cloudformation.intrinsics import Made, Scope, is_known, later, resolve
from localcloud.cloudformation.resource import Handler
from localcloud.cloudformation.state import DeployedResource, StackState
from localcloud.cloudformation.template import Declaration, Template

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""What CloudFormation shows in place of a value that is not known before the change is carried out."""


@dataclass(frozen=True)
class PropertyChange:
    """A property that would change.

    Attributes
    ----------
    requires : str
        Whether that replaces the resource: ``Never``, ``Conditionally`` or ``Always``.
    before, after : Any
        Its values; None where it has none.
    is_known : bool
        Whether the new value is known by now.
    """

    name: str
    requires: str
    before: Any
    after: Any
    is_known: bool


@dataclass(frozen=True)
class ResourceChange:
    """A resource that would be made, changed or taken away.

    Attributes
    ----------
    action : str
        ``Add``, ``Modify`` or ``Remove``.
    replacement : str or None
        Of a modification: ``True``, ``False`` or ``Conditional``.
    policy_action : str or None
        What becomes of the old physical resource: ``Delete``, ``Retain``, ``ReplaceAndDelete`` or ``ReplaceAndRetain``,
        as CloudFormation names it.
    before, after : mapping or None
        Its properties.
    """

    action: str
    logical_id: str
    type: str
    physical_id: str | None = None
    replacement: str | None = None
    policy_action: str | None = None
    properties: tuple[PropertyChange, ...] = ()
    attributes: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """The parts of the resource that would change."""
        return (*(("Properties",) if self.properties else ()), *self.attributes)


@dataclass
class _Outlook:
    """What will be known of each resource when the next one is made."""

    scope: Scope
    handlers: Mapping[str, Handler]
    state: StackState
    found: list[ResourceChange] = field(default_factory=list)


def changes(
    template: Template, scope: Scope, state: StackState, handlers: Mapping[str, Handler]
) -> list[ResourceChange]:
    """What would change, in the order in which it would happen.

    Parameters
    ----------
    scope : Scope
        What the template's values can refer to; what becomes of each resource is noted in it.
    state : StackState
        The stack as it is.

    Raises
    ------
    TemplateError
        When the template can not be resolved, or changes the type of a resource.
    """
    outlook = _Outlook(scope, handlers, state)
    declarations = template.order(scope)
    for declaration in declarations:
        outlook.found.extend(_changes_of(declaration, outlook))
    declared = {declaration.logical_id for declaration in declarations}
    for logical_id, resource in reversed(list(state.resources.items())):
        if logical_id not in declared:
            retained = resource.deletion_policy in ("Retain", "RetainExceptOnCreate")
            outlook.found.append(
                ResourceChange(
                    "Remove",
                    logical_id,
                    resource.type,
                    resource.physical_id,
                    policy_action="Retain" if retained else "Delete",
                    before=resource.properties,
                )
            )
    return outlook.found


def _changes_of(declaration: Declaration, outlook: _Outlook) -> Iterator[ResourceChange]:
    logical_id, scope = declaration.logical_id, outlook.scope
    handler = outlook.handlers[declaration.type]
    properties = resolve(dict(declaration.properties), scope, f"Resources.{logical_id}.Properties")
    current = outlook.state.resources.get(logical_id)
    if current is None:
        scope.made[logical_id] = _made_later(logical_id, handler)
        yield ResourceChange("Add", logical_id, declaration.type, after=properties)
        return
    if current.type != declaration.type:
        raise TemplateError(
            f"stack {outlook.state.name}: Update of resource type is not permitted. The new template modifies resource "
            f"type of the following resources: [{logical_id}]"
        )
    changed = tuple(_property_changes(handler, current, properties))
    attributes = ("DeletionPolicy",) if current.deletion_policy != declaration.deletion_policy else ()
    replacement = _replacement(handler, current.properties, properties)
    if replacement != "False":
        scope.made[logical_id] = _made_later(logical_id, handler)
    else:
        names = {change.name for change in changed}
        # An attribute that is called as a property shows that property's value.
        shown = {name: later(f"{logical_id}.{name}") if name in names else v for name, v in current.attributes.items()}
        scope.made[logical_id] = Made(current.physical_id, shown)
    if changed or attributes:
        yield ResourceChange(
            "Modify",
            logical_id,
            declaration.type,
            current.physical_id,
            replacement,
            _policy_action(replacement, declaration.update_replace_policy),
            changed,
            attributes,
            current.properties,
            properties,
        )


def _property_changes(
    handler: Handler, current: DeployedResource, properties: dict[str, Any]
) -> Iterator[PropertyChange]:
    old = current.properties
    for name in sorted(old.keys() | properties.keys()):
        before, after = old.get(name), properties.get(name)
        if before == after:
            continue
        alone = {key: value for key, value in {**old, name: after}.items() if value is not None}
        requires = {"True": "Always", "False": "Never", "Conditional": "Conditionally"}[
            _replacement(handler, old, alone)
        ]
        yield PropertyChange(name, requires, before, after, is_known(after))


def _replacement(handler: Handler, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Whether a change needs a new physical resource, as far as the new values are known."""
    if not handler.must_replace(old, new):
        return "False"
    certain = {name: value if is_known(value) else old.get(name) for name, value in new.items()}
    certain = {name: value for name, value in certain.items() if value is not None}
    return "True" if handler.must_replace(old, certain) else "Conditional"


def _policy_action(replacement: str, policy: str) -> str | None:
    if replacement == "False":
        return None
    kept = "Retain" if policy in ("Retain", "RetainExceptOnCreate") else "Delete"
    return f"ReplaceAnd{kept}"


def _made_later(logical_id: str, handler: Handler) -> Made:
    return Made(later(logical_id), {name: later(f"{logical_id}.{name}") for name in handler.attributes})


def shown(value: Any) -> str:
    """A value of a property as text, in which what is not known yet says so."""
    if value is None:
        return ""
    return json.dumps(_shown(value)) if isinstance(value, (Mapping, list)) else str(_shown(value))


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return value if is_known(value) else UNKNOWN
