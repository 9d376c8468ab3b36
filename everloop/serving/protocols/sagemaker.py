"""SageMaker's protocol of containers: ``invocations`` (JSON, JSON Lines, CSV) and ``ping``.

A container chooses its own JSON, and this takes the document of MLflow's, of which ``instances`` is the most usual one.
Its errors say in MLflow's words as well what is wrong: so one process answers both clients at ``/invocations``.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, HttpRequest, Reply
from everloop.serving.invocations import (
    CSV,
    LINES,
    OTHER_LINES,
    accepted,
    answer,
    plain_type,
    refusal,
    rows_of_csv,
    rows_of_document,
    rows_of_lines,
)
from everloop.serving.protocols import DataPlaneProtocol, ServedModel, refuse_method
from everloop.serving.request import LONGEST_NAME
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.shown import shortened


@dataclass(frozen=True)
class Invocation:
    """A request for predictions, and the form of its answer."""

    instances: list[object] | Rows
    served: ServedModel
    media: str
    header: bool

    def answer(self, scores: Scores, *, request_id: str) -> Reply:
        """A row of the answer for each row of the request."""
        return answer(self.served, scores, request_id, self.media, header=self.header)


class Sagemaker:
    """Rows as their content type says, answered as the caller accepts: by default in the form that they came in."""

    media_types: tuple[str, ...] = (JSON, LINES, CSV, *OTHER_LINES)

    def predicts(self, request: HttpRequest, model: str) -> bool:
        """Only ``invocations`` does."""
        if request.path not in ("invocations", "ping"):
            path = shortened(request.path, LONGEST_NAME)
            raise RequestError("unknown_path", f"nothing is at 'sagemaker/{path}'; there are invocations, ping")
        refuse_method(request, "POST" if request.path == "invocations" else "GET")
        return request.path == "invocations"

    def question(self, request: HttpRequest, body: bytes, served: ServedModel) -> Invocation:
        """The rows of the document or of the lines."""
        content_type = request.headers.get("content-type", "")
        came = plain_type(content_type) or JSON
        media, header = accepted(request.headers.get("accept", ""), (JSON, LINES, CSV), came)
        if came == CSV:
            rows: list[object] | Rows = rows_of_csv(body, content_type, served)
        else:
            rows = (rows_of_lines if came == LINES else rows_of_document)(body, served)
        return Invocation(rows, served, media, header)

    def page(self, request: HttpRequest, load: Callable[[], ServedModel]) -> Reply:
        """Whether a model is ready: 200, or the status of the reason why not."""
        load()
        return Reply(b"\n")

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> Reply:
        """A flat document: SageMaker passes it on as the message of its own error."""
        return refusal(code, message, field, index)


PROTOCOL: DataPlaneProtocol = Sagemaker()
