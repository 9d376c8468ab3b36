"""What comes of a request: what goes back to the caller, and what is logged and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from everloop.emf import MetricValue
from everloop.names import REFUSED_BY_CONTRACT
from everloop.serving.capture import RecordFailure
from everloop.serving.exceptions import ArtifactRefusedError, NoScoreError
from everloop.serving.exchange import Reply, whole
from everloop.serving.rows import Rows


@dataclass(frozen=True)
class FellBack:
    """The model could not answer, and its fallback was asked.

    Attributes
    ----------
    use : str
        Which fallback: as declared.
    reason : str
        ``no_score``, ``artifact_refused``, ``too_slow``, ``not_loaded``, ``model_failed`` or ``refused``.
    detail : str
        What went wrong, for the log.
    failed : str
        Why the fallback had no answer either; empty where it had.
    """

    use: str
    reason: str
    detail: str
    failed: str = ""


class Answer(NamedTuple):
    """What goes back to the caller, and what is to be logged and counted.

    Attributes
    ----------
    status : int
        HTTP status.
    reply : Reply
        The body, in the protocol's form.
    metrics : sequence of MetricValue
        Counted for this request, beside its latency.
    lost : sequence of RecordFailure
        Rows that the stream did not take.
    refused : ArtifactRefusedError or None
        Why no artefact was served.
    no_score : NoScoreError or None
        Which row the model had no score for.
    cause : str or None
        Why the request was refused: the code of its error.
    variant : str or None
        The variant of an endpoint that answered, where one was asked.
    failed : str
        What the endpoint said that gave no answer; empty where it gave one.
    fell_back : FellBack or None
        Where the fallback was asked.
    """

    status: int
    reply: Reply
    metrics: Sequence[MetricValue] = ()
    lost: Sequence[RecordFailure] = ()
    refused: ArtifactRefusedError | None = None
    no_score: NoScoreError | None = None
    cause: str | None = None
    variant: str | None = None
    failed: str = ""
    fell_back: FellBack | None = None

    @property
    def is_models_failure(self) -> bool:
        """Whether the model gave no answer that it had to give, though the fallback may have given one.

        What its contract refused it had not to answer: that is counted as refused.
        """
        if self.status >= 500 or self.no_score is not None:
            return True
        return self.fell_back is not None and self.fell_back.reason != REFUSED_BY_CONTRACT

    @property
    def is_faulty(self) -> bool:
        """Whether the model's owner must look at it: nothing the caller did is at fault."""
        return bool(self.lost or self.failed or self.refused or self.no_score or self.fell_back)


USUAL_METRICS = (("Predictions", "Count"), ("PredictionLatency", "Milliseconds"))
"""Names and units of what is counted of every request whose rows were answered: how many, and how long they took."""


def answer_metrics(rows: Rows, latency_ms: float, lost: Sequence[RecordFailure]) -> list[MetricValue]:
    """What is counted of a request whose rows were answered; ``lost`` are those that the stream did not take.

    A metric is paid for in every hour in which it is sent, so what is mostly 0 is sent where it is not.
    """
    (predictions, count), (latency, unit) = USUAL_METRICS
    metrics = [
        whole(MetricValue, (predictions, len(rows.keys), count)),
        whole(MetricValue, (latency, latency_ms, unit)),
    ]
    if rows.unseen:
        metrics.append(MetricValue("UnseenCategories", sum(rows.unseen.values())))
    if lost:
        metrics.append(MetricValue("CaptureFallback", len(lost)))
    return metrics


def milliseconds(seconds: float) -> float:
    """A time that is not negative, to the nearest microsecond; ``round`` takes three times as long."""
    return int(seconds * 1e6 + 0.5) / 1000
