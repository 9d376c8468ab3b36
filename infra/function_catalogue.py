"""The functions every model has: what each is for, how large, and which variables it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from everloop.model_file.schema import ModelDeclaration
from everloop.names import PROBE_FUNCTION


@dataclass(frozen=True)
class FunctionFacts:
    """One function.

    Attributes
    ----------
    purpose : str
        Shown in the console.
    memory_mb, timeout_seconds : int
        ``timeout_seconds`` is what its caller waits for as well.
    variables : tuple of str
        The environment variables it reads, without the prefix ``EVERLOOP_``.
    asynchronous : bool
        Whether it is started by an event: then a failed event is kept in the dead-letter queue.
    requests : bool
        Whether it answers HTTP requests: then it is traced where a caller asks for that.
    concurrency : int or None
        The executions at once that are reserved for it; None for none.
    """

    purpose: str
    memory_mb: int
    timeout_seconds: int
    variables: tuple[str, ...]
    asynchronous: bool = False
    requests: bool = False
    concurrency: int | None = None


_QUERIES = ("LAKE_BUCKET", "ATHENA_WORKGROUP", "GLUE_DATABASE")

PIPELINE_FUNCTIONS: Mapping[str, FunctionFacts] = {
    "run": FunctionFacts("Opens and closes training runs", 512, 60, ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET")),
    "snapshot": FunctionFacts(
        "Freezes the training data and checks it against its contract",
        512,
        900,
        ("TABLE", *_QUERIES, "ARTIFACT_BUCKET"),
    ),
    "gate": FunctionFacts("Decides whether a candidate passes", 512, 60, ()),
    # It holds a refit and its evaluated model at once, each as large as a model may be.
    "register": FunctionFacts(
        "Registers a candidate's artifacts", 2048, 120, ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET", "SIGNING_KEY")
    ),
    "rollout": FunctionFacts(
        "Publishes versions, shifts, rolls back and reconciles traffic, and calibrates the serving version",
        512,
        180,
        ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET", "EVENT_BUS", "SIGNING_KEY", "AUDIT_BUCKET"),
        # By the pipeline it is not, and by what the monitor learned, and to reconcile, it is.
        asynchronous=True,
    ),
}
"""What the pipeline invokes. Its steps wait by these limits."""


def _of_an_endpoint(rollout: FunctionFacts) -> FunctionFacts:
    """What the rollout function of a model on an endpoint is: it may wait for a calibration's variant to come up.

    The pipeline still waits by the shorter limit: what takes minutes is refused there, and tried again.
    """
    return replace(rollout, timeout_seconds=900, variables=(*rollout.variables, "ENDPOINT_ROLE_ARN"))


PROBE_FACTS = FunctionFacts(
    "Prepares fresh probes and records their results",
    512,
    900,
    ("TABLE", *_QUERIES, "ARTIFACT_BUCKET"),
)
"""Of a model that declares ``retraining.investment``."""


def functions_of(declaration: ModelDeclaration) -> Mapping[str, FunctionFacts]:
    """The facts by function name."""
    serving, rollout = declaration.serving, PIPELINE_FUNCTIONS["rollout"]
    if serving.endpoint is not None:
        rollout = _of_an_endpoint(rollout)
    if declaration.rollout.reads_the_lake:
        rollout = replace(rollout, variables=(*rollout.variables, *_QUERIES))
    endpoint = ("ENDPOINT_ROLE_ARN",) if serving.endpoint is not None else ()
    return {
        "predict": FunctionFacts(
            "Answers prediction requests",
            serving.memory_mb,
            serving.timeout_seconds,
            ("ARTIFACT_BUCKET", "PREDICTIONS_STREAM"),
            requests=True,
            concurrency=serving.concurrency,
        ),
        "labels": FunctionFacts("Accepts labels", 512, 29, ("LABELS_STREAM",), requests=True),
        "registry": FunctionFacts(
            "Writes the model's registry; no other function may", 512, 45, ("TABLE", "AUDIT_BUCKET")
        ),
        **PIPELINE_FUNCTIONS,
        "rollout": rollout,
        "monitor": FunctionFacts(
            "Monitors drift and quality, and requests retraining",
            2048,
            600,
            ("TABLE", *_QUERIES, "ARTIFACT_BUCKET", "EVENT_BUS", *endpoint),
            asynchronous=True,
        ),
        "starter": FunctionFacts(
            "Starts requested retrainings, and probes that are due",
            256,
            60,
            ("TABLE", "STATE_MACHINE_ARN", "PROBE_MACHINE_ARN"),
            asynchronous=True,
        ),
        **({PROBE_FUNCTION: PROBE_FACTS} if declaration.retraining.investment is not None else {}),
    }
