"""Protocols of the data plane: each parses a request into rows of one contract, and renders what comes of them.

The rows, the scores, what is captured and what is counted are the same whichever protocol asks. To add one: a file here
whose ``PROTOCOL`` is a :class:`DataPlaneProtocol`, its tests, and its name below. Each has a route of its own, which
the stack makes from :meth:`DataPlaneProtocol.path`.

The request path imports these files: they import nothing that answering does not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from everloop.seams import Seam

if TYPE_CHECKING:
    from everloop.serving.contract import ServingContract
    from everloop.serving.scores import Scores


class DataPlaneProtocol(Protocol):
    """One way to ask and to be answered, in JSON. It keeps nothing of any request."""

    def path(self, model: str) -> str:
        """The path that it is asked at, below the API's address, by POST: of no other protocol, and no labels'."""
        ...

    def instances(self, body: bytes, contract: ServingContract) -> list[object]:
        """The rows of a request as the row contract takes them: objects of feature names and values, in order.

        What the rows hold is not looked at here: :meth:`everloop.serving.request.RequestParser.rows` does, for all
        protocols alike.

        Raises
        ------
        RequestError
            When the body is no request of this protocol; ``no_instances`` where it has no rows, and
            ``too_many_instances`` where it has more than ``contract.max_rows``.
        """
        ...

    def answer(
        self, contract: ServingContract, scores: Scores, *, version: int, request_id: str
    ) -> Mapping[str, object]:
        """The answer to a valid request: JSON values, row by row in the request's order.

        Each row's ``prediction_id`` is in it (:func:`everloop.serving.response.prediction_id`), as labels name it; both
        of its scores, the served one and what the model said; and which version and calibration gave them.
        """
        ...

    def refusal(
        self, code: str, message: str, *, field: str | None = None, index: int | None = None
    ) -> Mapping[str, object]:
        """The answer to a request that gets no prediction, with the code and the message in it."""
        ...


PROTOCOLS: Seam[DataPlaneProtocol] = Seam(__name__, "data plane protocol", "PROTOCOL", "predictions")


def protocols_by_route(model: str) -> dict[str, DataPlaneProtocol]:
    """Each protocol by the key of its route, as an HTTP API's event has it: ``POST /models/<model>/predictions``."""
    return {f"POST {protocol.path(model)}": protocol for protocol in PROTOCOLS}
