"""The product's own protocol: ``POST /models/<model>/predictions`` with ``{"instances": [{…}, …]}``."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from everloop.names import ModelNames
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import RequestError
from everloop.serving.protocols import DataPlaneProtocol
from everloop.serving.request import LONGEST_NAME, kind_of, parse_json
from everloop.serving.response import ErrorDocument, decide, error_document, prediction_id
from everloop.serving.scores import Scores
from everloop.shown import shortened


class Prediction(TypedDict):
    """The answer to one row; a classification's has the probability.

    ``raw_score`` is what the model said, before its calibration: a probability, or a value.
    """

    prediction_id: str
    prediction: float
    probability: NotRequired[float]
    raw_score: float


class PredictionsDocument(TypedDict):
    """The answer to a request. ``calibration`` names what stands between raw and served scores; null: nothing."""

    model: str
    version: int
    calibration: str | None
    predictions: list[Prediction]


class Predictions:
    """Rows as objects, predictions as objects."""

    def path(self, model: str) -> str:
        """``/models/<model>/predictions``."""
        return ModelNames(model).path("predictions")

    def instances(self, body: bytes, contract: ServingContract) -> list[object]:
        """The list ``instances``, which is all that the body has."""
        document = parse_json(body)
        if not isinstance(document, dict):
            found = kind_of(document)
            raise RequestError("wrong_type", f'the body is {found}; send an object {{"instances": [...]}}')
        if "instances" not in document:
            message = "the field 'instances' is missing; send {\"instances\": [{...}, ...]}"
            raise RequestError("no_instances", message, field="instances")
        for name in document:
            if name != "instances":
                raise RequestError(
                    "unknown_feature",
                    f"the body has an unknown field {shortened(name, LONGEST_NAME)!r}",
                    field=shortened(name, LONGEST_NAME),
                )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise RequestError("wrong_type", f"'instances' is {kind_of(instances)}; send a list", field="instances")
        if not instances:
            raise RequestError("no_instances", "'instances' is empty; send 1 or more rows", field="instances")
        if len(instances) > contract.max_rows:
            raise RequestError(
                "too_many_instances",
                f"'instances' has {len(instances)} rows; at most {contract.max_rows} are taken at once",
                field="instances",
            )
        return instances

    def answer(
        self, contract: ServingContract, scores: Scores, *, version: int, request_id: str
    ) -> PredictionsDocument:
        """Model, version, calibration, and one entry a row."""
        decided = zip(decide(contract, scores.served), scores.raw.tolist(), strict=True)
        predictions: list[Prediction] = [
            {"prediction_id": prediction_id(request_id, i), "prediction": value, "raw_score": raw}
            for i, (value, raw) in enumerate(decided)
        ]
        if contract.is_classification:
            for entry, probability in zip(predictions, scores.served.tolist(), strict=True):
                entry["probability"] = probability
        return {
            "model": contract.model,
            "version": version,
            "calibration": scores.calibration,
            "predictions": predictions,
        }

    def refusal(self, code: str, message: str, *, field: str | None = None, index: int | None = None) -> ErrorDocument:
        """``{"error": {…}}``."""
        return error_document(code, message, field=field, index=index)


PROTOCOL: DataPlaneProtocol = Predictions()
