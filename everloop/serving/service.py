"""Answers one prediction request, from the body to the captured rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.emf import MetricValue
from everloop.names import REQUESTS_REFUSED
from everloop.serving.artifact import Artifact
from everloop.serving.body import read_body
from everloop.serving.capture import RecordFailure, RecordWriter, captured
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exceptions import ArtifactRefusedError, NoChampionError, NoScoreError, RequestError
from everloop.serving.exchange import HttpRequest, Reply, json_reply
from everloop.serving.protocols import (
    OPENAPI,
    PROTOCOLS,
    DataPlaneProtocol,
    Question,
    ServedModel,
    protocol_at,
    refuse_method,
)
from everloop.serving.request import RequestParser
from everloop.serving.response import CONTRACT_CODES, CUSTOM_ATTRIBUTES, FALLBACK_HEADER, STATUS_OF_CODE
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.serving.unusable import score_rows

if TYPE_CHECKING:
    from everloop.serving.fallback import Fallback


@dataclass(frozen=True)
class FellBack:
    """The model could not answer, and its fallback was asked.

    Attributes
    ----------
    use : str
        Which fallback: as declared.
    reason : str
        ``no_score``, ``artifact_refused``, ``too_slow``, ``not_loaded`` or ``model_failed``.
    detail : str
        What went wrong, for the log.
    failed : str
        Why the fallback had no answer either; empty where it had.
    """

    use: str
    reason: str
    detail: str
    failed: str = ""


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
    fell_back : FellBack or None
        Where the fallback was asked.
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
    fell_back: FellBack | None = None

    @property
    def is_models_failure(self) -> bool:
        """Whether the model gave no answer that it had to give, though the fallback may have given one."""
        return self.status >= 500 or self.fell_back is not None

    @property
    def is_faulty(self) -> bool:
        """Whether the model's owner must look at it: nothing the caller did is at fault."""
        answers = (self.refused, self.no_score, self.fell_back)
        return bool(self.lost or self.failed) or any(fault is not None for fault in answers)


