"""The image's addresses are read from the SDK's data: they are those that the SDK itself gives."""

from __future__ import annotations

import warnings

import pytest

from everloop.infra import container_image
from everloop.infra.container_image import FRAMEWORK, VERSION, images_by_region
from everloop.infra.exceptions import SynthesisError


def test_every_region_has_the_address_that_the_sdk_gives() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the SDK's own docstrings: Python 3.12 has another kind for them
        from sagemaker.core import image_uris
    known = image_uris.config_for_framework(FRAMEWORK)["training"]["versions"][VERSION]["registries"]
    found = images_by_region()
    assert list(found) == sorted(known)
    for region, image in found.items():
        asked = {"framework": FRAMEWORK, "region": region, "version": VERSION, "py_version": "py3"}
        assert image["Image"] == image_uris.retrieve(**asked, instance_type="ml.m5.large", image_scope="training")
        assert image["Image"] == f"{image['Registry']}.dkr.ecr.{image['Image'].split('.ecr.')[1]}"
        assert f"/{image['Repository']}:" in image["Image"]


def test_a_version_that_the_sdk_does_not_know_is_told_with_those_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_image, "VERSION", "0.1-0")
    with pytest.raises(SynthesisError, match=r"has no sklearn image 0\.1-0, only 0\.20\.0, .*1\.9-0"):
        images_by_region.__wrapped__()


def test_an_sdk_without_the_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_image, "FRAMEWORK", "of_nobody")
    with pytest.raises(SynthesisError, match=r"of_nobody\.json does not exist; install the version"):
        images_by_region.__wrapped__()
