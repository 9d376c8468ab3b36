"""The prediction endpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from everloop.model_file.cost_threshold import number_only
from everloop.model_file.sections.base import OpenFraction, Section

IMAGE = r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+(\.[a-z0-9-]+){2,4}/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$"


class Endpoint(Section):
    """The SageMaker endpoint that serves versions where ``rollout.target`` is ``sagemaker_endpoint``.

    ``image`` is a container image that runs ``everloop serve``, named by its digest: a tag may come to mean another
    image, and a version would not be what was tested. ``usd_per_hour`` is what one instance costs in your region:
    instances run, and cost, whether anybody asks or not. A rollout runs the candidate on as many of its own.
    """

    image: str = Field(pattern=IMAGE)
    instance_type: str = Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    instances: int = Field(default=1, ge=1, le=20)
    usd_per_hour: float = Field(gt=0)


class Peak(Section):
    """The most that callers are expected to ask: requests a second, with so many rows each.

    `everloop load` tries twice as many.
    """

    requests_per_second: float = Field(gt=0, le=1000)
    rows: int = Field(default=1, ge=1)


class Serving(Section):
    """The prediction endpoint.

    A row is answered 1 from a score of ``threshold`` on. ``threshold: from_costs`` is the number that follows from the
    prices of ``problem.value``; it stands in the contract and in all records as a number.
    """

    memory_mb: int = Field(default=1024, ge=128, le=10240)
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    threshold: Annotated[OpenFraction, BeforeValidator(number_only)] = 0.5
    max_rows: int = Field(default=500, ge=1, le=5000)
    authorization: Literal["iam", "none"] = "iam"
    endpoint: Endpoint | None = None
    peak: Peak | None = None
