"""The job of a fresh probe: the model's own program on a sample, scored beside kept probes and the champion.

Written to ``--output``: ``probe.json`` (:class:`everloop.documents.probe.ProbeDocument`), and for the probes to come
``model.onnx``, ``contract.json`` and ``state.json`` (what recalibration learned of each probe by the window's end).

The job runs the model's own program and reads the labels of the window, so nothing of it is a verdict: what it finds
can ask for a training, whose candidate the gate judges on its own rows.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq

from everloop.documents.probe import (
    RESULT,
    SERVED,
    STATE,
    VERSION,
    ChampionLosses,
    DailyLosses,
    KeptProbe,
    OlderVersion,
    PastProbe,
    ProbeDocument,
    ProbePlan,
    RecentProbe,
    VersionLosses,
)
from everloop.instants import instant_text
from everloop.json_text import read_json
from everloop.limits import largest_file
from everloop.manifest import CONTRACT, MODEL, sha256_hex
from everloop.model_file import ModelDeclaration
from everloop.objects import read_object
from everloop.recalibration.calibration import Kind
from everloop.recalibration.exceptions import StateFormatError
from everloop.recalibration.state import State
from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.money import best_threshold, row_costs
from everloop.retraining.probe.served import served_scores, started
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ScorerError
from everloop.serving.scorer import Scorer
from everloop.training.champion import fetch_champion
from everloop.training.channels import Split, read_split
from everloop.training.contract import build_contract
from everloop.training.declaration import read_declaration
from everloop.training.exceptions import ChampionError, JobError, KeptProbeError
from everloop.training.onnx_export import (
    ExportRefusedError,
    ModelInputs,
    ParityError,
    check_parity,
    export_onnx,
    used_inputs,
)
from everloop.training.record import code_hash
from everloop.training.scoring import arrays, score
from everloop.training.train import write_json
from everloop.training.user_script import run_user_script
from everloop.typed_json import as_json, read_as

logger = logging.getLogger("everloop.probe")

FRESH = "fresh"
"""What the state of the probe itself is called in ``state.json``; those of kept ones bear the end of their window."""


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (JobError, ExportRefusedError, ParityError) as error:
        return _fail(options.message, str(error))
    except Exception as error:
        logger.exception("the job failed in its own code")
        return _fail(options.message, f"{type(error).__name__}: {error}")
    return 0


def _fail(message_file: Path, message: str) -> int:
    logger.error("%s", message)
    message_file.parent.mkdir(parents=True, exist_ok=True)
    message_file.write_text(message, encoding="utf-8")
    return 1


def run(options: argparse.Namespace) -> None:
    """Train the probe, score all, and write.

    Raises
    ------
    JobError, ExportRefusedError, ParityError
        When the rows, the script or the model are refused.
    """
    import boto3

    declaration = read_declaration(options.code)
    plan = read_as(ProbePlan, read_json((options.plan / "plan.json").read_bytes()), "plan.json", "ask for it again")
    train = read_split(options.train, declaration, labelled=True)
    window = read_window(options.window, declaration, plan)
    recent = None
    if plan["recent_days"] is not None:
        recent = read_split(options.plan / "recent", declaration, labelled=True)
    logger.info("probing %s to %s", instant_text(plan["window_start"]), instant_text(plan["window_end"]))
    document, files = probe(declaration, plan, train, window, recent=recent, code=options.code, s3=boto3.client("s3"))
    options.output.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (options.output / name).write_bytes(data)
    write_json(options.output / RESULT, as_json(document))


@dataclass(frozen=True)
class Window:
    """The rows to score, those of a few days before the window included.

    Attributes
    ----------
    served, version : float array, shape (rows,)
        The score that a caller got, and the version that answered.
    day : int array, shape (rows,)
        Days since 1970.
    begin, end : int
        The window's days, the end not included.
    """

    rows: Split
    target: np.ndarray
    served: np.ndarray
    version: np.ndarray
    day: np.ndarray
    begin: int
    end: int

    @property
    def inside(self) -> np.ndarray:
        """Which rows are the window's, bool, shape (rows,)."""
        return np.asarray((self.day >= self.begin) & (self.day < self.end))

    def by_day(self, values: np.ndarray, chosen: np.ndarray) -> list[float]:
        """Sums of the chosen rows' values by the window's days."""
        found = np.bincount(self.day[chosen] - self.begin, weights=values[chosen], minlength=self.end - self.begin)
        return [float(total) for total in found]

    def count(self, chosen: np.ndarray) -> list[int]:
        """The chosen rows by the window's days."""
        return [int(n) for n in self.by_day(np.ones(len(self.day)), chosen)]


