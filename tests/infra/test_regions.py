"""Which regions the templates can be deployed in."""

from __future__ import annotations

from everloop.infra.container_image import images_by_region
from everloop.infra.regions import deployable_regions, why_not


def test_every_region_with_image_and_services_is_one() -> None:
    assert {"us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"} <= set(deployable_regions())
    assert set(deployable_regions()) <= set(images_by_region())
    assert list(deployable_regions()) == sorted(deployable_regions())


def test_each_is_refused_with_its_reason_or_not_at_all() -> None:
    for region in images_by_region():
        assert (why_not(region) is None) == (region in deployable_regions())
    assert why_not("us-isof-south-1") == "region us-isof-south-1: there is no apigatewayv2 there"
    assert why_not("mars-1") == "region mars-1: SageMaker has no sklearn 1.9-0 image there"
