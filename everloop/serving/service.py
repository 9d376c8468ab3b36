"""Answers one prediction request, from the body to the captured rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from everloop.emf import MetricValue
from everloop.names import REQUESTS_REFUSED, ROWS_REFUSED
from everloop.prediction_ids import ALL
from everloop.serving.answer import Answer, FellBack, answer_metrics, milliseconds
from everloop.serving.artifact import Artifact
from everloop.serving.body import read_body
from everloop.serving.capture import Captured, RecordFailure, RecordWriter, captured
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.declared import WHOLE, Capturing
from everloop.serving.exceptions import ArtifactRefusedError, NoChampionError, NoScoreError, RequestError
from everloop.serving.exchange import HttpRequest, Reply, json_reply
from everloop.serving.protocols import (
    NATIVE,
    OPENAPI,
    PROTOCOLS,
    DataPlaneProtocol,
    Question,
    ReportsRowErrors,
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
    from everloop.serving.direct import Direct, Step, Together
    from everloop.serving.fallback import Fallback
    from everloop.serving.row_errors import RightRows


class _Asked(NamedTuple):
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
    capturing : Capturing
        What of the rows the writer gets.

    Attributes
    ----------
    step : callable or None
        Answers most bodies of the native protocol at once, from when :meth:`settle` was called; see
        :func:`everloop.serving.direct.steps_of`.
    together : callable or None
        The same for several of them.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[], Artifact],
        writer: RecordWriter | None,
        timer: Callable[[], float],
        declared: Sequence[NumberField | CategoryField] = (),
        fallback: Fallback | None = None,
        capturing: Capturing = WHOLE,
    ) -> None:
        self._model = model
        self._capturing = capturing
        self._load = load
        self._writer = writer
        self._timer = timer
        self._declared = declared
        self._fallback = fallback
        self._score = score_rows if fallback is None else fallback.scoring(score_rows)
        self._loaded: tuple[Artifact, ServedModel] | None = None
        self._settled = False
        self.step: Step | None = None
        self.together: Together | None = None
        self._direct: Direct | None = None

    def answer(
        self,
        path: str,
        request: HttpRequest,
        *,
        request_id: str,
        at: datetime,
        unseen: bool = False,
        failed: Exception | None = None,
    ) -> Answer:
        """Answer a request that arrived ``at``, by the protocol that ``path`` belongs to.

        Of an ``unseen`` one, which no caller asked, nothing is captured. ``failed`` is what :attr:`step` has raised
        for it: the model is not asked again.

        ``path`` is below the address of the model's data plane (``predictions``), and takes the place of the request's.

        The rows are captured before the answer is returned. A stream that does not take them costs no caller
        the answer: they come back in ``lost``.
        """
        started = self._timer()
        if self._direct is not None and path == NATIVE and not unseen and failed is None:
            try:
                answered = self._direct(request, request_id, at, started)
            except Exception as error:  # whatever it is, the steps below say what comes of it
                failed = error
            else:
                if answered is not None:
                    return answered
        name, rest = protocol_at(path)
        protocol = PROTOCOLS.load(name)
        if request.path != rest:
            request = request._replace(path=rest)
        asked = _Asked(protocol, request, request_id, at, unseen, started)
        fallback, question = None, None
        try:
            if rest and path.strip("/") == OPENAPI:
                return Answer(200, self._description(request))
            if not protocol.predicts(request, self._model):
                return Answer(200, protocol.page(request, lambda: self._served()[1]))
            fallback = self._fallback
            artifact, served = self._served()
            question = _question(asked, served)
            rows = served.parser.rows(question.instances)
            if failed is not None:
                raise failed
            scores = artifact.scores(self._score(artifact.scorer, artifact.contract, rows), rows)
        except RequestError as error:
            refused = _bad_request(error, protocol)
            if not unseen and fallback is not None and fallback.answers_refused(error.code, at):
                answer = self._fall_back(fallback, asked, error, refused)
                if answer.fell_back is not None:
                    return answer
                # What neither takes is the caller's to mend, as the version itself says it.
            try:
                right = self._right_rows(question)
            except Exception as failure:  # the model's, on the other rows
                return self._failed(asked, failure, fallback)
            return refused if right is None else self._answer_right(asked, served, *right)
        except NoChampionError as error:
            return Answer(STATUS_OF_CODE["no_champion"], protocol.refusal("no_champion", str(error)))
        except Exception as error:
            right = self._right_rows(question) if fallback is None and isinstance(error, NoScoreError) else None
            return self._failed(asked, error, fallback) if right is None else self._answer_right(asked, served, *right)
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
        if self._capturing.share < ALL:
            scores = scores._replace(captured_share=self._capturing.share)
        if self._writer is not None and not asked.unseen:
            make = partial(
                captured,
                contract,
                rows,
                scores,
                version=version,
                request_id=asked.request_id,
                at=asked.at,
                latency_ms=self._elapsed_ms(asked.started),
                masked=self._capturing.masked,
            )
            lost = self._writer.write(Captured(make, asked.request_id))
        reply = question.answer(scores, request_id=asked.request_id)
        return Answer(200, reply, answer_metrics(rows, self._elapsed_ms(asked.started), lost), lost)

    def _failed(self, asked: _Asked, error: Exception, fallback: Fallback | None) -> Answer:
        """What is answered where the model failed.

        Raises
        ------
        Exception
            The model's, where there is no fallback and the failure has no form.
        """
        failure = _failure(error, asked.protocol)
        if fallback is not None:
            return self._fall_back(fallback, asked, error, failure)
        if failure is None:
            raise error
        return failure

    def _right_rows(self, question: Question | None) -> tuple[Question, RightRows, Scores] | None:
        """The rows that are right, scored, and the question with an error in the place of each other one.

        None where nobody asked for that, or no row is right. It raises what the model does.
        """
        if self._loaded is None or question is None or isinstance(question.instances, Rows):
            return None
        if not isinstance(question, ReportsRowErrors) or not question.reports:
            return None
        from everloop.serving.row_errors import right_rows  # now: few ask for it

        artifact, served = self._loaded
        right = right_rows(
            served.parser, question.instances, lambda rows: self._score(artifact.scorer, artifact.contract, rows)
        )
        if right is None:
            return None
        return question.with_errors(right.errors), right, artifact.scores(right.raw, right.rows)

    def _answer_right(
        self, asked: _Asked, served: ServedModel, question: Question, right: RightRows, scores: Scores
    ) -> Answer:
        """The answer to these rows, with the errors of the others."""
        answer = self._answer(asked, served.contract, question, right.rows, scores, version=served.version)
        metrics = [*answer.metrics, MetricValue(ROWS_REFUSED, len(right.errors))]
        if right.no_score is not None:
            unusable = sum(error["code"] == "no_score" for error in right.errors.values())
            metrics.append(MetricValue("UnusableScores", unusable))
        return answer._replace(metrics=metrics, no_score=right.no_score)

    def settle(self) -> None:
        """Make ready for many requests, once one is answered: what that takes would have delayed its answer."""
        if self._loaded is not None and not self._settled:
            self._settled = True
            # Now: their package takes a while to import.
            from everloop.serving.direct import direct, steps_of
            from everloop.serving.typed_rows import TypedReader

            artifact, served = self._loaded
            served.parser.compile(TypedReader)
            if self._score is score_rows:  # no limit to its time
                steps = steps_of(artifact, served, self._writer, self._timer, self._capturing)
                if steps is not None:
                    self.step, self.together = steps
                    self._direct = direct(self.step)

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
            question = _question(asked, served)
            rows = served.parser.rows(question.instances)
            scores = substitute.scores(rows, asked.at)
            answer = self._answer(asked, substitute.contract, question, rows, scores, version=substitute.captured_as)
        except RequestError as refusal:
            return _bad_request(refusal, asked.protocol)
        except Exception as also:
            if failure is None:
                raise error from also
            return failure._replace(fell_back=replace(found, failed=f"{type(also).__name__}: {also}"))
        headers = {**answer.reply.headers, FALLBACK_HEADER: fallback.use, CUSTOM_ATTRIBUTES: f"fallback={fallback.use}"}
        counted = [MetricValue("FallbackAnswers", len(rows)), *known.metrics, *answer.metrics[1:]]
        return answer._replace(
            reply=answer.reply._replace(headers=headers),
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
        if self._loaded is None:
            artifact = self._load()
            parser = RequestParser(artifact.contract, self._declared)
            self._loaded = artifact, ServedModel(artifact.manifest.version, parser)
        elif not self._settled:
            self.settle()
        return self._loaded

    def _elapsed_ms(self, started: float) -> float:
        return milliseconds(self._timer() - started)


def _question(asked: _Asked, served: ServedModel) -> Question:
    """What is asked.

    Raises
    ------
    RequestError
    """
    protocol, request = asked.protocol, asked.request
    data = read_body(request.body, is_base64=request.is_base64, headers=request.headers, taken=protocol.media_types)
    return protocol.question(request, data, served)


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
