"""What local clouds leave of their roles' use, merged: by the deployed templates, whatever things are called there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.roles.evidence import Unmatched, merge, used
from tools.roles.statements import RoleStatement, UnknownShapeError, statements_of

ROLE = "arn:aws:iam::123456789012:role/reader-1"
TWO: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake-7/history/model=sold_bread/*"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"},
]


def template(model: str) -> dict[str, Any]:
    lake = {"Fn::ImportValue": "EverloopPlatform:ExportsOutputFnGetAttStorageLake72898626Arn65D2F603"}
    own = {"Fn::Join": ["", [lake, f"/history/model={model}/*"]]}
    written = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": own}, TWO[1]]
    stack = f"EverloopModel-{model.replace('_', '-')}"
    return {
        "Resources": {
            "ReaderRole1": {"Type": "AWS::IAM::Role", "Metadata": {"aws:cdk:path": f"{stack}/Reader/Role/Resource"}},
            "ReaderPolicy1": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"Roles": [{"Ref": "ReaderRole1"}], "PolicyDocument": {"Statement": written}},
            },
        }
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a cloud with one stack, in which its role's two statements were used."""
    resources = {
        "ReaderRole1": {"physical_id": "reader-1", "attributes": {"Arn": ROLE}},
        "ReaderPolicy1": {
            "physical_id": "policy-1",
            "attributes": {},
            "properties": {"Roles": ["reader-1"], "PolicyDocument": {"Statement": TWO}},
        },
    }
    stack = {
        "name": "EverloopModel-sold-bread",
        "request": {"template": json.dumps(template("sold_bread"))},
        "resources": resources,
    }
    folder = tmp_path / "cloud"
    (folder / "stacks").mkdir(parents=True)
    (folder / "stacks" / "one.json").write_text(json.dumps(stack), encoding="utf-8")
    return folder


def use(state: Path, *entries: tuple[str, list[Any]]) -> None:
    def text(statement: Any) -> str:
        return json.dumps(statement, sort_keys=True, separators=(",", ":"))

    allowed = [{"role": ROLE, "action": action, "statements": list(map(text, its))} for action, its in entries]
    (state / "iam-usage.json").write_text(json.dumps({"allowed": allowed, "denied": []}), encoding="utf-8")


def declared(model: str) -> list[RoleStatement]:
    stack = f"EverloopModel-{model.replace('_', '-')}"
    return [one for _, _, one in statements_of(template(model), stack)]


def test_a_use_counts_for_every_model_and_account(state: Path) -> None:
    use(state, ("s3:GetObject", [TWO[0]]), ("s3:ListBucket", [TWO[1]]))
    found: dict[str, dict[str, str]] = {}
    assert merge(found, state.parent) == []
    own, everything = declared("late_train")
    assert own.resources == ("<StorageLake>/history/model=<model>/*",)
    assert used(found, own) == {"s3:GetObject": "alone"}
    assert used(found, everything) == {"s3:ListBucket": "alone"}


def test_what_two_statements_allow_needs_neither(state: Path) -> None:
    use(state, ("s3:GetObject", TWO))
    found: dict[str, dict[str, str]] = {}
    merge(found, state)
    assert [used(found, one) for one in declared("late_train")] == [{"s3:GetObject": "shared"}] * 2
    use(state, ("s3:GetObject", [TWO[0]]))
    merge(found, state)
    assert [used(found, one) for one in declared("late_train")] == [
        {"s3:GetObject": "alone"},
        {"s3:GetObject": "shared"},
    ]


def test_a_statement_of_no_template_is_told(state: Path) -> None:
    changed = {**TWO[0], "Action": "s3:PutObject"}
    use(state, ("s3:PutObject", [changed]))
    assert merge({}, state) == [Unmatched(ROLE, "s3:PutObject")]


def test_a_template_that_denies_is_not_read_as_if_it_allowed() -> None:
    denying = template("late_train")
    denying["Resources"]["ReaderPolicy1"]["Properties"]["PolicyDocument"]["Statement"][0]["Effect"] = "Deny"
    with pytest.raises(UnknownShapeError, match="Reader: a statement that denies"):
        list(statements_of(denying, "EverloopModel-late-train"))
