"""The condition operators of IAM policies.

See the IAM user guide, "IAM JSON policy elements: Condition operators". What is not known here is never
guessed: the result names it, and the request is denied.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from localcloud.core.globs import glob

KEYS_OF_REQUESTS = frozenset(
    {"dynamodb:leadingkeys", "dynamodb:attributes", "dynamodb:select", "dynamodb:returnvalues"}
)
"""Keys whose values are inside a request. Where the local cloud did not tell them from it, a policy that uses one
denies: ``ForAllValues`` would hold without them.
"""


@dataclass(frozen=True)
class ConditionResult:
    """Whether a condition holds; ``unsupported`` says what could not be judged, when something could not."""

    holds: bool
    unsupported: str | None = None


def _like(pattern: str, value: str) -> bool:
    return glob(pattern).fullmatch(value) is not None


def _arn_like(pattern: str, value: str) -> bool:
    """Each of an ARN's six parts is matched on its own, so a wildcard does not reach across a colon."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    if len(wanted) != 6 or len(given) != 6:
        return pattern == "*"
    return all(_like(w, g) for w, g in zip(wanted, given, strict=True))


def _date(value: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return datetime.fromtimestamp(float(value), UTC)
    parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _in_network(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


Test = Callable[[str, str], bool]
"""(value in the policy, value in the request) → whether they agree."""

_POSITIVE: dict[str, Test] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringEqualsIgnoreCase": lambda wanted, given: wanted.lower() == given.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "NumericEquals": lambda wanted, given: float(wanted) == float(given),
    "NumericLessThan": lambda wanted, given: float(given) < float(wanted),
    "NumericLessThanEquals": lambda wanted, given: float(given) <= float(wanted),
    "NumericGreaterThan": lambda wanted, given: float(given) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, given: float(given) >= float(wanted),
    "DateEquals": lambda wanted, given: _date(wanted) == _date(given),
    "DateLessThan": lambda wanted, given: _date(given) < _date(wanted),
    "DateLessThanEquals": lambda wanted, given: _date(given) <= _date(wanted),
    "DateGreaterThan": lambda wanted, given: _date(given) > _date(wanted),
    "DateGreaterThanEquals": lambda wanted, given: _date(given) >= _date(wanted),
    "IpAddress": _in_network,
}
_NEGATIVE: dict[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


@dataclass(frozen=True)
class Condition:
    """One operator on one key: ``{"StringEquals": {"aws:RequestedRegion": [...]}}``."""

    operator: str
    key: str
    values: tuple[str, ...]

    def judge(self, context: Mapping[str, tuple[str, ...]]) -> ConditionResult:
        """Whether the condition holds in ``context``."""
        key = self.key.lower()
        if key in KEYS_OF_REQUESTS and key not in context:
            return ConditionResult(
                False, f"because the local cloud can't evaluate the condition key {self.key} of this request"
            )
        given = context.get(key, ())
        quantifier, operator, if_exists = _split_operator(self.operator)
        if operator == "Null":
            return ConditionResult(all((not given) == (value.lower() == "true") for value in self.values))
        negated = operator in _NEGATIVE
        test = _POSITIVE.get(_NEGATIVE.get(operator, operator))
        if test is None:
            return ConditionResult(
                False, f"because the local cloud does not know the condition operator {self.operator!r}"
            )
        if not given:
            holds = if_exists or quantifier == "ForAllValues" or (negated and quantifier is None)
            return ConditionResult(holds)
        values = [substitute(value, context) for value in self.values]
        wanted = [value for value in values if value is not None]
        agree = [any(test(value, item) for value in wanted) != negated for item in given]
        return ConditionResult(any(agree) if quantifier == "ForAnyValue" else all(agree))


@lru_cache(maxsize=256)
def _split_operator(operator: str) -> tuple[str | None, str, bool]:
    quantifier, _, rest = operator.rpartition(":")
    if_exists = rest.endswith("IfExists")
    return quantifier or None, rest.removesuffix("IfExists"), if_exists


def parse_conditions(block: dict[str, Any]) -> tuple[Condition, ...]:
    """The conditions of a statement; all of them must hold."""
    conditions = []
    for operator, keys in block.items():
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            conditions.append(Condition(operator, key, tuple(_as_text(item) for item in values)))
    return tuple(conditions)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def substitute(text: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    """``text`` with policy variables (``${aws:PrincipalAccount}``) filled in; None when one has no value."""
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = match[1].partition(",")
        if name in ("*", "?", "$"):
            return name
        values = context.get(name.strip().lower(), ())
        if len(values) == 1:
            return values[0]
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    filled = re.sub(r"\$\{([^}]*)\}", value_of, text) if "${" in text else text
    return None if missing else filled