def read_window(folder: Path, declaration: ModelDeclaration, plan: ProbePlan) -> Window:
    """The window's rows with what was served."""
    rows = read_split(folder, declaration, labelled=True)
    parts = [pq.read_table(part, columns=[SERVED, VERSION]) for part in sorted(folder.rglob("*.parquet"))]

    def column(name: str) -> np.ndarray:
        return np.concatenate([part.column(name).to_numpy().astype(np.float64) for part in parts])

    return Window(
        rows=rows,
        target=rows.labels.astype(np.float64),
        served=column(SERVED),
        version=column(VERSION),
        day=rows.days.astype(np.int64),
        begin=_day(plan["window_start"]),
        end=_day(plan["window_end"]),
    )


def probe(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    train: Split,
    window: Window,
    *,
    recent: Split | None = None,
    code: Path,
    s3: Any,
) -> tuple[ProbeDocument, dict[str, bytes]]:
    """Train and score; the document, and the probe's files.

    Parameters
    ----------
    recent : Split, optional
        What a second probe learns from, which is not kept.
    """
    model, contract = _train(declaration, train, window.rows, code)
    losses = Losses(declaration, window)
    inside = window.inside
    states = _states(plan, s3)
    fresh, state = _served(declaration, plan, window, _scores(model, contract, window), states.get(FRESH), window.begin)
    learned = {FRESH: state}
    left_out: dict[str, str] = {}
    past: list[PastProbe] = []
    for kept in plan["kept"]:
        name = instant_text(kept["window_end"])
        try:
            raw = _scores(*_kept_model(kept, s3), window)
        except (ChampionError, KeptProbeError, ScorerError) as error:
            left_out[f"probe of {name}"] = str(error)
            continue
        own = _day(kept["window_end"]) - (window.end - window.begin)
        scores, learned[name] = _served(declaration, plan, window, raw, states.get(name), own)
        age = (window.end - _day(kept["window_end"])) / (window.end - window.begin)
        past.append({"window_end": kept["window_end"], "age": age, "losses": losses.of(scores, inside)})
    files = {
        MODEL: model,
        CONTRACT: contract.to_json(),
        STATE: _state_bytes(learned),
    }
    document: ProbeDocument = {
        "model": declaration.model,
        "metric": declaration.gate.metric,
        "window_start": plan["window_start"],
        "window_end": plan["window_end"],
        "as_of": plan["as_of"],
        "days": [str(np.datetime64(day, "D")) for day in range(window.begin, window.end)],
        "rows": window.count(inside),
        "window_rows": plan["window_rows"],
        "trained_rows": len(train),
        "labelled_rows": plan["labelled_rows"],
        "trained_until": train.last,
        "fresh": losses.of(fresh, inside),
        "past": past,
        "recent": _recent(declaration, plan, recent, window, losses, code),
        "champion": _champion(declaration, plan, window, fresh, losses, left_out, s3),
        "left_out": left_out,
        "files": {name: sha256_hex(data) for name, data in files.items()},
        "code_sha256": code_hash(code),
    }
    return document, files


class Losses:
    """What scores lose, in the gate's metric and in money."""

    def __init__(self, declaration: ModelDeclaration, window: Window) -> None:
        self._declaration, self._window = declaration, window

    def of(self, scores: np.ndarray, chosen: np.ndarray) -> DailyLosses:
        """By day, over the chosen rows."""
        window, declaration = self._window, self._declaration
        loss = row_losses(window.target, scores, declaration.gate.metric)
        money = None
        if declaration.problem.has_prices:
            classes = declaration.problem.type == "binary_classification"
            money = self._money(scores, chosen, declaration.serving.threshold if classes else None)
        return {"loss": window.by_day(loss, chosen), "money": money}

    def at_best_threshold(self, scores: np.ndarray, chosen: np.ndarray) -> list[float] | None:
        """In money by day, if decisions were taken from the threshold on that costs least; None without one."""
        best = best_threshold(self._declaration.problem.value)
        classes = self._declaration.problem.type == "binary_classification"
        return self._money(scores, chosen, best) if classes and best is not None else None

    def _money(self, scores: np.ndarray, chosen: np.ndarray, threshold: float | None) -> list[float]:
        costs = row_costs(self._window.target, scores, self._declaration.problem.value, threshold)
        return self._window.by_day(costs, chosen)


def _recent(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    recent: Split | None,
    window: Window,
    losses: Losses,
    code: Path,
) -> RecentProbe | None:
    if recent is None or plan["recent_days"] is None:
        return None
    raw = _scores(*_train(declaration, recent, window.rows, code), window)
    scores, _ = _served(declaration, plan, window, raw, None, window.begin)
    return {
        "days": plan["recent_days"],
        "trained_rows": len(recent),
        "losses": losses.of(scores, window.inside),
    }


