"""Answers one prediction request, from the body to the captured rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from everloop.emf import MetricValue
from everloop.names import REQUESTS_REFUSED
from everloop.serving.artifact import Artifact
from everloop.serving.body import read_body
from everloop.serving.capture import CaptureWriter, RecordFailure, capture_records
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.exceptions import ArtifactRefusedError, NoChampionError, NoScoreError, RequestError
from everloop.serving.protocols import DataPlaneProtocol
from everloop.serving.request import RequestParser
from everloop.serving.response import CONTRACT_CODES, STATUS_OF_CODE
from everloop.serving.scores import Scores
from everloop.serving.unusable import score_rows


@dataclass(frozen=True)
class Answer:
    """What goes back to the caller, and what is to be logged and counted.

    Attributes
    ----------
    status : int
        HTTP status.
    document : dict
        The JSON body.
    metrics : list of MetricValue
        Counted for this request, beside its latency.
    lost : list of RecordFailure
        Rows that the stream did not take.
    refused : ArtifactRefusedError or None
        Why no artefact was served.
    no_score : NoScoreError or None
        Which row the model had no score for.
    cause : str or None
        Why the request was refused: the code of its error.
    """

    status: int
    document: Mapping[str, object]
    metrics: list[MetricValue] = field(default_factory=list)
    lost: list[RecordFailure] = field(default_factory=list)
    refused: ArtifactRefusedError | None = None
    no_score: NoScoreError | None = None
    cause: str | None = None


class PredictionService:
    """Answers with the one artefact that a function version is bound to.

    Parameters
    ----------
    load : callable
        Loads the artefact. Called again on each request until it succeeds, never after; raises
        :class:`NoChampionError` or :class:`ArtifactRefusedError`.
    writer : CaptureWriter
        Takes the captured rows.
    timer : callable
        Seconds of a monotonic counter.
    declared : sequence of NumberField and CategoryField
        The features declared where the version runs; see :class:`RequestParser`.
    """

    def __init__(
        self,
        load: Callable[[], Artifact],
        writer: CaptureWriter,
        timer: Callable[[], float],
        declared: Sequence[NumberField | CategoryField] = (),
    ) -> None:
        self._load = load
        self._writer = writer
        self._timer = timer
        self._declared = declared
        self._loaded: tuple[Artifact, RequestParser] | None = None

    def answer(
        self,
        protocol: DataPlaneProtocol,
        body: str | None,
        *,
        is_base64: bool,
        headers: Mapping[str, str],
        request_id: str,
        at: datetime,
    ) -> Answer:
        """Answer a request that arrived ``at``.

        Body and headers are as :func:`everloop.serving.body.read_body` takes them; ``protocol`` reads and renders.

        The rows are captured before the answer is returned. A stream that does not take them costs no caller
        the answer: they come back in ``lost``.
        """
        started = self._timer()
        try:
            artifact, parser = self._artifact()
            data = read_body(body, is_base64=is_base64, headers=headers)
            rows = parser.rows(protocol.instances(data, artifact.contract))
            scores = Scores.of(score_rows(artifact.scorer, artifact.contract, rows), artifact.calibration)
        except RequestError as error:
            return Answer(
                STATUS_OF_CODE[error.code],
                protocol.refusal(error.code, error.message, field=error.field, index=error.index),
                [MetricValue(REQUESTS_REFUSED, int(error.code in CONTRACT_CODES))],
                cause=error.code,
            )
        except NoScoreError as error:
            return _without_score(error, protocol)
        except NoChampionError as error:
            return Answer(STATUS_OF_CODE["no_champion"], protocol.refusal("no_champion", str(error)))
        except ArtifactRefusedError as error:
            return _refusal(error, protocol)
        version = artifact.manifest.version
        records = capture_records(
            artifact.contract,
            rows,
            scores,
            version=version,
            request_id=request_id,
            at=at,
            latency_ms=self._elapsed_ms(started),
        )
        lost = self._writer.write(records)
        document = protocol.answer(artifact.contract, scores, version=version, request_id=request_id)
        metrics = [
            MetricValue("Predictions", len(rows)),
            MetricValue("UnseenCategories", sum(rows.unseen.values())),
            MetricValue("CaptureFallback", len(lost)),
            MetricValue("PredictionLatency", self._elapsed_ms(started), "Milliseconds"),
        ]
        return Answer(200, document, metrics, lost)

    def _artifact(self) -> tuple[Artifact, RequestParser]:
        if self._loaded is None:
            artifact = self._load()
            self._loaded = artifact, RequestParser(artifact.contract, self._declared)
        return self._loaded

    def _elapsed_ms(self, started: float) -> float:
        return round((self._timer() - started) * 1000, 3)


def _without_score(error: NoScoreError, protocol: DataPlaneProtocol) -> Answer:
    return Answer(
        STATUS_OF_CODE["no_score"],
        protocol.refusal("no_score", error.message, field=error.field, index=error.index),
        [MetricValue("UnusableScores", error.rows)],
        no_score=error,
    )


def _refusal(error: ArtifactRefusedError, protocol: DataPlaneProtocol) -> Answer:
    # The caller learns that it is refused, and the log learns what differed.
    message = "the stored model is not the evaluated one and is not served; the owner is told"
    return Answer(
        STATUS_OF_CODE["artifact_refused"],
        protocol.refusal("artifact_refused", message),
        [MetricValue("ArtifactRefused", 1)],
        refused=error,
    )
