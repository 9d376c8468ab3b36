"""Resolves CloudFormation's intrinsic functions in a template value."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation.exceptions import TemplateError

NO_VALUE = object()
"""What ``AWS::NoValue`` resolves to: the property or list element is left out."""

_LATER = ("\ue000", "\ue001")
"""Private characters of Unicode, which no template has."""

CONDITION_FUNCTIONS = frozenset({"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Condition", "Fn::Contains"})
SUBSTITUTION = re.compile(r"\$\{(!?)([^{}]+)\}")
_DYNAMIC_REFERENCE = re.compile(r"\{\{resolve:([^:{}]+):([^{}]+)\}\}")


@dataclass(frozen=True)
class Made:
    """A deployed resource, as other parts of a template see it.

    Attributes
    ----------
    physical_id : str
        What ``Ref`` gives.
    attributes : Mapping[str, str]
        What ``Fn::GetAtt`` gives, by attribute name.
    addresses : Mapping[str, str]
        Addresses that templates put together of its id, as they are on AWS, and where each is answered here.
    """

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)


def later(name: str) -> str:
    """Stands in a text for what is not known before ``name`` exists."""
    return name.join(_LATER)


def is_known(value: Any) -> bool:
    """Whether a resolved value has no part that is not known yet."""
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    if isinstance(value, list):
        return all(map(is_known, value))
    return not (isinstance(value, str) and _LATER[0] in value)


@dataclass
class Scope:
    """What a template value can refer to.

    Attributes
    ----------
    stack : str
        Name of the stack, for messages.
    values : Mapping[str, Any]
        Parameters and pseudo parameters by name.
    mappings, conditions : Mapping[str, Any]
        Those sections of the template, unresolved.
    resource_names : frozenset[str]
        Every logical id of the template, deployed or not.
    made : dict[str, Made]
        Resources deployed so far by logical id.
    import_value : Callable[[str], Any]
        The value of another stack's export; raises `TemplateError` when there is none.
    read_parameter : Callable[[str], str]
        The value of an SSM parameter, for ``{{resolve:ssm:…}}``.
    """

    stack: str
    values: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    resource_names: frozenset[str]
    import_value: Callable[[str], Any]
    read_parameter: Callable[[str], str]
    made: dict[str, Made] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    _decided: dict[str, bool] = field(default_factory=dict)
    _deciding: list[str] = field(default_factory=list)

    def fail(self, path: str, sentence: str) -> TemplateError:
        """An error at ``path`` of this stack's template."""
        return TemplateError(f"stack {self.stack}, {path}: {sentence}")

    def here(self, text: str) -> str:
        """A text that was put together, with addresses on AWS replaced by those that answer here."""
        if "://" in text:
            for addresses in (self.addresses, *(made.addresses for made in self.made.values())):
                for there, local in addresses.items():
                    text = text.replace(there, local)
        return text

    def condition(self, name: str, path: str) -> bool:
        """Whether the named condition holds."""
        if name not in self._decided:
            if name not in self.conditions:
                raise self.fail(path, f"there is no condition {name!r}")
            if name in self._deciding:
                raise self.fail(path, f"condition {name!r} depends on itself")
            self._deciding.append(name)
            self._decided[name] = decide(self.conditions[name], self, f"Conditions.{name}")
            self._deciding.pop()
        return self._decided[name]


def function_of(value: Any) -> str | None:
    """The intrinsic function that ``value`` calls, or None when it is plain data."""
    if isinstance(value, dict) and len(value) == 1:
        (name,) = value
        if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::")):
            return name
    return None


def decide(expression: Any, scope: Scope, path: str) -> bool:
    """Evaluate a condition expression."""
    if isinstance(expression, bool):
        return expression
    if not isinstance(expression, dict) or len(expression) != 1:
        raise scope.fail(path, f"a condition must be one function, not {expression!r}")
    ((name, argument),) = expression.items()
    if name not in CONDITION_FUNCTIONS:
        raise scope.fail(path, f"{name} is not a condition function (use one of {sorted(CONDITION_FUNCTIONS)})")
    if name == "Condition":
        return scope.condition(argument, path)
    if not isinstance(argument, list):
        raise scope.fail(path, f"{name} takes a list, not {argument!r}")
    if name == "Fn::Equals":
        left, right = _arguments(argument, 2, name, scope, path)
        return bool(_plain(resolve(left, scope, path)) == _plain(resolve(right, scope, path)))
    if name == "Fn::Contains":
        members, member = _arguments(argument, 2, name, scope, path)
        return resolve(member, scope, path) in resolve(members, scope, path)
    if name == "Fn::Not":
        (negated,) = _arguments(argument, 1, name, scope, path)
        return not decide(negated, scope, path)
    decided = [decide(part, scope, f"{path}.{name}") for part in argument]
    return all(decided) if name == "Fn::And" else any(decided)


def resolve(value: Any, scope: Scope, path: str) -> Any:
    """Replace every intrinsic function in ``value`` by what it stands for.

    Raises
    ------
    TemplateError
        For a function that this engine does not have, or one that refers to something absent.
    """
    name = function_of(value)
    if name is not None:
        if name not in _RESOLVERS:
            raise scope.fail(path, f"{name} is not supported here (supported: {sorted(_RESOLVERS)})")
        return _RESOLVERS[name](value[name], scope, f"{path}.{name}")
    if isinstance(value, dict):
        resolved = {key: resolve(inner, scope, f"{path}.{key}") for key, inner in value.items()}
        return {key: inner for key, inner in resolved.items() if inner is not NO_VALUE}
    if isinstance(value, list):
        elements = [resolve(inner, scope, f"{path}[{index}]") for index, inner in enumerate(value)]
        return [inner for inner in elements if inner is not NO_VALUE]
    if isinstance(value, str) and "{{resolve:" in value:
        return _DYNAMIC_REFERENCE.sub(lambda match: _dynamic_reference(match, scope, path), value)
    return value


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arguments(argument: Any, count: int, name: str, scope: Scope, path: str) -> list[Any]:
    if not isinstance(argument, list) or len(argument) != count:
        raise scope.fail(path, f"{name} takes {count} arguments, not {argument!r}")
    return argument


