"""A declared endpoint: it and its target go together, its image is fixed, and what it costs is named at the door."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from everloop.model_file import worst_case
from everloop.rollout.declared_place import declared_place
from everloop.rollout.variant_scaling import Scaling
from everloop.serving.declared import declared_features
from tests.helpers.declarations import ENDPOINT, SERVERLESS, binary_document, declare, serverless, with_endpoint


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        declare(document)
    return str(caught.value)


def test_its_target_needs_it_and_another_may_be_left_for() -> None:
    document = with_endpoint(binary_document())
    document["rollout"]["target"] = "lambda_alias"
    assert declare(document).serving.endpoint is not None
    document["rollout"]["target"] = "sagemaker_endpoint"
    del document["serving"]["endpoint"]
    assert "a serving.endpoint beside it, with image, instance_type and usd_per_hour" in refusal(document)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop-serve:latest"},
        {"image": "everloop-serve@sha256:" + 64 * "a"},
        {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop-serve@sha256:abc"},
        {"image": ""},
        {"instance_type": "m5.large"},
        {"instance_type": "ml.m5"},
        {"instances": 0},
        {"usd_per_hour": 0},
        {"usd_per_hour": float("nan")},
        {"instance_type": None},
        {"usd_per_hour": None},
        {"serverless": {"memory_mb": 2048}},
        {"autoscaling": {"max_instances": 3}},
        {"autoscaling": {"max_instances": 1, "invocations_per_instance": 600}},
        {"autoscaling": {"max_instances": 3, "invocations_per_instance": 0}},
        {"autoscaling": {"max_instances": 3, "invocations_per_instance": float("inf")}},
        {"autoscaling": {"max_instances": 3, "invocations_per_instance": 600, "scale_in_seconds": -1}},
    ],
)
def test_what_can_not_be_run_is_refused(change: dict[str, Any]) -> None:
    document = with_endpoint(binary_document())
    document["serving"]["endpoint"] |= change
    assert f"serving.endpoint.{next(iter(change))}" in refusal(document)


@pytest.mark.parametrize(
    "change",
    [
        {"memory_mb": 2000},
        {"memory_mb": 7168},
        {"max_concurrency": 0},
        {"max_concurrency": 201},
        {"usd_per_gb_second": 0},
    ],
)
def test_what_sagemaker_does_not_run_without_instances_is_refused(change: dict[str, Any]) -> None:
    document = serverless(binary_document())
    document["serving"]["endpoint"]["serverless"] |= change
    assert f"serving.endpoint.serverless.{next(iter(change))}" in refusal(document)


@pytest.mark.parametrize(
    "change",
    [
        {"instance_type": "ml.m5.large"},
        {"usd_per_hour": 0.1},
        {"instances": 2},
        {"autoscaling": {"max_instances": 3, "invocations_per_instance": 600}},
    ],
)
def test_an_image_runs_on_instances_or_without_any(change: dict[str, Any]) -> None:
    document = serverless(binary_document())
    assert declare(document).serving.endpoint is not None
    document["serving"]["endpoint"] |= change
    (key,) = change
    told = refusal(document)
    assert f"serving.endpoint.{key}" in told
    assert f"no {key!r} beside 'serverless'" in told


def test_each_target_has_its_own_way_to_run() -> None:
    document = serverless(binary_document())
    document["rollout"]["target"] = "sagemaker_endpoint"
    assert "'sagemaker_serverless', or a serving.endpoint with instance_type and usd_per_hour" in refusal(document)
    document = with_endpoint(binary_document())
    document["rollout"]["target"] = "sagemaker_serverless"
    assert "'sagemaker_endpoint', or a serving.endpoint with serverless: {memory_mb" in refusal(document)
    del document["serving"]["endpoint"]
    assert "a serving.endpoint beside it, with image, serverless: {memory_mb" in refusal(document)
    document = serverless(binary_document())
    document["rollout"]["target"] = "lambda_alias"
    assert declare(document).serving.endpoint is not None, "it stays until a rollout has left it"


def test_without_instances_no_budget_is_taken_for_an_endpoint() -> None:
    declaration = declare(serverless(binary_document()))
    assert worst_case.endpoint_usd(declaration) == 0
    place = declared_place(declaration, role_arn="arn:aws:iam::1:role/r", artifact_bucket="artifacts")
    assert place.endpoint is None
    assert place.serverless is not None
    assert (place.serverless.name, place.serverless.memory_mb, place.serverless.max_concurrency) == (
        "everloop-late-train",
        SERVERLESS["memory_mb"],
        SERVERLESS["max_concurrency"],
    )


def test_what_it_costs_is_in_the_months_budget() -> None:
    document = with_endpoint(binary_document())
    document["serving"]["endpoint"] |= {"instances": 2}
    month = 31 * 24 * 2 * 0.115
    assert month < worst_case.endpoint_usd(declare(document)) <= 2 * month
    document["cost"]["monthly_budget_usd"] = 100
    assert "and the endpoint's instances, which run all the time" in refusal(document)
    assert worst_case.endpoint_usd(declare(binary_document())) == 0


def test_a_month_of_changes_costs_as_well() -> None:
    # GIVEN a model that is calibrated with every window, and one that is not
    document = with_endpoint(binary_document())
    without = {**document, "recalibration": "none"}
    # THEN each of 31 calibrations takes both lists of variants for 10 minutes, twice
    more = worst_case.endpoint_usd(declare(document)) - worst_case.endpoint_usd(declare(without))
    assert more == pytest.approx(31 * 4 * 10 / 60 * 0.115)


def test_instances_may_follow_requests_up_to_a_limit_that_the_budget_knows() -> None:
    document = with_endpoint(binary_document())
    still = worst_case.endpoint_usd(declare(document))
    document["serving"]["endpoint"] |= {"autoscaling": {"max_instances": 3, "invocations_per_instance": 600}}
    document["cost"]["monthly_budget_usd"] = 10_000
    declaration = declare(document)
    assert worst_case.endpoint_usd(declaration) == pytest.approx(3 * still)
    place = declared_place(declaration, role_arn="arn:aws:iam::1:role/r", artifact_bucket="artifacts").endpoint
    assert place is not None
    assert place.scaling == Scaling(most=3, invocations_per_instance=600.0)
    document["serving"]["endpoint"]["instances"] = 3
    assert "more than serving.endpoint.instances, the fewest, which is 3" in refusal(document)


def test_its_place_has_all_that_containers_must_know() -> None:
    declaration = declare(with_endpoint(binary_document()))
    place = declared_place(declaration, role_arn="arn:aws:iam::1:role/r", artifact_bucket="artifacts")
    endpoint = place.endpoint
    assert endpoint is not None
    assert (endpoint.name, endpoint.image) == ("everloop-late-train", ENDPOINT["image"])
    names = [field.name for field in declared_features(json.loads(endpoint.declared))]
    assert names == [feature.name for feature in declaration.data.features]
    assert declared_place(declare(binary_document()), role_arn="", artifact_bucket="").endpoint is None
