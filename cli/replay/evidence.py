"""The replay's evidence: every answer and every window, as files that the summary can be computed from again."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from everloop.cli.account import Account
from everloop.cli.replay.exceptions import LoopNotClosedError
from everloop.cli.replay.summary import FrozenModel, scores_of
from everloop.documents.window import WindowRecord
from everloop.evaluation.metrics import row_losses
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.store import RegistryStore
from everloop.registry.trace import origin
from everloop.serving.artifact import load_artifact

PREDICTIONS_FILE, WINDOWS_FILE, SUMMARY_FILE, PICTURE_FILE = (
    "predictions.parquet",
    "windows.parquet",
    "summary.json",
    "quality.png",
)
EVERY_WINDOW = 100_000
FROZEN_BATCH = 10_000
POLLING_SECONDS = 0.1


def frozen_scores(account: Account, declaration: ModelDeclaration, stream: pd.DataFrame) -> np.ndarray:
    """What the first champion would have answered to every row of the stream, in its order; NaN without a champion.
    Scores of several classes have the shape (rows, classes).

    The champion is the bytes that served: where a refit did, the refit. :func:`frozen_model` names them. The artefact
    is loaded from the store and verified as the endpoint does it.
    """
    store = account.registry(declaration.model)
    number = first_champion(store)
    if number is None:
        classes = declaration.problem.classes
        return np.full((len(stream), len(classes)) if classes else len(stream), np.nan)
    first = store.versions.get(number)
    artifact = load_artifact(
        account.client("s3"), account.platform.artifact_bucket, first.artifact_prefix, first.manifest_sha256
    )
    contract = artifact.contract
    num = stream[[field.name for field in contract.numbers]].to_numpy(np.float64)
    cat = stream[[field.name for field in contract.categories]].fillna("").to_numpy(object)
    scores = [
        artifact.scorer.score(num[start : start + FROZEN_BATCH], cat[start : start + FROZEN_BATCH])
        for start in range(0, len(stream), FROZEN_BATCH)
    ]
    return np.concatenate(scores)


def frozen_model(store: RegistryStore) -> FrozenModel:
    """Which bytes the frozen model is: ``version``, ``kind``, ``model_sha256``, and the newest row it learned from.

    Nothing, where no version was ever promoted.
    """
    number = first_champion(store)
    if number is None:
        return {}
    first = store.versions.get(number)
    known = origin(first, store.snapshots.find(first.snapshot_hash))
    return {
        "version": first.version,
        "kind": known.kind,
        "model_sha256": known.serving_sha256,
        "learned_until": known.learned_until,
    }


def first_champion(store: RegistryStore) -> int | None:
    """The number of the version that was promoted first, or None."""
    promoted = (r.version for r in store.ledger.audit_records() if r.action == "promoted" and r.version is not None)
    return next(promoted, None)


def window_rows(store: RegistryStore) -> pd.DataFrame:
    """Every monitored window as one row, oldest first; what is nested is JSON text."""
    windows = [window.document for window in reversed(store.windows.latest(EVERY_WINDOW))]
    if not windows:
        return pd.DataFrame(columns=[field.name for field in fields(WindowRecord)])
    return pd.DataFrame([{name: _cell(value) for name, value in window.items()} for window in windows])


def write_parquet(frame: pd.DataFrame, file: Path) -> None:
    """Write evidence, times in milliseconds."""
    frame.to_parquet(file, index=False, coerce_timestamps="ms", allow_truncated_timestamps=True)


def count_captured(account: Account, declaration: ModelDeclaration) -> int:
    """Distinct predictions in the lake, counted by a query as a person would count them."""
    return _counted(account, f'SELECT count(DISTINCT prediction_id) AS n FROM "{declaration.model}_predictions"')


def count_joined(account: Account, declaration: ModelDeclaration) -> int:
    """Distinct predictions in the lake that have a label there."""
    name = declaration.model
    return _counted(
        account,
        f'SELECT count(DISTINCT p.prediction_id) AS n FROM "{name}_predictions" p '
        f'JOIN "{name}_labels" l ON p.prediction_id = l.prediction_id',
    )


def _counted(account: Account, sql: str) -> int:
    """What ``sql`` counts as ``n``."""
    return int(query_lake(account, sql)["n"].iloc[0])


def query_lake(account: Account, sql: str) -> pd.DataFrame:
    """What the platform's Athena workgroup answers.

    Raises
    ------
    LoopNotClosedError
        The query failed.
    """
    import awswrangler

    try:
        answer: pd.DataFrame = awswrangler.athena.read_sql_query(
            sql,
            database=account.platform.glue_database,
            workgroup=account.platform.athena_workgroup,
            ctas_approach=False,
            boto3_session=account.session,
            athena_query_wait_polling_delay=POLLING_SECONDS,
        )
    except awswrangler.exceptions.QueryFailed as error:
        raise LoopNotClosedError(f"a query of the lake failed: {error}: {sql}", "see the cloud's log") from error
    return answer


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def with_losses(windows: pd.DataFrame, predictions: pd.DataFrame, declaration: ModelDeclaration) -> pd.DataFrame:
    """The windows, each with the loss of the loop's answers and of the frozen model's to its labelled rows.

    The loss is the gate's metric, its mean over the rows asked within the window's labelled part; NaN without any.
    """
    kind = declaration.problem.type
    labelled = predictions[predictions["label"].notna()]
    times = labelled["time"].dt.tz_localize(None).to_numpy()
    labels = labelled["label"].to_numpy()
    losses = {
        model: row_losses(declaration.gate.metric, labels, scores_of(labelled, model, kind))
        if len(labels)
        else np.empty(0)
        for model in ("loop", "frozen")
    }
    columns: dict[str, list[float]] = {f"{model}_loss": [] for model in losses}
    for start, end in zip(windows["labelled_start"], windows["labelled_end"], strict=True):
        inside = (times >= _moment(start)) & (times < _moment(end))
        for model, loss in losses.items():
            columns[f"{model}_loss"].append(float(loss[inside].mean()) if inside.any() else float("nan"))
    return windows.assign(**columns)


def _moment(text: str) -> np.datetime64:
    return np.datetime64(pd.Timestamp(text).tz_convert(None))
