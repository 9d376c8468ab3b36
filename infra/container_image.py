"""The container image of the training and evaluation jobs, as the SageMaker SDK knows it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from botocore.loaders import create_loader

from everloop.infra.exceptions import SynthesisError

FRAMEWORK = "sklearn"
VERSION = "1.9-0"
TAG = f"{VERSION}-cpu-py3"

# The SDK is read, not imported: it would load pandas and a thousand models of its own, a third of a synthesis.
SDK = "sagemaker-core"
KNOWN_IMAGES = "sagemaker/core/image_uri_config"


@lru_cache(maxsize=1)
def images_by_region() -> Mapping[str, Mapping[str, str]]:
    """For every region: ``Image`` (the full address), ``Registry`` (its account), ``Repository``.

    Raises
    ------
    SynthesisError
        When the installed SDK does not know the version.
    """
    file = Path(str(distribution(SDK).locate_file(f"{KNOWN_IMAGES}/{FRAMEWORK}.json")))
    if not file.is_file():
        raise SynthesisError(f"infra/container_image.py: {file} does not exist; {_REMEDY}")
    versions = json.loads(file.read_text(encoding="utf-8"))["training"]["versions"]
    if VERSION not in versions:
        raise SynthesisError(
            f"infra/container_image.py: the installed sagemaker-core has no {FRAMEWORK} image {VERSION}, only"
            f" {', '.join(versions)}; {_REMEDY}"
        )
    known = versions[VERSION]
    partitions = create_loader().load_data("partitions")["partitions"]
    return {
        region: {
            "Image": f"{account}.dkr.ecr.{region}.{_domain(region, partitions)}/{known['repository']}:{TAG}",
            "Registry": account,
            "Repository": known["repository"],
        }
        for region, account in sorted(known["registries"].items())
    }


_REMEDY = "install the version that requirements.txt pins"


def _domain(region: str, partitions: list[dict[str, Any]]) -> str:
    """What the names of AWS's hosts in a region end with."""
    own = next((p for p in partitions if region in p["regions"]), None)
    like = next((p for p in partitions if re.match(p["regionRegex"], region)), None)
    partition = own or like
    if partition is None:
        raise SynthesisError(f"infra/container_image.py: botocore has no partition for {region}; {_REMEDY}")
    return str(partition["outputs"]["dnsSuffix"])