def _champion(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    window: Window,
    fresh: np.ndarray,
    losses: Losses,
    left_out: dict[str, str],
    s3: Any,
) -> ChampionLosses | None:
    if plan["champion"] is None:
        return None
    own = window.inside & (window.version == plan["champion"])
    if not own.any():
        return None
    versions: list[VersionLosses] = []
    for older in plan["versions"]:
        try:
            raw = _version_scores(declaration, older, window, s3)
        except ChampionError as error:
            left_out[f"version {older['version']}"] = str(error)
            continue
        versions.append({"version": older["version"], "losses": losses.of(raw, own)})
    return {
        "version": plan["champion"],
        "rows": window.count(own),
        "losses": losses.of(window.served, own),
        "best_threshold_money": losses.at_best_threshold(window.served, own),
        "fresh": losses.of(fresh, own),
        "versions": versions,
    }


def _train(declaration: ModelDeclaration, train: Split, scored: Split, code: Path) -> tuple[bytes, ServingContract]:
    estimator = run_user_script(code / "user_model", declaration, train)
    problem_type = declaration.problem.type
    inputs = used_inputs(estimator, ModelInputs.of(declaration), problem_type)
    model = export_onnx(estimator, inputs, problem_type).SerializeToString()
    contract = build_contract(declaration, train.features, inputs)
    check_parity(
        estimator,
        Scorer.from_bytes(model, contract),
        scored.features,
        inputs=inputs,
        problem_type=problem_type,
        threshold=contract.threshold,
    )
    return model, contract


def _scores(model: bytes, contract: ServingContract, window: Window) -> np.ndarray:
    num, cat = arrays(contract, window.rows)
    return np.asarray(score(Scorer.from_bytes(model, contract), num, cat), dtype=np.float64)


def _served(
    declaration: ModelDeclaration, plan: ProbePlan, window: Window, raw: np.ndarray, state: State | None, own: int
) -> tuple[np.ndarray, State | None]:
    """As the champion is served: where it is not recalibrated, probes are not either."""
    kind: Kind = "log_odds" if declaration.problem.type == "binary_classification" else "value"
    if declaration.recalibration is None:
        state = None
    elif state is None or state.kind != kind or state.delay != plan["lag_days"]:
        state = started(kind, raw[window.inside], plan["lag_days"], declaration.recalibration.max_shift)
    return served_scores(raw, window.target, window.day, begin=window.begin, end=window.end, state=state, own=own)


def _version_scores(declaration: ModelDeclaration, older: OlderVersion, window: Window, s3: Any) -> np.ndarray:
    version = fetch_champion(older["uri"], s3, model=declaration.model)
    num, cat = arrays(version.contract, window.rows)
    return np.asarray(score(version.scorer, num, cat), dtype=np.float64)


def _kept_model(kept: KeptProbe, s3: Any) -> tuple[bytes, ServingContract]:
    read = _reader(kept, s3)
    try:
        return read(MODEL), ServingContract.from_json(read(CONTRACT))
    except ContractFormatError as error:
        raise KeptProbeError(f"it can't be read: {error}") from error


def _states(plan: ProbePlan, s3: Any) -> dict[str, State]:
    """What recalibration had learned of the kept probes by the end of the newest one's window."""
    if not plan["kept"]:
        return {}
    newest = plan["kept"][0]
    try:
        found = read_json(_reader(newest, s3)(STATE))
        states = {name: State.from_document(document) for name, document in found.items() if document is not None}
    except (KeptProbeError, StateFormatError, ValueError, AttributeError) as error:
        logger.warning("probes are recalibrated from the start: %s", error)
        return {}
    # What was the fresh one then is the newest of the kept ones now.
    fresh = states.pop(FRESH, None)
    return {**states, instant_text(newest["window_end"]): fresh} if fresh is not None else states


def _state_bytes(states: dict[str, State | None]) -> bytes:
    import json

    told = {name: None if state is None else state.to_document() for name, state in states.items()}
    return json.dumps(told, sort_keys=True, allow_nan=False).encode()


def _reader(kept: KeptProbe, s3: Any) -> Callable[[str], bytes]:
    from botocore.exceptions import ClientError

    parts = urlsplit(kept["uri"])

    def read(name: str) -> bytes:
        key = parts.path.lstrip("/") + name
        try:
            data = read_object(s3, parts.netloc, key, largest_file(name))
        except ClientError as error:
            raise KeptProbeError(f"s3://{parts.netloc}/{key} can't be read: {error}") from error
        if sha256_hex(data) != kept["files"].get(name):
            raise KeptProbeError(f"s3://{parts.netloc}/{key} is not the file that was recorded")
        return data

    return read


def _day(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)).days


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="probe", description=__doc__, allow_abbrev=False)
    path: dict[str, Any] = {"type": Path, "required": True}
    parser.add_argument("--code", help="the unpacked code archive", **path)
    parser.add_argument("--train", help="the folder with the rows to learn from", **path)
    parser.add_argument("--window", help="the folder with the window's rows", **path)
    parser.add_argument("--plan", help="the folder with plan.json", **path)
    parser.add_argument("--output", **path)
    parser.add_argument("--message", help="where to say why the job failed: SageMaker's ExitMessage", **path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
