"""InvokeEndpoint: a request goes to a variant by the weights, and is counted there.

Errors are those of the runtime's API description; the metrics those of
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.core.context import CloudContext
from localcloud.services.cloudwatch.seam import MetricName, MetricStore
from localcloud.services.sagemaker.hosting.container import Container, Reply
from localcloud.services.sagemaker.hosting.endpoint import Endpoint
from localcloud.services.sagemaker.hosting.exceptions import HostingRefusedError, InvocationError, NotAnsweredError
from localcloud.services.sagemaker.hosting.fleet import Variant
from localcloud.services.sagemaker.hosting.store import Hosting

NAMESPACE = "AWS/SageMaker"
MOST_BYTES = 6_291_456
TO_THE_CONTAINER = (
    *("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id"),
    "x-amzn-sagemaker-target-variant",
)
"""The caller's headers that the container gets, those of the API; all others stay here."""


class ModelError(InvocationError):
    """The container's own error, handed on.

    Attributes
    ----------
    original_status, original_message, log_stream_arn
        As the API's ``ModelError`` has them.
    """

    def __init__(self, message: str, *, original_status: int, original_message: str, log_stream_arn: str) -> None:
        super().__init__("ModelError", 424, message)
        self.original_status = original_status
        self.original_message = original_message
        self.log_stream_arn = log_stream_arn


@dataclass(frozen=True)
class Invocation:
    """A request to an endpoint; ``headers`` by their names in lower case."""

    endpoint: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Invoked:
    """An answer, and the variant that gave it."""

    reply: Reply
    variant: str


class Runtime:
    """Invokes the endpoints of one local cloud."""

    def __init__(self, context: CloudContext, hosting: Hosting, metrics: MetricStore) -> None:
        self._context = context
        self._hosting = hosting
        self._metrics = metrics

    def invoke(self, asked: Invocation) -> Invoked:
        """Answer a request.

        Raises
        ------
        InvocationError
            When there is no answer, or the container's is not in the 200s.
        """
        begun = time.perf_counter()
        endpoint = self._endpoint(asked)
        _check(asked)
        target = asked.headers.get("x-amzn-sagemaker-target-variant")
        while True:
            with endpoint.fleet.routed(target) as chosen:
                if chosen is None:  # updated in between: the new fleet answers
                    if endpoint.answers:
                        continue
                    raise _not_found(asked.endpoint, self._context.account_id)
                return self._invoked(endpoint, *chosen, asked, begun)

    def _invoked(
        self, endpoint: Endpoint, variant: Variant, container: Container, asked: Invocation, begun: float
    ) -> Invoked:
        headers = {name: value for name, value in asked.headers.items() if name in TO_THE_CONTAINER}
        sent = time.perf_counter()
        reply: Reply | None = None
        try:
            reply = container.invoke(asked.body, headers)
        except NotAnsweredError as error:
            raise self._model_error(endpoint, container, error) from error
        finally:
            self._count(endpoint, variant, reply, model=time.perf_counter() - sent, overhead=sent - begun)
        if not 200 <= reply.status < 300:
            raise self._answered_with_error(endpoint, container, reply)
        return Invoked(reply, variant.name)

    def _endpoint(self, asked: Invocation) -> Endpoint:
        try:
            endpoint = self._hosting.endpoint(asked.endpoint)
        except HostingRefusedError as error:
            raise _not_found(asked.endpoint, self._context.account_id) from error
        if not endpoint.answers:
            raise _not_found(asked.endpoint, self._context.account_id)
        return endpoint

    def _count(
        self, endpoint: Endpoint, variant: Variant, reply: Reply | None, *, model: float, overhead: float
    ) -> None:
        status = reply.status if reply is not None else 0
        values = (
            ("Invocations", 1.0, "None"),
            ("InvocationsPerInstance", 1.0 / max(1, len(variant.containers)), "None"),
            ("Invocation4XXErrors", float(400 <= status < 500), "None"),
            ("Invocation5XXErrors", float(status >= 500), "None"),
            ("InvocationModelErrors", float(not 200 <= status < 300), "None"),
            ("ModelLatency", model * 1e6, "Microseconds"),
            ("OverheadLatency", overhead * 1e6, "Microseconds"),
        )
        dimensions = {"EndpointName": endpoint.name, "VariantName": variant.name}
        now = self._context.clock.now()
        for name, value, unit in values:
            self._metrics.put(MetricName.of(NAMESPACE, name, dimensions), value, at=now, unit=unit)

    def _answered_with_error(self, endpoint: Endpoint, container: Container, reply: Reply) -> ModelError:
        kind = "client" if 400 <= reply.status < 500 else "server"
        text = reply.body.decode("utf-8", errors="replace")
        message = f'Received {kind} error ({reply.status}) from primary with message "{text}". {self._see(endpoint)}'
        return ModelError(
            message,
            original_status=reply.status,
            original_message=text,
            log_stream_arn=self._log_stream_arn(endpoint, container),
        )

    def _model_error(self, endpoint: Endpoint, container: Container, error: NotAnsweredError) -> ModelError:
        text = (
            "Your invocation timed out while waiting for a response from container primary. Review the latency"
            " metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            if error.timed_out
            else f"The container gave no answer: {error}"
        )
        return ModelError(
            f'Received server error (0) from primary with message "{text}". {self._see(endpoint)}',
            original_status=0,
            original_message=text,
            log_stream_arn=self._log_stream_arn(endpoint, container),
        )

    def _see(self, endpoint: Endpoint) -> str:
        group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
        return f"See the log group {group} in account {self._context.account_id} for more information."

    def _log_stream_arn(self, endpoint: Endpoint, container: Container) -> str:
        where = f"arn:aws:logs:{self._context.region}:{self._context.account_id}:log-group"
        return f"{where}:/aws/sagemaker/Endpoints/{endpoint.name}:log-stream:{container.log_stream}"


def _check(asked: Invocation) -> None:
    if len(asked.body) > MOST_BYTES:
        raise InvocationError("RequestEntityTooLarge", 413, f"The body has more than {MOST_BYTES:,} bytes.")
    refused = {
        "x-amzn-sagemaker-target-model": "TargetModel: this is no multi-model endpoint",
        "x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname: the endpoint has one container",
        "x-amzn-sagemaker-inference-component": "InferenceComponentName: the endpoint has no inference components",
        "x-amzn-sagemaker-enable-explanations": "EnableExplanations: the endpoint has no explainer",
        "x-amzn-sagemaker-session-id": "SessionId: the local cloud keeps no sessions of endpoints",
    }
    for header, sentence in refused.items():
        if asked.headers.get(header):
            raise InvocationError("ValidationError", 400, f"{sentence}; leave it out.")


def _not_found(name: str, account: str) -> InvocationError:
    return InvocationError("ValidationError", 400, f"Endpoint {name} of account {account} not found.")
