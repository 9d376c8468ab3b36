"""The container image of the training and evaluation jobs, as the SageMaker SDK knows it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache

from everloop.infra.exceptions import SynthesisError

FRAMEWORK = "sklearn"
VERSION = "1.9-0"


@lru_cache(maxsize=1)
def images_by_region() -> Mapping[str, Mapping[str, str]]:
    """For every region: ``Image`` (the full address), ``Registry`` (its account), ``Repository``.

    Raises
    ------
    SynthesisError
        When the installed SDK does not know the version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the SDK's own docstrings
        from sagemaker.core import common_utils, image_uris  # takes seconds

    # For every address the SDK would read botocore's endpoints anew, a tenth of a second each time.
    common_utils._botocore_resolver = lru_cache(maxsize=1)(common_utils._botocore_resolver)
    versions = image_uris.config_for_framework(FRAMEWORK)["training"]["versions"]
    if VERSION not in versions:
        raise SynthesisError(
            f"infra/container_image.py: this sagemaker-core knows no {FRAMEWORK} image {VERSION}, "
            f"only {', '.join(versions)}; install the version that requirements.txt pins"
        )
    images: dict[str, dict[str, str]] = {}
    for region in sorted(versions[VERSION]["registries"]):
        address = image_uris.retrieve(
            framework=FRAMEWORK,
            region=region,
            version=VERSION,
            py_version="py3",
            instance_type="ml.m5.large",
            image_scope="training",
        )
        host, _, rest = address.partition("/")
        images[region] = {
            "Image": address,
            "Registry": host.split(".")[0],
            "Repository": rest.partition(":")[0],
        }
    return images
