"""Ask a deployed model."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from everloop.cli.account import DeployedModel
from everloop.cli.signed_http import JsonClient
from everloop.names import ON_ROW_ERROR, REPORT
from everloop.typed_json import JsonObject

if TYPE_CHECKING:
    from everloop.serving.protocols.predictions import PredictionsDocument  # with numpy


def predict(
    http: JsonClient, model: DeployedModel, instances: list[JsonObject], *, good_rows: bool = False
) -> PredictionsDocument:
    """Answer ``instances`` in one request; docs/after-deploy.md shows both bodies.

    With ``good_rows`` each row that is wrong is answered by its error, and does not have the others refused.
    """
    body: JsonObject = {"instances": instances}
    if good_rows:
        body[ON_ROW_ERROR] = REPORT
    return cast("PredictionsDocument", http.post(model.predictions_url, body))
