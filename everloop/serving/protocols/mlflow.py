"""MLflow's scoring protocol: ``invocations`` (JSON, or CSV with a header), ``ping``, ``health`` and ``version``.

Source: https://github.com/mlflow/mlflow/blob/master/mlflow/pyfunc/scoring_server/__init__.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from everloop import __version__
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, HttpRequest, Reply
from everloop.serving.invocations import CSV, answer, plain_type, refusal, rows_of_csv, rows_of_document
from everloop.serving.protocols import DataPlaneProtocol, ServedModel, refuse_method
from everloop.serving.request import LONGEST_NAME
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.shown import shortened

PAGES = ("ping", "health", "version")


@dataclass(frozen=True)
class Invocation:
    """A request for predictions."""

    instances: list[object] | Rows
    served: ServedModel

    def answer(self, scores: Scores, *, request_id: str) -> Reply:
        """``predictions``, an object a row; and which version and calibration gave them."""
        return answer(self.served, scores, request_id, JSON)


class Mlflow:
    """Rows as pandas writes them, or as TensorFlow Serving takes them."""

    media_types: tuple[str, ...] = (JSON, CSV)

    def predicts(self, request: HttpRequest, model: str) -> bool:
        """Only ``invocations`` does."""
        if request.path not in ("invocations", *PAGES):
            known = ", ".join(("invocations", *PAGES))
            path = shortened(request.path, LONGEST_NAME)
            raise RequestError("unknown_path", f"nothing is at 'mlflow/{path}'; there are {known}")
        refuse_method(request, "POST" if request.path == "invocations" else "GET")
        return request.path == "invocations"

    def question(self, request: HttpRequest, body: bytes, served: ServedModel) -> Invocation:
        """The rows of the document, or of the lines below a line of names."""
        content_type = request.headers.get("content-type", "")
        if plain_type(content_type) == CSV:
            return Invocation(rows_of_csv(body, content_type, served, header=True), served)
        return Invocation(rows_of_document(body, served), served)

    def page(self, request: HttpRequest, load: Callable[[], ServedModel]) -> Reply:
        """The version is Everloop's; the others say that a model is ready."""
        if request.path == "version":
            return Reply(__version__.encode(), "text/plain; charset=utf-8")
        load()
        return Reply(b"\n")

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> Reply:
        """MLflow's ``error_code`` and ``message``."""
        return refusal(code, message, field, index)


PROTOCOL: DataPlaneProtocol = Mlflow()
