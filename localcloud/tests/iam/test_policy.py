"""What policies say: statements, wildcards, conditions, and the order of deny and allow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.iam.policy import AccessRequest, PolicyError, Principal, decide, decide_for_principal, parse_policy
from support.in_process import Statement

ACTION = "dynamodb:GetItem"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"


def policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str = "Allow", **more: Any) -> Statement:
    parts = {"Effect": effect, **more}
    if "NotAction" not in more:
        parts.setdefault("Action", "*")
    if "NotResource" not in more:
        parts.setdefault("Resource", "*")
    return parts


def is_allowed(*statements: Statement, action: str = ACTION, resource: str = TABLE, **context: tuple[str, ...]) -> bool:
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return decide((policy(*statements),), AccessRequest(action, resource, keys)).allowed


def holds(operator: str, key: str, wanted: str | list[str] | bool | int, **context: tuple[str, ...]) -> bool:
    return is_allowed(statement(Condition={operator: {key: wanted}}), action=ACTION, resource=TABLE, **context)


def test_nothing_is_allowed_by_itself() -> None:
    decision = decide((), AccessRequest("s3:GetObject", "*"))
    assert not decision.allowed
    assert "no identity-based policy allows the s3:GetObject action" in decision.reason


def test_a_deny_wins_over_any_allow_in_any_order() -> None:
    deny = statement("Deny", Action="dynamodb:*")
    assert not is_allowed(statement(), deny)
    assert not is_allowed(deny, statement())
    assert is_allowed(statement(), deny, action="s3:GetObject")


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("dynamodb:GetItem", "dynamodb:GetItem", True),
        ("DYNAMODB:getitem", "dynamodb:GetItem", True),
        ("dynamodb:Get*", "dynamodb:GetItem", True),
        ("dynamodb:G?tItem", "dynamodb:GetItem", True),
        ("dynamodb:Get", "dynamodb:GetItem", False),
        ("*", "dynamodb:GetItem", True),
    ],
)
def test_actions(pattern: str, action: str, expected: bool) -> None:
    assert is_allowed(statement(Action=pattern), action=action) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(TABLE, True), (TABLE.upper(), False), ("arn:aws:dynamodb:*:*:table/*", True), (f"{TABLE}/index/*", False)],
)
def test_resources_keep_their_case(pattern: str, expected: bool) -> None:
    assert is_allowed(statement(Resource=pattern)) is expected


def test_not_action_and_not_resource() -> None:
    assert not is_allowed(statement(NotAction="dynamodb:*"))
    assert is_allowed(statement(NotAction="s3:*"))
    assert not is_allowed(statement(NotResource=TABLE))
    assert is_allowed(statement(NotResource=f"{TABLE}x"))


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("StringEquals", ["a", "b"], ("b",), True),
        ("StringEquals", "A", ("a",), False),
        ("StringEqualsIgnoreCase", "A", ("a",), True),
        ("StringNotEquals", ["a", "b"], ("c",), True),
        ("StringNotEquals", ["a", "b"], ("b",), False),
        ("StringLike", "in/*", ("in/x",), True),
        ("StringNotLike", "in/*", ("in/x",), False),
        ("StringEquals", "a", (), False),
        ("StringNotEquals", "a", (), True),
        ("StringEqualsIfExists", "a", (), True),
        ("StringEqualsIfExists", "a", ("b",), False),
        ("ForAnyValue:StringEquals", ["a"], ("x", "a"), True),
        ("ForAnyValue:StringEquals", ["a"], (), False),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", ["a"], ("a", "b"), False),
        ("ForAllValues:StringEquals", ["a"], (), True),
        ("ArnLike", "arn:aws:s3:::*", ("arn:aws:s3:::bucket",), True),
        ("ArnLike", "arn:aws:*:bucket", ("arn:aws:s3:::bucket",), False),
        ("ArnNotEquals", TABLE, (TABLE,), False),
        ("Bool", "false", ("true",), False),
        ("Bool", True, ("true",), True),
        ("Null", "true", (), True),
        ("Null", "true", ("x",), False),
        ("Null", "false", ("x",), True),
        ("NumericLessThan", "10", ("9",), True),
        ("NumericGreaterThanEquals", 10, ("9",), False),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", ("2026-01-02T00:00:00+00:00",), True),
        ("IpAddress", "127.0.0.0/8", ("127.0.0.1",), True),
        ("NotIpAddress", "127.0.0.0/8", ("127.0.0.1",), False),
    ],
)
def test_conditions(
    operator: str, wanted: str | list[str] | bool | int, given: tuple[str, ...], expected: bool
) -> None:
    assert holds(operator, "aws:Key", wanted, aws__key=given) is expected


def test_all_conditions_have_to_hold() -> None:
    condition = {"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}
    one = statement(Condition=condition)
    assert is_allowed(one, a=("1",), b=("2",), c=("true",))
    assert not is_allowed(one, a=("1",), b=("2",), c=("false",))


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_what_can_not_be_judged_is_denied_by_name(effect: str) -> None:
    unknown = statement(effect, Condition={"BinaryEquals": {"aws:Key": "x"}})
    decision = decide((policy(statement(), unknown),), AccessRequest("s3:GetObject", "*"))
    assert not decision.allowed
    assert "BinaryEquals" in decision.reason


LEADING = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["MODEL#a", "MODEL#b"]}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [(("MODEL#a",), True), (("MODEL#a", "MODEL#b"), True), (("MODEL#a", "MODEL#c"), False), (("MODEL#c",), False)],
)
def test_every_partition_of_a_request_has_to_be_allowed(given: tuple[str, ...], expected: bool) -> None:
    assert is_allowed(statement(Condition=LEADING), dynamodb__leadingkeys=given) is expected


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize("key", ["dynamodb:LeadingKeys", "dynamodb:Attributes", "dynamodb:Select"])
def test_a_condition_on_what_was_not_told_from_the_request_denies(effect: str, key: str) -> None:
    """On AWS too, ``ForAllValues`` holds where the key is absent: here absent means not understood."""
    one = statement(effect, Condition={"ForAllValues:StringEquals": {key: "x"}})
    decision = decide((policy(statement(), one),), AccessRequest("dynamodb:Query", TABLE))
    assert not decision.allowed
    assert key in decision.reason


def test_variables_are_filled_in() -> None:
    one = statement(Resource="arn:aws:s3:::home/${aws:userid}/*")
    resource = "arn:aws:s3:::home/me/x"
    assert is_allowed(one, action="s3:GetObject", resource=resource, aws__userid=("me",))
    assert not is_allowed(one, action="s3:GetObject", resource=resource, aws__userid=("you",))
    assert not is_allowed(one, action="s3:GetObject", resource=resource)


def test_resource_policies_name_their_principals() -> None:
    document = policy(
        {"Effect": "Allow", "Principal": {"Service": ["a.amazonaws.com"]}, "Action": "sqs:SendMessage"},
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Condition": {"Bool": {"x": "true"}}},
    )
    request = AccessRequest("sqs:SendMessage", "q")
    assert decide_for_principal(document, Principal(service="a.amazonaws.com"), request).allowed
    assert not decide_for_principal(document, Principal(service="b.amazonaws.com"), request).allowed
    assert not decide_for_principal(document, Principal(arns=("a.amazonaws.com",)), request).allowed
    denied = AccessRequest("sqs:SendMessage", "q", {"x": ("true",)})
    assert decide_for_principal(document, Principal(service="a.amazonaws.com"), denied).explicit_deny


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "not JSON"),
        ("[]", "Statement"),
        (policy({"Effect": "Perhaps", "Action": "*"}), r"Statement\[0\].Effect"),
        (policy({"Effect": "Allow"}), "exactly one of Action and NotAction"),
        (policy({"Effect": "Allow", "Action": [1]}), r"Statement\[0\].Action"),
    ],
)
def test_malformed_policies_are_named(document: str, named: str) -> None:
    with pytest.raises(PolicyError, match=named):
        parse_policy(document)


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20))
def test_a_resource_matches_itself_unless_it_has_wildcards(resource: str) -> None:
    if not set(resource) & set("*?") and "${" not in resource:
        assert is_allowed(statement(Resource=resource), resource=resource)
        assert not is_allowed(statement(Resource=resource), resource=resource + "x")
