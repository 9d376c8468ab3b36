"""A member of an answer is found under every name that moto knows, and the names are worked out once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from moto.core.model import ListShape, MapShape, StructureShape
from moto.core.serialize import (
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
    get_serializer_class,
)
from moto.core.utils import get_service_model

from localcloud.core import members, patching

OPERATIONS = {
    "stepfunctions": ("GetExecutionHistory", "json"),
    "sagemaker": ("DescribeTrainingJob", "json"),
    "lambda": ("GetFunction", "rest-json"),
    "iam": ("GetRole", "query"),
    "sqs": ("ReceiveMessage", "query-json"),
    "s3": ("ListObjectsV2", "rest-xml"),
}


def serializer(service: str) -> Any:
    operation, protocol = OPERATIONS[service]
    model = get_service_model(service).operation_model(operation)
    return get_serializer_class(service, protocol)(operation_model=model, value_picker=XFormedAttributePicker())


def structures(shape: Any, seen: frozenset[str] = frozenset()) -> Iterator[Any]:
    if shape.name in seen:
        return
    seen |= {shape.name}
    if isinstance(shape, StructureShape):
        yield shape
        for member in shape.members.values():
            member.parent = shape  # type: ignore[attr-defined]  # moto sets it too
            yield from structures(member, seen)
    elif isinstance(shape, ListShape):
        yield from structures(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from structures(shape.value, seen)


@pytest.fixture
def plain() -> Iterator[Any]:
    """As moto does it."""
    before = ResponseSerializer.get_value
    members.remember_names()
    yield before
    patching.restore()


@pytest.mark.parametrize("service", OPERATIONS)
def test_whatever_moto_finds_is_found(service: str, plain: Any) -> None:
    asking = serializer(service)
    looked = 0
    for structure in structures(asking.operation_model.output_shape):
        for key, member in structure.members.items():
            context = AttributePickerContext(obj={}, key=key, shape=member)
            names = list(XFormedAttributePicker().get_possible_keys(context))
            held: list[dict[str, Any]] = [{}, {"another": 1}, dict(zip(names, range(9), strict=False))]
            held += [{name: value} for name in names for value in (name, None, 0, "")]
            held += [{first: 1, last: 2} for first, last in pairwise(names)]
            for value in held:
                assert asking.get_value(value, key, member) == plain(asking, value, key, member), (key, value)
                looked += 1
    assert looked > 20


def test_other_values_are_read_as_moto_reads_them(plain: Any) -> None:
    asking = serializer("iam")
    role = asking.operation_model.output_shape.members["Role"]

    class Role:
        """Of its class' name, without it."""

        name = "one"
        path = "/"

    class Aliased(dict[str, str]):
        class Meta:
            serialization_aliases: ClassVar = {"RoleName": "called"}

    for value in (Role(), Aliased(called="two"), None, "text", ["a"]):
        for key, member in role.members.items():
            member.parent = role
            assert asking.get_value(value, key, member) == plain(asking, value, key, member)
    assert asking.get_value(Role(), "RoleName", role.members["RoleName"]) == "one"
    assert asking.get_value(Aliased(called="two"), "RoleName", role.members["RoleName"]) == "two"


def test_values_that_a_service_has_changed_on_their_way_still_are(plain: Any) -> None:
    model: Any = get_service_model("iam").operation_model("GetRole")
    picker = XFormedAttributePicker(response_transformers={"RoleName": str.upper})
    asking = get_serializer_class("iam", "query")(operation_model=model, value_picker=picker)
    member = model.output_shape.members["Role"].members["RoleName"]
    member.parent = model.output_shape.members["Role"]
    assert asking.get_value({"RoleName": "one"}, "RoleName", member) == "ONE"


def test_names_are_worked_out_once(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asking, worked_out = serializer("stepfunctions"), []
    possible = XFormedAttributePicker.get_possible_keys

    def noting(self: XFormedAttributePicker, context: AttributePickerContext) -> Any:
        worked_out.append(context.key)
        return possible(self, context)

    monkeypatch.setattr(XFormedAttributePicker, "get_possible_keys", noting)
    members._names.cache_clear()
    event = {"timestamp": 1.0, "type": "PassStateEntered", "id": 1, "stateEnteredEventDetails": {"name": "One"}}
    answers = {asking.serialize({"events": [event] * count})["body"] for count in (1, 1)}
    assert len(answers) == 1
    first = len(worked_out)
    assert first > 30
    answer = asking.serialize({"events": [event] * 100})["body"]
    assert answer.count("PassStateEntered") == 100
    assert len(worked_out) == first
