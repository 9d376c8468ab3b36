"""The job of a fresh probe: the model's own program on a sample, scored beside kept probes and the champion.

Written to ``--output``: ``probe.json`` (:class:`everloop.documents.probe.ProbeDocument`), and for the probes to come
``model.onnx``, ``contract.json`` and ``state.json`` (what recalibration learned of each probe by the window's end).

The job runs the model's own program and reads the labels of the window, so nothing of it is a verdict: what it finds
can ask for a training, whose candidate the gate judges on its own rows.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from everloop.documents.probe import (
    RESULT,
    STATE,
    ChampionLosses,
    KeptProbe,
    PastProbe,
    PlannedSpan,
    PlannedWarmStart,
    ProbeDocument,
    ProbePlan,
    SpanProbe,
    VersionLosses,
    WarmProbe,
)
from everloop.instants import instant_text
from everloop.json_text import read_json
from everloop.manifest import CONTRACT, MODEL, sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.recalibration.calibration import Kind
from everloop.recalibration.exceptions import StateFormatError
from everloop.recalibration.state import State
from everloop.retraining.probe.served import served_scores, started
from everloop.retraining.spans import span_told
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ScorerError
from everloop.serving.scorer import Scorer
from everloop.training.champion import Champion
from everloop.training.channels import Split, read_split
from everloop.training.contract import build_contract
from everloop.training.declaration import read_declaration
from everloop.training.exceptions import ChampionError, JobError, KeptProbeError
from everloop.training.onnx_export import (
    ExportRefusedError,
    ModelInputs,
    ParityError,
    check_parity,
)
from everloop.training.own_export import exported, loaded
from everloop.training.probe_files import FilesOnS3, ProbeFiles, recorded_file
from everloop.training.probe_window import Losses, Window, day_of, read_window
from everloop.training.record import code_hash
from everloop.training.scoring import arrays, score
from everloop.training.train import write_json
from everloop.training.user_script import run_user_script
from everloop.training.warm_probe import WarmStart
from everloop.typed_json import as_json, read_as

logger = logging.getLogger("everloop.probe")

MARGIN = 2.0
"""Of the longest training so far: so much time has to be left before another probe is begun."""

FRESH = "fresh"
"""What the state of the probe itself is called in ``state.json``; those of kept ones bear the end of their window, and
those of older versions their number."""


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (JobError, ExportRefusedError, ParityError) as error:
        return _fail(options.message, str(error))
    except Exception as error:
        logger.exception("the job failed because of a bug in its code")
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
    measure(
        options.code,
        train=options.train,
        window=options.window,
        plan=options.plan,
        output=options.output,
        files=(files := FilesOnS3(boto3.client("s3"), declaration.model)),
        kept=files.kept_estimator,
    )


def measure(
    code: Path,
    *,
    train: Path,
    window: Path,
    plan: Path,
    output: Path,
    files: ProbeFiles,
    kept: Callable[[PlannedWarmStart], bytes] | None = None,
) -> None:
    """Read the job's folders, train the probe, score all, and write; raises as :func:`run`.

    Parameters
    ----------
    kept : callable, optional
        Gives the kept estimator of the version that a warm start continues; without it none is measured.
    """
    declaration = read_declaration(code)
    planned = read_as(ProbePlan, read_json((plan / "plan.json").read_bytes()), "plan.json", "start it again")
    rows = read_split(train, declaration, labelled=True)
    scored = read_window(window, declaration, planned)
    spans = [(span, read_split(plan / span["folder"], declaration, labelled=True)) for span in planned["spans"]]
    logger.info("probing %s to %s", instant_text(planned["window_start"]), instant_text(planned["window_end"]))
    warm = None
    continued = planned.get("warm_start")
    if continued is not None and kept is not None:
        warm = WarmStart.of(
            continued, kept, planned, [(planned["fresh_days"], rows), *((s["days"], r) for s, r in spans)]
        )
    document, made = probe(declaration, planned, rows, scored, spans=spans, warm=warm, code=code, files=files)
    output.mkdir(parents=True, exist_ok=True)
    for name, data in made.items():
        (output / name).write_bytes(data)
    write_json(output / RESULT, as_json(document))


def probe(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    train: Split,
    window: Window,
    *,
    spans: Sequence[tuple[PlannedSpan, Split]] = (),
    warm: WarmStart | None = None,
    code: Path,
    files: ProbeFiles,
) -> tuple[ProbeDocument, dict[str, bytes]]:
    """Train and score; the document, and the probe's files.

    Parameters
    ----------
    spans : sequence of (PlannedSpan, Split)
        What other probes learn from, which are not kept.
    warm : WarmStart, optional
        What one more probe continues.
    files : ProbeFiles
        Where kept probes and registered versions are.
    """
    hurry = Hurry.of(declaration)
    with hurry.timed():
        model, contract = _train(declaration, train, window.rows, code)
    losses = Losses(declaration, window)
    inside = window.inside
    states = _states(plan, files)
    fresh, state = _served(declaration, plan, window, _scores(model, contract, window), states.get(FRESH), window.begin)
    learned = {FRESH: state}
    left_out: dict[str, str] = {}
    past: list[PastProbe] = []
    for kept in plan["kept"]:
        name = instant_text(kept["window_end"])
        try:
            raw = _scores(*_kept_model(kept, files), window)
        except (ChampionError, KeptProbeError, ScorerError) as error:
            left_out[f"probe of {name}"] = str(error)
            continue
        own = day_of(kept["window_end"]) - (window.end - window.begin)
        scores, learned[name] = _served(declaration, plan, window, raw, states.get(name), own)
        age = (window.end - day_of(kept["window_end"])) / (window.end - window.begin)
        past.append({"window_end": kept["window_end"], "age": age, "losses": losses.of(scores, inside)})
    champion = _champion(declaration, plan, window, fresh, losses, _Others(states, learned, left_out, files))
    made = {
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
        "fresh_days": plan["fresh_days"],
        "past": past,
        "spans": _spans(declaration, plan, spans, window, losses, left_out, code=code, hurry=hurry),
        "warm_start": _warm(declaration, plan, warm, window, losses, left_out, code=code, hurry=hurry),
        "champion": champion,
        "left_out": left_out,
        "files": {name: sha256_hex(data) for name, data in made.items()},
        "code_sha256": code_hash(code),
    }
    return document, made


class Hurry:
    """Whether the job has time for another training: while :data:`MARGIN` times the longest one so far is left."""

    def __init__(self, seconds: float) -> None:
        self._end, self._longest = time.monotonic() + seconds, 0.0

    @classmethod
    def of(cls, declaration: ModelDeclaration) -> Self:
        """For the declared time of the job."""
        investment = declaration.retraining.investment
        return cls(math.inf if investment is None else 60.0 * investment.probe_minutes)

    @property
    def another(self) -> bool:
        """Whether it has."""
        return time.monotonic() + MARGIN * self._longest < self._end

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a training."""
        begun = time.monotonic()
        yield
        self._longest = max(self._longest, time.monotonic() - begun)