def chosen(argument: Any, scope: Scope, path: str) -> Any:
    """The branch of an ``Fn::If`` that its condition chooses, unresolved."""
    condition, if_true, if_false = _arguments(argument, 3, "Fn::If", scope, path)
    return if_true if scope.condition(condition, path) else if_false


def attribute_parts(argument: Any, scope: Scope, path: str) -> tuple[str, str]:
    """Logical id and attribute of an ``Fn::GetAtt``."""
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise scope.fail(path, f"Fn::GetAtt takes a logical id and an attribute, not {argument!r}")
    if parts[0] not in scope.resource_names:
        raise scope.fail(path, f"there is no resource {parts[0]!r}")
    return parts[0], parts[1]


def substitution_parts(argument: Any, scope: Scope, path: str) -> tuple[str, Mapping[str, Any]]:
    """Text and variables of an ``Fn::Sub``."""
    if isinstance(argument, str):
        return argument, {}
    text, variables = _arguments(argument, 2, "Fn::Sub", scope, path)
    return text, variables


def _ref(argument: Any, scope: Scope, path: str) -> Any:
    if argument == "AWS::NoValue":
        return NO_VALUE
    if argument in scope.values:
        return scope.values[argument]
    return _resource(argument, scope, path).physical_id


def _resource(logical_id: str, scope: Scope, path: str) -> Made:
    if logical_id in scope.made:
        return scope.made[logical_id]
    if logical_id in scope.resource_names:
        raise scope.fail(path, f"{logical_id} is not deployed (its condition does not hold)")
    raise scope.fail(path, f"there is no parameter, pseudo parameter or resource {logical_id!r}")


def _get_att(argument: Any, scope: Scope, path: str) -> Any:
    logical_id, attribute = attribute_parts(argument, scope, path)
    made = _resource(logical_id, scope, path)
    if attribute not in made.attributes:
        raise scope.fail(path, f"{logical_id} has no attribute {attribute!r} here (it has {sorted(made.attributes)})")
    return made.attributes[attribute]


def _sub(argument: Any, scope: Scope, path: str) -> str:
    text, variables = substitution_parts(argument, scope, path)
    own = {key: resolve(value, scope, f"{path}.{key}") for key, value in variables.items()}

    def replace(match: re.Match[str]) -> str:
        literal, reference = match.group(1), match.group(2).strip()
        if literal:
            return "${" + reference + "}"
        if reference in own:
            return _text(own[reference], scope, path)
        if "." in reference:
            return _text(_get_att(reference, scope, path), scope, path)
        return _text(_ref(reference, scope, path), scope, path)

    return scope.here(SUBSTITUTION.sub(replace, text))


def _text(value: Any, scope: Scope, path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise scope.fail(path, f"{value!r} can't be part of a string")


def _join(argument: Any, scope: Scope, path: str) -> str:
    delimiter, values = _arguments(argument, 2, "Fn::Join", scope, path)
    resolved = resolve(values, scope, path)
    if not isinstance(resolved, list):
        raise scope.fail(path, f"Fn::Join joins a list, not {resolved!r}")
    return scope.here(str(delimiter).join(_text(value, scope, path) for value in resolved))


def _select(argument: Any, scope: Scope, path: str) -> Any:
    index, values = _arguments(argument, 2, "Fn::Select", scope, path)
    resolved = resolve(values, scope, path)
    position = int(resolve(index, scope, path))
    if not is_known(resolved) and position >= len(resolved):
        return later("Fn::Select")  # of a text that can be split only once it is known
    if not isinstance(resolved, list) or not 0 <= position < len(resolved):
        raise scope.fail(path, f"Fn::Select finds no element {position} in {resolved!r}")
    return resolved[position]


def _split(argument: Any, scope: Scope, path: str) -> list[str]:
    delimiter, text = _arguments(argument, 2, "Fn::Split", scope, path)
    return _text(resolve(text, scope, path), scope, path).split(delimiter)


def _if(argument: Any, scope: Scope, path: str) -> Any:
    return resolve(chosen(argument, scope, path), scope, path)


def _find_in_map(argument: Any, scope: Scope, path: str) -> Any:
    keys = resolve(_arguments(argument, 3, "Fn::FindInMap", scope, path), scope, path)
    found: Any = scope.mappings
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise scope.fail(path, f"Fn::FindInMap finds no {key!r} of {keys!r}")
        found = found[key]
    return found


def _import_value(argument: Any, scope: Scope, path: str) -> Any:
    return scope.import_value(resolve(argument, scope, path))


def _base64(argument: Any, scope: Scope, path: str) -> str:
    return base64.b64encode(_text(resolve(argument, scope, path), scope, path).encode()).decode()


def _dynamic_reference(match: re.Match[str], scope: Scope, path: str) -> str:
    service, reference = match.group(1), match.group(2)
    if service != "ssm" or ":" in reference:
        raise scope.fail(path, f"{match.group(0)} is not supported: only {{{{resolve:ssm:<name>}}}} is")
    return scope.read_parameter(reference)


_RESOLVERS: dict[str, Callable[[Any, Scope, str], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::Base64": _base64,
}
