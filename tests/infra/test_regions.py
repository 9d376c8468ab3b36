"""Which regions the templates can be deployed in."""

from __future__ import annotations

from everloop.infra.container_image import images_by_region
from everloop.infra.regions import deployable_regions, regions_of, why_not, why_not_of
from tests.helpers.declarations import binary_document, declare, with_endpoint


def test_every_region_with_image_and_services_is_one() -> None:
    assert {"us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"} <= set(deployable_regions())
    assert set(deployable_regions()) <= set(images_by_region())
    assert list(deployable_regions()) == sorted(deployable_regions())


def test_each_is_refused_with_its_reason_or_not_at_all() -> None:
    for region in images_by_region():
        assert (why_not(region) is None) == (region in deployable_regions())
    assert why_not("us-isof-south-1") == "region us-isof-south-1: there is no apigatewayv2 there"
    assert why_not("mars-1") == "region mars-1: SageMaker has no sklearn 1.9-0 image there"


def test_a_model_on_an_endpoint_can_be_deployed_where_its_image_is_alone() -> None:
    document = with_endpoint(binary_document())
    on_endpoint, on_lambda = declare(document), declare(binary_document())
    assert (regions_of(on_endpoint), regions_of(on_lambda)) == (("us-east-1",), deployable_regions())
    assert why_not_of(on_lambda, "eu-central-1") is None
    assert why_not_of(on_endpoint, None) is None
    assert why_not_of(on_endpoint, "us-east-1") is None
    assert str(why_not_of(on_endpoint, "eu-central-1")).startswith(
        "models/late_train/model.yaml: serving.endpoint.image is in us-east-1, and SageMaker takes"
    )
    document["serving"]["endpoint"]["image"] = document["serving"]["endpoint"]["image"].replace("us-east-1", "mars-1")
    assert "region mars-1: SageMaker has no" in str(why_not_of(declare(document), None))
