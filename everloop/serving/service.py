"""Answers one prediction request, from the body to the captured rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from everloop.emf import MetricValue
from everloop.names import REQUESTS_REFUSED
from everloop.serving.artifact import Artifact
from everloop.serving.body import read_body
from everloop.serving.capture import RecordFailure, RecordWriter, capture_records
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.exceptions import ArtifactRefusedError, NoChampionError, NoScoreError, RequestError
from everloop.serving.exchange import HttpRequest, Reply, json_reply
from everloop.serving.protocols import OPENAPI, PROTOCOLS, DataPlaneProtocol, ServedModel, protocol_at, refuse_method
from everloop.serving.request import RequestParser
from everloop.serving.response import CONTRACT_CODES, STATUS_OF_CODE
from everloop.serving.unusable import score_rows


@dataclass(frozen=True)
class Answer:
    """What goes back to the caller, and what is to be logged and counted.

    Attributes
    ----------
    status : int
        HTTP status.
    reply : Reply
        The body, in the protocol's form.
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
    variant : str or None
        The variant of an endpoint that answered, where one was asked.
    failed : str
        What the endpoint said that gave no answer; empty where it gave one.
    """

    status: int
    reply: Reply
    metrics: list[MetricValue] = field(default_factory=list)
    lost: list[RecordFailure] = field(default_factory=list)
    refused: ArtifactRefusedError | None = None
    no_score: NoScoreError | None = None
    cause: str | None = None
    variant: str | None = None
    failed: str = ""

    @property
    def is_faulty(self) -> bool:
        """Whether the model's owner must look at it: nothing the caller did is at fault."""
        return bool(self.lost or self.failed) or self.refused is not None or self.no_score is not None


class PredictionService:
    """Answers with the one artefact that a function version is bound to.

    Parameters
    ----------
    model : str
        The model's name.
    load : callable
        Loads the artefact. Called again on each request until it succeeds, never after; raises
        :class:`NoChampionError` or :class:`ArtifactRefusedError`.
    writer : RecordWriter or None
        Takes the captured rows; None where nothing is captured.
    timer : callable
        Seconds of a monotonic counter.
    declared : sequence of NumberField and CategoryField
        The features declared where the version runs; see :class:`RequestParser`.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[], Artifact],
        writer: RecordWriter | None,
        timer: Callable[[], float],
        declared: Sequence[NumberField | CategoryField] = (),
    ) -> None:
        self._model = model
        self._load = load
        self._writer = writer
        self._timer = timer
        self._declared = declared
        self._loaded: tuple[Artifact, ServedModel] | None = None

    def answer(self, path: str, request: HttpRequest, *, request_id: str, at: datetime, unseen: bool = False) -> Answer:
        """Answer a request that arrived ``at``, by the protocol that ``path`` belongs to.

        Of an ``unseen`` one, which no caller asked, nothing is captured.

        ``path`` is below the address of the model's data plane (``predictions``), and takes the place of the request's.

        The rows are captured before the answer is returned. A stream that does not take them costs no caller
        the answer: they come back in ``lost``.
        """
        started = self._timer()
        name, rest = protocol_at(path)
        protocol, request = PROTOCOLS.load(name), replace(request, path=rest)
        try:
            if path.strip("/") == OPENAPI:
                return Answer(200, self._description(request))
            if not protocol.predicts(request, self._model):
                return Answer(200, protocol.page(request, lambda: self._served()[1]))
            artifact, served = self._served()
            data = read_body(
                request.body, is_base64=request.is_base64, headers=request.headers, taken=protocol.media_types
            )
            question = protocol.question(request, data, served)
            rows = served.parser.rows(question.instances)
            scores = artifact.scores(score_rows(artifact.scorer, artifact.contract, rows), rows)
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
        lost: list[RecordFailure] = []
        if self._writer is not None and not unseen:
            records = capture_records(
                artifact.contract,
                rows,
                scores,
                version=served.version,
                request_id=request_id,
                at=at,
                latency_ms=self._elapsed_ms(started),
            )
            lost = self._writer.write(records)
        reply = question.answer(scores, request_id=request_id)
        metrics = [
            MetricValue("Predictions", len(rows)),
            MetricValue("PredictionLatency", self._elapsed_ms(started), "Milliseconds"),
        ]
        # A metric is paid for in every hour in which it is sent, so what is mostly 0 is sent where it is not.
        rare = {"UnseenCategories": sum(rows.unseen.values()), "CaptureFallback": len(lost)}
        metrics += [MetricValue(name, count) for name, count in rare.items() if count]
        return Answer(200, reply, metrics, lost)

    def _description(self, request: HttpRequest) -> Reply:
        refuse_method(request, "GET")
        served = self._served()[1]
        from everloop.serving.openapi import openapi_document  # now: few ask for it

        return json_reply(openapi_document(served.contract, served.version))

    def _served(self) -> tuple[Artifact, ServedModel]:
        if self._loaded is None:
            artifact = self._load()
            parser = RequestParser(artifact.contract, self._declared)
            self._loaded = artifact, ServedModel(artifact.manifest.version, parser)
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
    message = "the stored model is not the evaluated one, so it is not served; the owner has been notified"
    return Answer(
        STATUS_OF_CODE["artifact_refused"],
        protocol.refusal("artifact_refused", message),
        [MetricValue("ArtifactRefused", 1)],
        refused=error,
    )
