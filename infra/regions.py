"""The regions in which the templates can be deployed: those that have every service and image they name."""

from __future__ import annotations

from functools import lru_cache

from botocore.session import Session

from everloop.infra.container_image import FRAMEWORK, VERSION, images_by_region
from everloop.model_file.schema import ModelDeclaration

SERVICES = (
    "apigatewayv2",
    "athena",
    "cloudwatch",
    "dynamodb",
    "events",
    "firehose",
    "glue",
    "kms",
    "lambda",
    "logs",
    "s3",
    "sagemaker",
    "scheduler",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
)
"""What the templates name and the functions call, as botocore names them."""


@lru_cache(maxsize=1)
def deployable_regions() -> tuple[str, ...]:
    """All of them, sorted, of every partition.

    By the endpoints that the installed botocore knows and the images that the installed SageMaker SDK knows.
    """
    return tuple(region for region in images_by_region() if not _lacking(region))


def why_not(region: str) -> str | None:
    """Why nothing can be deployed in a region, None where it can be."""
    if region not in images_by_region():
        return f"region {region}: SageMaker has no {FRAMEWORK} {VERSION} image there"
    lacking = _lacking(region)
    return f"region {region}: there is no {', '.join(lacking)} there" if lacking else None


def regions_of(declaration: ModelDeclaration) -> tuple[str, ...]:
    """Those in which a model can be deployed: one that has an endpoint only where its image is.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
    """
    endpoint = declaration.serving.endpoint
    return deployable_regions() if endpoint is None else (image_region(endpoint.image),)


def why_not_of(declaration: ModelDeclaration, region: str | None) -> str | None:
    """Why a model can't be deployed in a region, or in any where none is named; None where it can be."""
    endpoint = declaration.serving.endpoint
    if endpoint is None:
        return None
    own, place = image_region(endpoint.image), f"models/{declaration.model}/model.yaml: serving.endpoint.image"
    if region not in (None, own):
        return (
            f"{place} is in {own}, and SageMaker takes the image of an endpoint in {region} from {region} alone: push"
            f" it to a repository there, or set AWS_REGION={own}"
        )
    refused = why_not(own)
    return f"{place} is in a region in which nothing can be deployed; {refused}" if refused else None


def image_region(image: str) -> str:
    """The region in the address of an image: ``ACCOUNT.dkr.ecr.REGION.…``."""
    return image.split(".")[3]


def _lacking(region: str) -> list[str]:
    return [service for service in SERVICES if region not in _regions_of(service)]


@lru_cache(maxsize=1)
def _session() -> Session:
    """One for all services: each reads every partition's endpoints anew."""
    return Session()


@lru_cache(maxsize=len(SERVICES))
def _regions_of(service: str) -> frozenset[str]:
    session = _session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition_name=partition)
    )