def _spans(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    spans: Sequence[tuple[PlannedSpan, Split]],
    window: Window,
    losses: Losses,
    left_out: dict[str, str],
    *,
    code: Path,
    hurry: Hurry,
) -> list[SpanProbe]:
    """The probes of other spans, as far as the job's time allows: without them the first one still says all it does."""
    found: list[SpanProbe] = []
    for span, rows in spans:
        if not hurry.another:
            left_out[f"probe of {span_told(span['days'])}"] = "no time was left; raise probe_minutes"
            continue
        with hurry.timed():
            raw = _scores(*_train(declaration, rows, window.rows, code), window)
        scores, _ = _served(declaration, plan, window, raw, None, window.begin)
        found.append(
            {
                "days": span["days"],
                "trained_rows": len(rows),
                "labelled_rows": span["labelled_rows"],
                "losses": losses.of(scores, window.inside),
            }
        )
    return found


def _warm(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    warm: WarmStart | None,
    window: Window,
    losses: Losses,
    left_out: dict[str, str],
    *,
    code: Path,
    hurry: Hurry,
) -> WarmProbe | None:
    """The probe that continues what serves, by the program of a training that does."""
    if warm is None:
        return None
    if not hurry.another:
        left_out[warm.name] = "no time was left; raise probe_minutes"
        return None
    with hurry.timed():
        estimator, newer, why = warm.continued(declaration, code / "user_model", window.rows.only(window.inside))
    if estimator is None or warm.rows is None:
        left_out[warm.name] = why
        return None
    raw = _scores(*_exported(declaration, estimator, warm.rows, window.rows), window)
    scores, _ = _served(declaration, plan, window, raw, None, window.begin)
    return {
        "version": warm.planned["version"],
        "trained_rows": newer,
        "losses": losses.of(scores, window.inside),
    }