@dataclass(frozen=True)
class _Asked:
    """A request under way; ``started`` by the service's timer."""

    protocol: DataPlaneProtocol
    request: HttpRequest
    request_id: str
    at: datetime
    unseen: bool
    started: float


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
    fallback : Fallback or None
        What answers where the model can't; None where nothing is declared.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[], Artifact],
        writer: RecordWriter | None,
        timer: Callable[[], float],
        declared: Sequence[NumberField | CategoryField] = (),
        fallback: Fallback | None = None,
    ) -> None:
        self._model = model
        self._load = load
        self._writer = writer
        self._timer = timer
        self._declared = declared
        self._fallback = fallback
        self._score = score_rows if fallback is None else fallback.scoring(score_rows)
        self._loaded: tuple[Artifact, ServedModel] | None = None
        self._settled = False

    def answer(self, path: str, request: HttpRequest, *, request_id: str, at: datetime, unseen: bool = False) -> Answer:
        """Answer a request that arrived ``at``, by the protocol that ``path`` belongs to.

        Of an ``unseen`` one, which no caller asked, nothing is captured.

        ``path`` is below the address of the model's data plane (``predictions``), and takes the place of the request's.

        The rows are captured before the answer is returned. A stream that does not take them costs no caller
        the answer: they come back in ``lost``.
        """
        started = self._timer()
        name, rest = protocol_at(path)
        protocol = PROTOCOLS.load(name)
        if request.path != rest:
            request = replace(request, path=rest)
        asked = _Asked(protocol, request, request_id, at, unseen, started)
        fallback = None
        try:
            if path.strip("/") == OPENAPI:
                return Answer(200, self._description(request))
            if not protocol.predicts(request, self._model):
                return Answer(200, protocol.page(request, lambda: self._served()[1]))
            fallback = self._fallback
            artifact, served = self._served()
            question, rows = _read(asked, served)
            scores = artifact.scores(self._score(artifact.scorer, artifact.contract, rows), rows)
        except RequestError as error:
            return _bad_request(error, protocol)
        except NoChampionError as error:
            return Answer(STATUS_OF_CODE["no_champion"], protocol.refusal("no_champion", str(error)))
        except Exception as error:
            failure = _failure(error, protocol)
            if fallback is not None:
                return self._fall_back(fallback, asked, error, failure)
            if failure is None:
                raise
            return failure
        return self._answer(asked, artifact.contract, question, rows, scores, version=served.version)

    def _answer(
        self,
        asked: _Asked,
        contract: ServingContract,
        question: Question,
        rows: Rows,
        scores: Scores,
        *,
        version: int | None,
    ) -> Answer:
        """The rows are captured as answered by ``version``."""
        lost: list[RecordFailure] = []
        if self._writer is not None and not asked.unseen:
            records = captured(
                contract,
                rows,
                scores,
                version=version,
                request_id=asked.request_id,
                at=asked.at,
                latency_ms=self._elapsed_ms(asked.started),
            )
            lost = self._writer.write(records)
        reply = question.answer(scores, request_id=asked.request_id)
        metrics = [
            MetricValue("Predictions", len(rows)),
            MetricValue("PredictionLatency", self._elapsed_ms(asked.started), "Milliseconds"),
        ]
        # A metric is paid for in every hour in which it is sent, so what is mostly 0 is sent where it is not.
        rare = {"UnseenCategories": sum(rows.unseen.values()), "CaptureFallback": len(lost)}
        metrics += [MetricValue(name, count) for name, count in rare.items() if count]
        return Answer(200, reply, metrics, lost)

    def settle(self) -> None:
        """Make ready for many requests, once one is answered: what that takes would have delayed its answer."""
        if self._loaded is not None and not self._settled:
            self._settled = True
            from everloop.serving.typed_rows import TypedReader  # now: its package takes a while to import

            self._loaded[1].parser.compile(TypedReader)

    def _fall_back(self, fallback: Fallback, asked: _Asked, error: Exception, failure: Answer | None) -> Answer:
        """The fallback's answer to what the model failed on; where it has none either, the model's failure.

        Raises
        ------
        Exception
            The model's, where neither has an answer and the failure has no form.
        """
        artifact = None if self._loaded is None else self._loaded[0]
        found = FellBack(fallback.use, fallback.reason(error, artifact), f"{type(error).__name__}: {error}")
        known = Answer(500, json_reply({})) if failure is None else failure
        try:
            substitute = fallback.substitute(artifact)
            served = ServedModel(substitute.version, RequestParser(substitute.contract, self._declared))
            question, rows = _read(asked, served)
            scores = substitute.scores(rows, asked.at)
            answer = self._answer(asked, substitute.contract, question, rows, scores, version=substitute.captured_as)
        except RequestError as refusal:
            return _bad_request(refusal, asked.protocol)
        except Exception as also:
            if failure is None:
                raise error from also
            return replace(failure, fell_back=replace(found, failed=f"{type(also).__name__}: {also}"))
        headers = {**answer.reply.headers, FALLBACK_HEADER: fallback.use, CUSTOM_ATTRIBUTES: f"fallback={fallback.use}"}
        counted = [MetricValue("FallbackAnswers", len(rows)), *known.metrics, *answer.metrics[1:]]
        return replace(
            answer,
            reply=replace(answer.reply, headers=headers),
            metrics=counted,
            refused=known.refused,
            no_score=known.no_score,
            fell_back=found,
        )

    def _description(self, request: HttpRequest) -> Reply:
        refuse_method(request, "GET")
        served = self._served()[1]
        from everloop.serving.openapi import openapi_document  # now: few ask for it

        return json_reply(openapi_document(served.contract, served.version))

    def _served(self) -> tuple[Artifact, ServedModel]:
        if self._loaded is not None:
            self.settle()
        else:
            artifact = self._load()
            parser = RequestParser(artifact.contract, self._declared)
            self._loaded = artifact, ServedModel(artifact.manifest.version, parser)
        return self._loaded

    def _elapsed_ms(self, started: float) -> float:
        return round((self._timer() - started) * 1000, 3)


def _read(asked: _Asked, served: ServedModel) -> tuple[Question, Rows]:
    """What is asked, and its rows as the contract takes them.

    Raises
    ------
    RequestError
    """
    protocol, request = asked.protocol, asked.request
    data = read_body(request.body, is_base64=request.is_base64, headers=request.headers, taken=protocol.media_types)
    question = protocol.question(request, data, served)
    return question, served.parser.rows(question.instances)


def _bad_request(error: RequestError, protocol: DataPlaneProtocol) -> Answer:
    return Answer(
        STATUS_OF_CODE[error.code],
        protocol.refusal(error.code, error.message, field=error.field, index=error.index),
        [MetricValue(REQUESTS_REFUSED, int(error.code in CONTRACT_CODES))],
        cause=error.code,
    )


def _failure(error: Exception, protocol: DataPlaneProtocol) -> Answer | None:
    """The answer to a request that the model failed on; None of a failure that has none of its own."""
    if isinstance(error, NoScoreError):
        return _without_score(error, protocol)
    return _refusal(error, protocol) if isinstance(error, ArtifactRefusedError) else None


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
