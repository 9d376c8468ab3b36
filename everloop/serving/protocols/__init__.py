"""Protocols of the data plane: each parses a request into rows of one contract, and renders what comes of them.

The rows, the scores, what is captured and what is counted are the same whichever protocol asks. Below the address of a
model's data plane (``/models/<model>/``) each has all paths that begin with its name, which is the name of its file. To
add one: a file here whose ``PROTOCOL`` is a :class:`DataPlaneProtocol`, its tests, and its name below.

A protocol is imported when it is first asked for. The request path imports these files: they import nothing that
answering does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from everloop.seams import Seam
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import Reply, json_reply
from everloop.shown import shortened

if TYPE_CHECKING:
    from everloop.serving.contract import ServingContract
    from everloop.serving.exchange import HttpRequest
    from everloop.serving.request import RequestParser
    from everloop.serving.response import Errors
    from everloop.serving.rows import Rows
    from everloop.serving.scores import Scores


@dataclass(frozen=True)
class ServedModel:
    """The version that answers, and what its requests are held against."""

    version: int
    parser: RequestParser

    @cached_property
    def contract(self) -> ServingContract:
        """The version's contract."""
        return self.parser.contract

    def reply(self, document: Mapping[str, object]) -> Reply:
        """An answer with predictions as JSON; all its numbers are finite."""
        encode = self.parser.encode
        return json_reply(document) if encode is None else Reply(encode(document))


class Question(Protocol):
    """A request for predictions that was read, with all that is needed to answer it in its own form."""

    @property
    def instances(self) -> list[object] | Rows:
        """The rows as the row contract takes them: objects of feature names and values, in order; or read already."""
        ...

    def answer(self, scores: Scores, *, request_id: str) -> Reply:
        """The answer to a valid request, row by row in the request's order.

        Each row's ``prediction_id`` is in it, as labels name it; both of its scores, the served one and what the
        model said, and its bounds where there are ``scores.bounds`` (:func:`everloop.serving.response.outputs`); which
        version and calibration gave them, and the coverage of the bounds.
        """
        ...


@runtime_checkable
class ReportsRowErrors(Protocol):
    """A question of a protocol that has a place for the error of a row."""

    @property
    def reports(self) -> bool:
        """Whether its caller asked for that; else a request with a row that is wrong is refused whole."""
        ...

    def with_errors(self, errors: Errors) -> Question:
        """The question, whose answer has these errors at their places, and takes the scores of all other rows."""
        ...


class DataPlaneProtocol(Protocol):
    """One way to ask and to be answered. It keeps nothing of any request."""

    media_types: tuple[str, ...]
    """The content types of requests for predictions (:func:`everloop.serving.body.media_type`)."""

    def predicts(self, request: HttpRequest, model: str) -> bool:
        """Whether this asks for predictions; else it asks for a page about the model or the server.

        Raises
        ------
        RequestError
            ``unknown_path``, ``unknown_model`` or ``method_not_allowed``, for what the protocol has not.
        """
        ...

    def question(self, request: HttpRequest, body: bytes, served: ServedModel) -> Question:
        """Read a request for predictions, whose ``body`` is uncompressed.

        What the rows hold is not looked at here: :meth:`everloop.serving.request.RequestParser.rows` does, for all
        protocols alike.

        Raises
        ------
        RequestError
            When it is not a request of this protocol; ``no_instances`` where it has no rows, and
            ``too_many_instances`` where it has more than the contract's ``max_rows``.
        """
        ...

    def page(self, request: HttpRequest, load: Callable[[], ServedModel]) -> Reply:
        """What the protocol tells about the model or the server; ``load`` gives the version, or raises as it is none.

        Raises
        ------
        RequestError
            ``unknown_version``.
        """
        ...

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> Reply:
        """The answer to a request that gets no prediction, with the code and the message in it."""
        ...


PROTOCOLS: Seam[DataPlaneProtocol] = Seam(
    __name__, "data plane protocol", "PROTOCOL", "predictions", "v2", "mlflow", "sagemaker"
)

OPENAPI = "openapi.json"
"""Where the model's OpenAPI document is (:mod:`everloop.serving.openapi`), beside the protocols."""

NATIVE = "predictions"
"""Answers for the paths that no protocol has."""


@lru_cache(maxsize=64)
def protocol_at(path: str) -> tuple[str, str]:
    """The name of the protocol that a path below the model's data plane belongs to, and the rest of the path.

    A path that belongs to none is the native protocol's, whole: it says what there is.
    """
    name, _, rest = path.strip("/").partition("/")
    return (name, rest) if name in PROTOCOLS.names else (NATIVE, path)


def refuse_method(request: HttpRequest, method: str) -> None:
    """Refuse a request by another method.

    Raises
    ------
    RequestError
        ``method_not_allowed``.
    """
    if request.method != method:
        raise RequestError("method_not_allowed", f"the method is {shortened(request.method, 16)!r}; send {method}")
