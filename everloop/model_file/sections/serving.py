"""The prediction endpoint."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from everloop.model_file.cost_threshold import number_only
from everloop.model_file.partial import value_of
from everloop.model_file.sections.base import Name, OpenFraction, Section
from everloop.names import PREVIOUS_CHAMPION

IMAGE = r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+(\.[a-z0-9-]+){2,4}/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$"


ISSUER = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
MAX_RATE, MAX_BURST = 10_000, 5_000
"""What API Gateway lets through to all APIs of an account and region: requests a second, and at once."""
TOKEN_WORD = r"^[\x21\x23-\x5b\x5d-\x7e]+$"
"""What a scope may be made of (RFC 6749, 3.3); an audience with a space or a quote would be mistaken for two."""


class Autoscaling(Section):
    """Instances of a variant that follow its requests, between ``instances`` of the endpoint and ``max_instances``.

    ``invocations_per_instance`` is how many requests of one instance in a minute are aimed at; measure what an instance
    takes with `everloop load`. For ``scale_out_seconds`` after instances were added no more are, and for
    ``scale_in_seconds`` after some were taken away no more are.
    """

    max_instances: int = Field(ge=2, le=20)
    invocations_per_instance: float = Field(gt=0, le=1_000_000)
    scale_out_seconds: int = Field(default=300, ge=0, le=3600)
    scale_in_seconds: int = Field(default=300, ge=0, le=3600)


class Serverless(Section):
    """An endpoint without instances for each version: it costs while it answers, and nothing while nobody asks.

    A container has ``memory_mb``, and processor in proportion to it. One version answers ``max_concurrency`` requests
    at once, each in a container that answers one at a time; more are refused. ``usd_per_gb_second`` is what a gigabyte
    of memory costs in your region for each second of answering.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
    """

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144]
    max_concurrency: int = Field(ge=1, le=200)
    usd_per_gb_second: float = Field(gt=0)


class Endpoint(Section):
    """What of SageMaker's serves versions where ``rollout.target`` is ``sagemaker_endpoint`` or ``…_serverless``.

    ``image`` is a container image that runs ``everloop serve``, named by its digest: a tag may come to mean another
    image, and a version would not be what was tested. It runs on ``instances`` of an ``instance_type``, or
    ``serverless``. ``usd_per_hour`` is what one instance costs in your region: instances run, and cost, whether anybody
    asks or not. A rollout runs the candidate on as many of its own.
    """

    image: str = Field(pattern=IMAGE)
    instance_type: str | None = Field(default=None, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    instances: int = Field(default=1, ge=1, le=20)
    usd_per_hour: float | None = Field(default=None, gt=0)
    autoscaling: Autoscaling | None = None
    serverless: Serverless | None = None

    @property
    def most_instances(self) -> int:
        """The most instances that one version has."""
        return self.instances if self.autoscaling is None else self.autoscaling.max_instances


class Peak(Section):
    """The most that callers are expected to ask: requests a second, with so many rows each.

    `everloop load` tries twice as many.
    """

    requests_per_second: float = Field(gt=0, le=1000)
    rows: int = Field(default=1, ge=1)


class Rate(Section):
    """The most requests that are let through to this model: so many a second, and ``burst`` at once.

    A model with a rate has an API of its own, whose stage counts. Without ``burst`` a second's worth may come at
    once. The limits of both are those of an account's APIs together; what is declared above them would never be met.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    """

    requests_per_second: float = Field(gt=0, le=MAX_RATE)
    burst: int | None = Field(default=None, ge=1, le=MAX_BURST)

    @property
    def at_once(self) -> int:
        """How many requests may come at once."""
        return min(MAX_BURST, max(1, math.ceil(self.requests_per_second))) if self.burst is None else self.burst


def _score(value: Any) -> Any:
    """A number, or a probability of each class by its name; names that are numbers are texts in JSON."""
    numbers = value.values() if isinstance(value, dict) else [value]
    if value is not None and not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
        raise ValueError("a number, or a probability of each class, e.g. {on_time: 0.8, late: 0.15, cancelled: 0.05}")
    if not isinstance(value, dict):
        return None if value is None else float(value)
    if not all(0 <= each <= 1 for each in numbers):
        raise ValueError("probabilities, each from 0 to 1")
    return {str(name): float(each) for name, each in value.items()}


# One validator and not a union of types, which would tell one wrong value as a mistake of each type.
Score = Annotated[float | dict[str, float] | None, PlainValidator(_score)]


class Fallback(Section):
    """What answers where the model can't: it has no score, fails, can't be loaded, or is not the one that was judged.

    ``value`` answers the same to everyone: the score ``value``, or, of several classes, the probability of each.
    ``baseline`` answers what the version's baseline learned. ``previous_champion`` is the version that served before:
    while a rollout lasts it also answers what the new one refuses, and the first champion has none. A run of the model
    that takes longer than ``after_ms`` is given up; without it, the function's own time is the limit.
    """

    use: Literal["value", "baseline", "previous_champion"]
    value: Score = None
    after_ms: float | None = Field(default=None, ge=1)


class Jwt(Section):
    """Whose tokens let a caller in, where ``serving.authorization`` is ``jwt``.

    A token is signed by ``issuer`` (RS256, RS384 or RS512), is for one of ``audience``, and has one of ``scopes`` at
    least, where any are named. The issuer publishes its keys below ``/.well-known/openid-configuration``.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
    """

    issuer: str = Field(pattern=ISSUER, max_length=1024)
    audience: list[Annotated[str, Field(pattern=TOKEN_WORD)]] = Field(min_length=1, max_length=50)
    scopes: list[Annotated[str, Field(pattern=TOKEN_WORD, max_length=64)]] = Field(default_factory=list, max_length=10)


class Capture(Section):
    """What the lake gets of each request.

    Of the features in ``mask`` null is kept in place of values, so nothing that reads captured rows may need them: the
    monitor does not watch them for drift, and a model is trained on imported history alone. ``share`` is how many of
    the rows are kept at all, chosen by a hash of their ids.
    """

    mask: list[Name] = Field(default_factory=list)
    share: float = Field(default=1.0, gt=0, le=1)


class Serving(Section):
    """The prediction endpoint.

    A row is answered 1 from a score of ``threshold`` on. ``threshold: from_costs`` is the number that follows from the
    prices of ``problem.value``; it stands in the contract and in all records as a number.

    ``concurrency`` is how many requests are answered at once, of all versions together: so many are kept free for this
    model, and it takes no more from the others. ``rate`` is how many requests a second are let through to it. ``api``
    is the kind of API that takes them: ``rest`` gives the model a REST API of its own, whose own refusals say when to
    come back (``Retry-After``), which an HTTP API's can't.
    """

    memory_mb: int = Field(default=1024, ge=128, le=10240)
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    threshold: Annotated[OpenFraction, BeforeValidator(number_only)] = 0.5
    max_rows: int = Field(default=500, ge=1, le=5000)
    concurrency: int | None = Field(default=None, ge=1, le=10_000)
    api: Literal["http", "rest"] = "http"
    rate: Rate | None = None
    authorization: Literal["iam", "jwt", "none"] = "iam"
    jwt: Jwt | None = None
    endpoint: Endpoint | None = None
    fallback: Fallback | None = None
    peak: Peak | None = None
    capture: Capture | None = None

    @property
    def stands_by(self) -> bool:
        """Whether the champion before a version answers where that one can't."""
        return self.fallback is not None and value_of(self.fallback, "use") == PREVIOUS_CHAMPION
