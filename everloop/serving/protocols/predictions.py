"""The product's own protocol: ``POST /models/<model>/predictions`` with ``{"instances": [{…}, …]}``."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple, NotRequired, TypedDict

from everloop.names import ON_ROW_ERROR, REFUSE, REPORT
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, HttpRequest, Reply, json_reply
from everloop.serving.protocols import PROTOCOLS, DataPlaneProtocol, ServedModel, refuse_method
from everloop.serving.request import LONGEST_NAME, kind_of, parse_json
from everloop.serving.response import ErrorFacts, Errors, about_scores, error_document, output_rows
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.shown import shortened, shown

NO_ERRORS: Errors = MappingProxyType({})


class Prediction(TypedDict):
    """The answer to one row; a classification's has the probability.

    ``raw_score`` is what the model said, before its calibration: a probability, or a value. ``low`` and ``high`` are
    there where the version has an interval. Of several classes ``prediction`` is the likeliest one's name, and
    ``probabilities`` has that of each in place of a raw score.
    """

    prediction_id: str
    prediction: float | str
    probability: NotRequired[float]
    probabilities: NotRequired[dict[str, float]]
    raw_score: NotRequired[float]
    low: NotRequired[float]
    high: NotRequired[float]


class PredictionsDocument(TypedDict):
    """The answer to a request. ``calibration`` names what stands between raw and served scores; null: nothing.

    ``coverage`` is there where the version has an interval: the share of outcomes that is meant to lie from ``low`` to
    ``high``.
    """

    model: str
    version: int
    calibration: str | None
    coverage: NotRequired[float]
    predictions: list[Prediction]


class RowError(TypedDict):
    """In the place of a prediction: what is wrong with the row."""

    error: ErrorFacts


class ReportedDocument(TypedDict):
    """The answer to a request with ``on_row_error: report``, beside what a :class:`PredictionsDocument` has.

    ``row_errors`` counts the rows that have an error.
    """

    row_errors: int
    predictions: list[Prediction | RowError]


class Instances(NamedTuple):
    """Rows as objects, predictions as objects; in the place of a row that is wrong its error, if it ``reports``."""

    instances: list[object] | Rows
    served: ServedModel
    reports: bool = False
    errors: Errors = NO_ERRORS

    def with_errors(self, errors: Errors) -> Instances:
        """The same, with errors at these places."""
        return self._replace(errors=errors)

    def answer(self, scores: Scores, *, request_id: str) -> Reply:
        """A :class:`PredictionsDocument`: model, version, calibration, and one entry a row."""
        served, contract = self.served, self.served.contract
        rows = output_rows(contract, scores, request_id)
        document = {"model": contract.model, "version": served.version, **about_scores(scores)}
        if self.reports:
            document["row_errors"] = len(self.errors)
            answered = iter(rows)
            places = range(len(rows) + len(self.errors))
            rows = [{"error": self.errors[at]} if at in self.errors else next(answered) for at in places]
        return served.reply({**document, "predictions": rows})


class Predictions:
    """One path, one form."""

    media_types: tuple[str, ...] = (JSON,)

    def predicts(self, request: HttpRequest, model: str) -> bool:
        """There is nothing else; the paths of no protocol come here too."""
        if request.path:
            known = ", ".join(PROTOCOLS.names)
            raise RequestError(
                "unknown_path",
                f"nothing is at {shortened(request.path, LONGEST_NAME)!r}; the model's paths begin with: {known}",
            )
        if request.method != "POST":
            refuse_method(request, "POST")
        return True

    def question(self, request: HttpRequest, body: bytes, served: ServedModel) -> Instances:
        """The list ``instances``, and what is to become of the request where a row is wrong."""
        rows = served.parser.rows_of_body(body)
        if rows is not None:
            return Instances(rows, served)
        document = parse_json(body)
        if not isinstance(document, dict):
            found = kind_of(document)
            raise RequestError("wrong_type", f'the body is {found}; send an object {{"instances": [...]}}')
        if "instances" not in document:
            message = "the field 'instances' is missing; send {\"instances\": [{...}, ...]}"
            raise RequestError("no_instances", message, field="instances")
        for name in document:
            if name not in ("instances", ON_ROW_ERROR):
                raise RequestError(
                    "unknown_feature",
                    f"the body has an unknown field {shortened(name, LONGEST_NAME)!r}",
                    field=shortened(name, LONGEST_NAME),
                )
        on_row_error = document.get(ON_ROW_ERROR, REFUSE)
        if on_row_error not in (REFUSE, REPORT):
            found = shown(on_row_error) if isinstance(on_row_error, str) else kind_of(on_row_error)
            message = f"{ON_ROW_ERROR!r} is {found}; send {REFUSE!r} or {REPORT!r}"
            raise RequestError("wrong_type", message, field=ON_ROW_ERROR)
        instances = document["instances"]
        if not isinstance(instances, list):
            raise RequestError("wrong_type", f"'instances' is {kind_of(instances)}; send a list", field="instances")
        if not instances:
            raise RequestError("no_instances", "'instances' is empty; send 1 or more rows", field="instances")
        most = served.contract.max_rows
        if len(instances) > most:
            raise RequestError(
                "too_many_instances",
                f"'instances' has {len(instances)} rows; at most {most} are accepted at once",
                field="instances",
            )
        return Instances(instances, served, on_row_error == REPORT)

    def page(self, request: HttpRequest, load: Callable[[], ServedModel]) -> Reply:
        """None: every path that is no prediction was refused before."""
        raise RequestError("unknown_path", "the protocol has no pages")

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> Reply:
        """``{"error": {…}}``."""
        return json_reply(error_document(code, message, field=field, index=index))


PROTOCOL: DataPlaneProtocol = Predictions()
