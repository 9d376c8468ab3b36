"""The functions every model has: what each is for, how large, and which variables it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from everloop.dataset.snapshot_size import MEMORY_MB
from everloop.model_file import ModelDeclaration
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
    managed_layer : bool
        Whether it has AWS's layer with pandas, pyarrow and awswrangler.
    """

    purpose: str
    memory_mb: int
    timeout_seconds: int
    variables: tuple[str, ...]
    asynchronous: bool = False
    managed_layer: bool = False


_QUERIES = ("LAKE_BUCKET", "ATHENA_WORKGROUP", "GLUE_DATABASE")

PIPELINE_FUNCTIONS: Mapping[str, FunctionFacts] = {
    "run": FunctionFacts("Opens and closes training runs", 512, 60, ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET")),
    "snapshot": FunctionFacts(
        "Freezes the training data and holds it against its contract",
        MEMORY_MB,
        900,
        ("TABLE", *_QUERIES, "ARTIFACT_BUCKET"),
        managed_layer=True,
    ),
    "gate": FunctionFacts("Decides whether a candidate passes", 512, 60, ()),
    # It holds a refit and its evaluated sibling at once, each as large as a model may be.
    "register": FunctionFacts(
        "Registers a candidate's artifacts", 2048, 120, ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET")
    ),
    "rollout": FunctionFacts(
        "Publishes a version, shifts traffic to it, takes it back, and calibrates what serves",
        512,
        180,
        ("TABLE", "REGISTRY_WRITER", "ARTIFACT_BUCKET", "EVENT_BUS", "PREDICT_FUNCTION"),
        # By the pipeline it is not, and by what the monitor learned it is.
        asynchronous=True,
    ),
}
"""What the pipeline invokes. Its steps wait by these limits."""


PROBE_FACTS = FunctionFacts(
    "Prepares fresh probes and records what they found",
    MEMORY_MB,
    900,
    ("TABLE", *_QUERIES, "ARTIFACT_BUCKET"),
    managed_layer=True,
)
"""Of a model that declares ``retraining.investment``; it reads as many rows as the snapshot function."""


def functions_of(declaration: ModelDeclaration) -> Mapping[str, FunctionFacts]:
    """The facts by function name."""
    serving = declaration.serving
    return {
        "predict": FunctionFacts(
            "Answers predictions with the version its own version was published for",
            serving.memory_mb,
            serving.timeout_seconds,
            ("ARTIFACT_BUCKET", "PREDICTIONS_STREAM"),
        ),
        "labels": FunctionFacts("Takes in labels", 512, 29, ("LABELS_STREAM",)),
        "registry": FunctionFacts("Writes the model's registry, which nobody else may", 512, 45, ("TABLE",)),
        **PIPELINE_FUNCTIONS,
        "monitor": FunctionFacts(
            "Watches drift and quality, and asks for retraining",
            2048,
            600,
            ("TABLE", *_QUERIES, "ARTIFACT_BUCKET", "EVENT_BUS", "PREDICT_FUNCTION"),
            asynchronous=True,
        ),
        "starter": FunctionFacts(
            "Starts the pipeline for a retraining request, and probes that are due",
            256,
            60,
            ("TABLE", "STATE_MACHINE_ARN", "PROBE_MACHINE_ARN"),
            asynchronous=True,
        ),
        **({PROBE_FUNCTION: PROBE_FACTS} if declaration.retraining.investment is not None else {}),
    }
