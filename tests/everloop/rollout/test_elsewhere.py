"""What serves the model's files under another name is found, and what is not looked at is said."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.names import ModelNames
from everloop.rollout.attribution import leads_of
from everloop.rollout.elsewhere import (
    MOST_ENDPOINTS,
    MOST_FUNCTIONS,
    MOST_REPORTED,
    Elsewhere,
    Found,
    served_from,
    texts_of_model,
)
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.other_servers import FakeAccount

PLACE = "artifacts/flights/000003"
OF_VERSION = {"EVERLOOP_ARTIFACT_PREFIX": f"{PLACE}/"}
ADDRESS = f"s3://bucket-of-artifacts/{PLACE}/"


def container(**told: Any) -> dict[str, Any]:
    return {"PrimaryContainer": told}


FROM_PREFIX = container(ModelDataSource={"S3DataSource": {"S3Uri": ADDRESS}})


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


def look(account: FakeAccount) -> Found:
    return Elsewhere(lambda service: account, "flights", "bucket-of-artifacts").look()


def test_a_function_made_by_hand_is_found_and_our_own_are_not(account: FakeAccount) -> None:
    account.functions = {
        "everloop-flights-predict": OF_VERSION,
        "everloop-flights-copy": OF_VERSION,
        "mine": {"MODEL": f"{ADDRESS}model.onnx"},
        "everloop-flights_eu-predict": {"EVERLOOP_ARTIFACT_PREFIX": "artifacts/flights_eu/000001/"},
        "other": None,
        "empty": {"EVERLOOP_ARTIFACT_PREFIX": "", "MODEL": "s3://another/artifacts/flights/000003/"},
    }
    found = look(account)
    assert [(one.code, one.about) for one in found.differences] == [
        ("unknown_function", "everloop-flights-copy"),
        ("unknown_function", "mine"),
    ]
    assert f"function mine serves {PLACE}, and no deployment made it" in found.differences[1].sentence
    assert found.not_looked == ()


@pytest.mark.parametrize(
    "model",
    [
        FROM_PREFIX,
        container(ModelDataUrl=f"{ADDRESS}model.tar.gz"),
        container(Environment={"FILES": ADDRESS}),
        {"Containers": [{"Image": "x"}, {"ModelDataUrl": ADDRESS}]},
    ],
)
def test_an_endpoint_made_by_hand_is_found_however_its_model_names_the_files(
    account: FakeAccount, model: dict[str, Any]
) -> None:
    account.endpoints = {"everloop-flights": [model], "everloop-flights-2": [container(ModelDataUrl="s3://x/y"), model]}
    (found,) = look(account).differences
    assert (found.code, found.about) == ("unknown_endpoint", "everloop-flights-2")
    assert "aws sagemaker delete-endpoint --endpoint-name everloop-flights-2" in found.sentence


def test_the_endpoint_of_a_version_is_known_by_the_function_version_before_it() -> None:
    # GIVEN an endpoint that a function version passes on to, and one named alike that none does
    known, left = (f"everloop-flights-v{number}-aaaaaa-bbbbbb" for number in (3, 2))
    function = FakeLambda("everloop-flights-predict")
    door = LambdaAliasTarget(function, function=function.function, alias="live", pause=lambda _: None)
    door.idle()
    door.passing_on(known)
    account = FakeAccount()
    account.endpoints = {key: [container(Environment={"EVERLOOP_ARTEFACT": ADDRESS})] for key in (known, left)}
    account.get_paginator = function.get_paginator  # type: ignore[attr-defined]  # of a fake that has none
    # THEN only the other is reported, with the way to delete it
    (found,) = look(account).differences
    assert (found.code, found.about) == ("unknown_endpoint", left)
    assert f"no rollout needs it; delete it: `aws sagemaker delete-endpoint --endpoint-name {left}`" in found.sentence


def test_an_endpoint_that_serves_nobody_is_none(account: FakeAccount) -> None:
    account.endpoints = {name: [FROM_PREFIX] for name in ("gone", "broken", "coming")}
    account.statuses = {"gone": "Deleting", "broken": "Failed", "coming": "Creating"}
    assert [one.about for one in look(account).differences] == ["coming"]


def test_both_lead_to_the_calls_that_make_them(account: FakeAccount) -> None:
    account.functions, account.endpoints = {"mine": OF_VERSION}, {"hers": [FROM_PREFIX]}
    leads = [leads_of(one, "flights") for one in look(account).differences]
    assert [(lead[0]["subject"], lead[0]["events"][0]) for lead in leads if not isinstance(lead, str)] == [
        ({"endpointName": "hers"}, "UpdateEndpoint"),
        ({"functionName": "mine"}, "CreateFunction20150331"),
    ]


def test_it_stops_at_a_bound_and_says_so(account: FakeAccount) -> None:
    account.functions = {f"f{number:04}": None for number in range(MOST_FUNCTIONS + 1)}
    account.endpoints = {f"e{number}": [FROM_PREFIX] for number in range(MOST_ENDPOINTS + 1)}
    found = look(account)
    assert account.calls.count("list_functions") == MOST_FUNCTIONS / 50
    assert account.calls.count("describe_endpoint") == MOST_ENDPOINTS
    assert len(found.differences) == MOST_REPORTED
    assert "e0" not in {one.about for one in found.differences}
    assert found.not_looked == (
        "endpoints by other names, beyond the newest 50",
        "30 more endpoints that serve the model's files",
        "functions by other names, beyond the first 1,000",
    )


def test_what_may_not_be_listed_or_is_gone_is_said_and_the_rest_found(account: FakeAccount) -> None:
    account.functions, account.endpoints = {"mine": OF_VERSION}, {"gone": [], "hers": [FROM_PREFIX]}
    account.gone = {"gone"}
    found = look(account)
    assert [one.about for one in found.differences] == ["hers", "mine"]
    assert found.not_looked == ('endpoint gone: Could not find endpoint configuration "gone-config".',)
    account.denied = {"list_functions", "describe_model"}
    assert look(account).differences == ()
    assert look(account).not_looked[-1] == "functions by other names: not authorized: list_functions"
    account.denied = set()
    account.endpoints = {"lost": [{"PrimaryContainer": 3}]}
    with pytest.raises(AttributeError):  # a fault is none of these
        look(account)


@pytest.mark.parametrize(
    "text", ["", "é", "artifacts/flights", "x/artifacts/flights/000003/", "s3://b/artifacts/flights/1/"]
)
def test_another_text_names_no_place(text: str) -> None:
    assert served_from([text], ModelNames("flights"), "bucket-of-artifacts") is None


def test_a_model_without_files_says_nothing() -> None:
    assert list(texts_of_model({})) == []
    assert list(texts_of_model({"PrimaryContainer": None, "Containers": []})) == []
