"""Templates: parameters, conditions, intrinsic functions and the order of resources."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.cloudformation.exceptions import TemplateError
from localcloud.cloudformation.intrinsics import Made, Scope, resolve
from localcloud.cloudformation.template import Template

PSEUDO = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}
PARAMETERS = {"/version": "30"}


def template(resources: dict[str, Any] | None = None, **sections: Any) -> Template:
    given = resources or {"A": {"Type": "T"}}
    return Template.parse({"Resources": given, **sections}, "S")


def scope(parsed: Template | None = None, **parameters: str) -> Scope:
    return (parsed or template()).scope(PSEUDO, parameters, lambda name: f"<{name}>", PARAMETERS.__getitem__)


def value_of(expression: Any, **sections: Any) -> Any:
    declared = {"A": {"Type": "T"}, "Absent": {"Type": "T"}}
    here = scope(template(declared, **sections))
    here.made["A"] = Made("a-id", {"Arn": "arn:a"})
    return resolve(expression, here, "here")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "A"}, "a-id"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Fn::GetAtt": ["A", "Arn"]}, "arn:a"),
        ({"Fn::GetAtt": "A.Arn"}, "arn:a"),
        ({"Fn::Join": ["-", ["x", {"Ref": "A"}, 3]]}, "x-a-id-3"),
        ({"Fn::Sub": "${A}/${A.Arn}/${AWS::Region}/${!A}"}, "a-id/arn:a/us-east-1/${A}"),
        ({"Fn::Sub": ["${x}-${A}", {"x": {"Ref": "AWS::Region"}}]}, "us-east-1-a-id"),
        ({"Fn::Select": ["1", {"Fn::Split": [":", {"Fn::GetAtt": ["A", "Arn"]}]}]}, "a"),
        ({"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "x"]}, 5),
        ({"Fn::ImportValue": "e"}, "<e>"),
        ({"Fn::Base64": "x"}, "eA=="),
        ({"Fn::If": ["Yes", 1, {"Ref": "Absent"}]}, 1),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ("{{resolve:ssm:/version}}.x", "30.x"),
    ],
)
def test_functions(expression: Any, value: Any) -> None:
    sections = {
        "Mappings": {"M": {"us-east-1": {"x": 5}}},
        "Conditions": {
            "Yes": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]},
            "No": {"Fn::Not": [{"Condition": "Yes"}]},
        },
    }
    assert value_of(expression, **sections) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"Ref": "Nobody"}, "stack S, here.Ref: there is no parameter, pseudo parameter or resource 'Nobody'"),
        ({"Ref": "Absent"}, "Absent is not deployed"),
        ({"Fn::GetAtt": ["A", "Color"]}, "A has no attribute 'Color'"),
        ({"Fn::GetAZs": ""}, "Fn::GetAZs is not supported"),
        ({"Fn::Cidr": []}, "Fn::Cidr is not supported"),
        ({"Fn::Transform": {}}, "Fn::Transform is not supported"),
        ({"Fn::Select": [3, ["a"]]}, "no element 3"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "finds no 'M'"),
        ({"Fn::If": ["Maybe", 1, 2]}, "no condition 'Maybe'"),
        ("{{resolve:secretsmanager:x}}", "is not supported"),
        ({"Fn::Join": ["", [["a"]]]}, "can't be part of a string"),
    ],
)
def test_functions_that_can_not_be_resolved(expression: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        value_of(expression)


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ({"Type": "String", "Default": "d"}, {}, "d"),
        ({"Type": "String", "Default": "d"}, {"P": "g"}, "g"),
        ({"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/version"}, {}, "30"),
        ({"Type": "CommaDelimitedList", "Default": "a, b"}, {}, ["a", "b"]),
        ({"Type": "Number", "Default": 3}, {}, "3"),
    ],
)
def test_parameters(declared: dict[str, Any], given: dict[str, str], value: Any) -> None:
    assert scope(template(Parameters={"P": declared}), **given).values["P"] == value


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({"Type": "String"}, {}, "no default"),
        ({"Type": "String", "AllowedValues": ["a"]}, {"P": "b"}, "is not one of"),
        ({"Type": "String", "AllowedPattern": "[a-z]"}, {"P": "1"}, "does not match"),
        ({"Type": "AWS::EC2::VPC::Id"}, {"P": "x"}, "not supported"),
        ({"Type": "String", "Default": ""}, {"Q": "x"}, "declares no parameter 'Q'"),
    ],
)
def test_parameters_that_are_refused(declared: dict[str, Any], given: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        scope(template(Parameters={"P": declared}), **given)


def test_the_bootstrap_rule_is_checked() -> None:
    """What every CDK template carries: its rule refuses bootstrap stacks that are too old."""
    too_old = {"Fn::Not": [{"Fn::Contains": [["1", "2", "3", "4", "5"], {"Ref": "BootstrapVersion"}]}]}
    sections: dict[str, Any] = {
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/version"}},
        "Rules": {"Check": {"Assertions": [{"Assert": too_old, "AssertDescription": "bootstrap again"}]}},
    }
    scope(template(**sections))
    sections["Rules"]["Check"]["Assertions"][0]["Assert"] = {"Fn::Equals": [{"Ref": "BootstrapVersion"}, "5"]}
    with pytest.raises(TemplateError, match="bootstrap again"):
        scope(template(**sections))


def test_resources_come_after_what_they_refer_to() -> None:
    parsed = template(
        {
            "A": {"Type": "T", "Properties": {"x": {"Fn::Sub": "${B.Arn}"}}},
            "B": {"Type": "T", "DependsOn": ["C"]},
            "C": {"Type": "T", "Properties": {"y": [{"Fn::GetAtt": ["D", "Arn"]}]}},
            "D": {"Type": "T"},
            "Off": {"Type": "T", "Condition": "Never", "Properties": {"x": {"Ref": "A"}}},
        },
        Conditions={"Never": {"Fn::Equals": ["a", "b"]}},
    )
    assert [declared.logical_id for declared in parsed.order(scope(parsed))] == ["D", "C", "B", "A"]


def test_only_the_chosen_branch_counts_for_the_order() -> None:
    chosen = {"Fn::If": ["Yes", "x", {"Ref": "B"}]}
    parsed = template(
        {"A": {"Type": "T", "Properties": {"x": chosen}}, "B": {"Type": "T", "Properties": {"x": {"Ref": "A"}}}},
        Conditions={"Yes": {"Fn::Equals": ["a", "a"]}},
    )
    assert [declared.logical_id for declared in parsed.order(scope(parsed))] == ["A", "B"]


def test_circles_are_refused() -> None:
    parsed = template(
        {
            "A": {"Type": "T", "Properties": {"x": {"Ref": "B"}}},
            "B": {"Type": "T", "Properties": {"x": {"Ref": "A"}}},
        }
    )
    with pytest.raises(TemplateError, match="depend on each other"):
        parsed.order(scope(parsed))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"Resources": {}}, "no resources"),
        ({"Resources": {"A": {"Type": "T"}}, "Transform": "x"}, "section 'Transform'"),
        ({"Resources": {"A": {"Type": "T", "UpdatePolicy": {}}}}, "'UpdatePolicy' is not supported"),
        ({"Resources": {"A": {"Type": "T", "DeletionPolicy": "Snapshot"}}}, "policy 'Snapshot'"),
        ({"Resources": {"A": {}}}, "no Type"),
    ],
)
def test_forms_that_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        Template.parse(document, "S")


@pytest.mark.parametrize(("section", "most"), [("Resources", 500), ("Parameters", 200), ("Outputs", 200)])
def test_a_template_holds_no_more_than_cloudformation_takes(section: str, most: int) -> None:
    def of(count: int) -> dict[str, Any]:
        return {"Resources": {"A": {"Type": "T"}}, section: {f"A{number}": {"Type": "T"} for number in range(count)}}

    assert Template.parse(of(most), "S").document
    with pytest.raises(TemplateError, match=f"Number of {section.lower()}, {most + 1}, is greater than maximum"):
        Template.parse(of(most + 1), "S")
