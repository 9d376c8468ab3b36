"""What becomes of each property: every type's table against CloudFormation's own specification."""

from __future__ import annotations

import pytest

from localcloud.cloudformation.properties import table_of
from localcloud.services.registry import handlers
from support.specification import SPECIFIED, property_paths, read_only


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_every_path_of_a_table_is_one_of_the_specification(resource_type: str) -> None:
    table = handlers()[resource_type].table
    paths = property_paths(resource_type)
    named = {path.removesuffix(".*") for path in (*table.acts, *table.kept, *table.refused)}

    assert named <= paths.keys()


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_every_property_has_one_fate_with_a_reason(resource_type: str) -> None:
    """A property with something nested in it acts through what is nested, or is data as a whole."""
    table = handlers()[resource_type].table
    paths = property_paths(resource_type)
    accepted = {*table.acts, *table.kept}
    through = {path for path in accepted if any(other.startswith(f"{path}.") for other in accepted)}
    half = {path for path in table.acts if paths.get(path) and path not in through and not path.endswith(".*")}

    assert half == set()
    assert all(len(reason) > 10 for reason in (*table.kept.values(), *table.refused.values()))


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_whatever_a_table_does_not_name_is_refused(resource_type: str) -> None:
    table = handlers()[resource_type].table
    for path, is_nested in property_paths(resource_type).items():
        above = [path.rsplit(".", up)[0] for up in range(path.count(".") + 1)]
        is_free = any(f"{name}.*" in table.acts for name in above)
        is_accepted = path in table.acts or is_free or any(name in table.kept for name in above)
        value: object = {} if is_nested else "x"
        for name in reversed(path.split(".")):
            value = {name: value}
        assert isinstance(value, dict)
        problems = list(table.problems(value))

        assert (not problems) == is_accepted, path
        assert all(path.startswith(problem.path) for problem in problems)


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_attributes_are_those_that_templates_may_ask_for(resource_type: str) -> None:
    # Ref and the names that a template gives are attributes of some types, though their schemas do not list them.
    also = {"AWS::Events::EventBus": {"Name"}, "AWS::SNS::Topic": {"TopicName"}, "AWS::SQS::Queue": {"QueueName"}}
    also |= {"AWS::S3::Bucket": {"Arn", "DomainName", "DualStackDomainName", "RegionalDomainName"}}
    also |= {"AWS::SSM::Parameter": {"Type", "Value"}, "AWS::IAM::ManagedPolicy": {"PolicyArn", "PolicyId"}}
    also |= {f"AWS::SageMaker::{kind}": {f"{kind}Name"} for kind in ("Model", "EndpointConfig", "Endpoint")}

    assert handlers()[resource_type].attributes <= read_only(resource_type) | also.get(resource_type, set())


def test_lists_are_no_level_of_their_own_and_the_place_says_which_element() -> None:
    table = table_of("Rules(Id)", refused={"Rules.Tags": "write no tags"})
    problems = table.problems({"Rules": [{"Id": "a"}, {"Id": "b", "Tags": [], "Color": "red"}]})

    assert [str(problem) for problem in problems] == [
        "property Rules[1].Tags is not supported: write no tags",
        "property Rules[1].Color is not supported: leave it out",
    ]


def test_what_is_data_may_hold_anything() -> None:
    table = table_of("Environment(Variables(*)) Document(*)", kept={"Tags": "only kept, for a test"})
    given = {"Environment": {"Variables": {"A": "1"}}, "Document": {"Statement": [{"x": 1}]}, "Tags": [{"Key": "k"}]}

    assert list(table.problems(given)) == []
    assert table.names == {"Environment", "Document", "Tags"}


@pytest.mark.parametrize("text", ["A(B", "A)", "A(B) C-D"])
def test_a_table_that_can_not_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="parenthesis"):
        table_of(text)


def test_a_property_has_one_fate() -> None:
    with pytest.raises(ValueError, match="A is in two parts"):
        table_of("A", kept={"A": "no"})