@dataclass(frozen=True)
class _Others:
    """What older versions are scored with: what recalibration had learned, what it learns, and who is left out."""

    states: dict[str, State]
    learned: dict[str, State | None]
    left_out: dict[str, str]
    files: ProbeFiles


def _champion(
    declaration: ModelDeclaration,
    plan: ProbePlan,
    window: Window,
    fresh: np.ndarray,
    losses: Losses,
    others: _Others,
) -> ChampionLosses | None:
    if plan["champion"] is None:
        return None
    own = window.inside & (window.version == plan["champion"])
    if not own.any():
        return None
    versions: list[VersionLosses] = []
    for older in plan["versions"]:
        name = f"version {older['version']}"
        try:
            raw, first = _version_scores(others.files.version(older), window)
        except ChampionError as error:
            others.left_out[name] = str(error)
            continue
        scores, others.learned[name] = _served(declaration, plan, window, raw, others.states.get(name), first)
        versions.append({"version": older["version"], "losses": losses.of(scores, own)})
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
    return _exported(declaration, estimator, train, scored)


def _exported(
    declaration: ModelDeclaration, estimator: Any, train: Split, scored: Split
) -> tuple[bytes, ServingContract]:
    problem_type = declaration.problem.type
    model, inputs = exported(estimator, ModelInputs.of(declaration), problem_type)
    contract = build_contract(declaration, train.features, inputs)
    check_parity(
        estimator,
        loaded(estimator, model, contract),
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


def _version_scores(version: Champion, window: Window) -> tuple[np.ndarray, int]:
    """What it says of the rows, and the first day that it has not learned from."""
    num, cat = arrays(version.contract, window.rows)
    return np.asarray(score(version.scorer, num, cat), dtype=np.float64), day_of(version.learned_until) + 1


def _kept_model(kept: KeptProbe, files: ProbeFiles) -> tuple[bytes, ServingContract]:
    try:
        contract = ServingContract.from_json(recorded_file(files, kept, CONTRACT))
        return recorded_file(files, kept, MODEL), contract
    except ContractFormatError as error:
        raise KeptProbeError(f"it can't be read: {error}") from error


def _states(plan: ProbePlan, files: ProbeFiles) -> dict[str, State]:
    """What recalibration had learned of the kept probes by the end of the newest one's window."""
    if not plan["kept"]:
        return {}
    newest = plan["kept"][0]
    try:
        found = read_json(recorded_file(files, newest, STATE))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="probe", description=__doc__, allow_abbrev=False)
    path: dict[str, Any] = {"type": Path, "required": True}
    parser.add_argument("--code", help="the unpacked code archive", **path)
    parser.add_argument("--train", help="the folder with the rows to learn from", **path)
    parser.add_argument("--window", help="the folder with the window's rows", **path)
    parser.add_argument("--plan", help="the folder with plan.json", **path)
    parser.add_argument("--output", **path)
    parser.add_argument("--message", help="the file for the reason of a failure: SageMaker's ExitMessage", **path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
