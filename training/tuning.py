"""Chooses parameters: tries some, judges each on validation parts of the training rows, keeps the best.

The search is Optuna's Tree-structured Parzen Estimator (J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for
Hyper-Parameter Optimization", NIPS 2011), seeded with ``training.seed``: the same rows, code and declaration try the
same parameters in the same order. Only how many of them fit into ``minutes`` depends on the machine. The parameters as
declared are tried first, so what is chosen is not worse than they are on the validation parts.

Optuna is imported where a search begins, and nowhere else.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.documents.training import TrainingDocument, TrialDocument, TuningDocument
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.metrics import estimate
from everloop.json_text import canonical_json, read_json
from everloop.manifest import TRAINING, sha256_hex
from everloop.model_file.schema import ModelDeclaration, SearchRange, Tuning
from everloop.numbers_of import number_of
from everloop.shown import shortened
from everloop.training.candidate import unpacked
from everloop.training.channels import Split, moment
from everloop.training.checkpoints import Checkpoints
from everloop.training.exceptions import TuningError, UserScriptError
from everloop.training.onnx_export import trained_scores
from everloop.training.user_script import run_user_script
from everloop.training.validation import Fold, time_folds
from everloop.typed_json import read_as

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger("everloop.training")

Parameters = Mapping[str, str | float | int | bool]

_LONGEST_ERROR = 300


@dataclass(frozen=True)
class Chosen:
    """The parameters of a training, and where they come from.

    Attributes
    ----------
    tuning : TuningDocument or None
        Of the search, where this job made one.
    tuned_by : str or None
        SHA-256 of the ``training.json`` they are taken from, where an earlier job made it.
    """

    parameters: dict[str, str | float | int | bool]
    tuning: TuningDocument | None = None
    tuned_by: str | None = None


def choose_parameters(
    declaration: ModelDeclaration,
    folder: Path,
    train: Split,
    tuned: Path | None,
    checkpoints: Checkpoints | None = None,
) -> Chosen:
    """The declared parameters; with ``training.tuning`` those that a search finds, or that ``tuned`` has.

    Parameters
    ----------
    folder : Path
        The model's folder.
    train : Split
        The rows to learn from. Those of the test part are not among them.
    tuned : Path or None
        The folder with what an earlier training made: its ``model.tar.gz``, or its ``training.json`` alone.
    checkpoints : Checkpoints, optional
        Where finished trials are kept, and taken up again: the search then goes on as if it had not been interrupted.

    Raises
    ------
    TuningError
        When there are too few rows for the validation parts, no trial came to an end, or what was made earlier does
        not say its parameters.
    """
    declared = dict(declaration.training.parameters)
    if tuned is not None:
        return _as_chosen_before(tuned)
    if declaration.training.tuning is None:
        return Chosen(declared)
    search = _Search.of(declaration, folder, train, declaration.training.tuning, checkpoints)
    document = search.run()
    best = document["trials"][document["best"]]
    logger.info(
        "trial %d of %d is the best: %s %.6g with %s",
        *(best["number"], len(document["trials"]), document["metric"], best["value"]),
        canonical_json({name: best["parameters"][name] for name in search.tuning.space}),
    )
    return Chosen(dict(best["parameters"]), tuning=document)


def _as_chosen_before(folder: Path) -> Chosen:
    alone = folder / TRAINING
    content = alone.read_bytes() if alone.is_file() else unpacked(folder / "model.tar.gz")[TRAINING]
    told = read_as(TrainingDocument, read_json(content), TRAINING, "start a new run", refusal=TuningError)
    logger.info("the parameters are those that the training before this one chose")
    return Chosen(dict(told["parameters"]), tuned_by=sha256_hex(content))


class _TimeIsUp(BaseException):
    """Ends a trial; not an ``Exception``, so that a script that catches its own does not catch this."""


@dataclass
class _Search:
    """A search under way."""

    declaration: ModelDeclaration
    folder: Path
    tuning: Tuning
    folds: tuple[Fold, ...]
    ends_at: float
    trials: list[TrialDocument] = field(default_factory=list)
    known: dict[str, float] = field(default_factory=dict)
    """The values of complete trials, by their parameters as text."""
    checkpoints: Checkpoints | None = None
    finished: list[TrialDocument] = field(default_factory=list)
    """Those from before an interruption."""

    @classmethod
    def of(
        cls,
        declaration: ModelDeclaration,
        folder: Path,
        train: Split,
        tuning: Tuning,
        checkpoints: Checkpoints | None,
    ) -> _Search:
        problem = declaration.problem
        classes = 2 if problem.type == "binary_classification" else len(problem.classes or ())
        held = HeldGroups.of(declaration)
        apart = None if held is None else held_rows(held.for_validation(), train.features[held.column])
        folds = time_folds(train, folds=tuning.folds, days=tuning.fold_days, classes=classes, apart=apart)
        finished = [] if checkpoints is None else checkpoints.trials()
        if finished:
            logger.info("the search goes on behind %s of before", number_of(len(finished), "finished trial"))
        left = tuning.minutes * 60 - sum(trial["seconds"] for trial in finished)
        ends_at = time.monotonic() + left
        return cls(declaration, folder, tuning, folds, ends_at, checkpoints=checkpoints, finished=finished)

    def run(self) -> TuningDocument:
        try:
            import optuna
        except ImportError as error:
            raise TuningError(
                "training.tuning needs the package optuna, which is not installed here: install the jobs' packages by"
                " their lock, or what requirements-dev.txt names"
            ) from error

        began = time.monotonic() - sum(trial["seconds"] for trial in self.finished)
        metric, tuning, seed = self.declaration.gate.metric, self.tuning, self.declaration.training.seed
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="minimize",  # the gate's metrics are losses
            sampler=optuna.samplers.TPESampler(seed=seed),
        )
        declared = self._declared()
        if declared is not None:
            study.enqueue_trial(declared)
        ended_by = "trials"
        for number in range(tuning.trials):
            if len(self.known) == _size(tuning.space):
                ended_by = "space"
                break
            if (number >= len(self.finished) and time.monotonic() >= self.ends_at) or not self._try(study, number):
                ended_by = "minutes"
                break
        complete = [t for t in self.trials if t["value"] is not None]
        if not complete:
            raise TuningError(self._why_none(ended_by))
        best = min(complete, key=lambda t: (t["value"] or 0.0, t["number"]))
        return {
            "metric": metric,
            "seed": seed,
            "optuna": optuna.__version__,
            "folds": [
                {
                    "after": moment(fold.after),
                    "until": moment(fold.until),
                    "rows": len(fold.validate),
                    "fitted_on": len(fold.fit),
                }
                for fold in self.folds
            ],
            "trials": self.trials,
            "best": best["number"],
            "declared": None if declared is None else 0,
            "ended_by": ended_by,  # type: ignore[typeddict-item]  # one of the three words above
            "seconds": round(time.monotonic() - began, 3),
        }

    def _declared(self) -> dict[str, str | float | int | bool] | None:
        """The declared parameters of the space, where each is declared and lies within."""
        declared = self.declaration.training.parameters
        wanted = {name: declared[name] for name in self.tuning.space if name in declared}
        inside = len(wanted) == len(self.tuning.space) and all(
            _within(wanted[name], searched) for name, searched in self.tuning.space.items()
        )
        return wanted if inside else None

    def _try(self, study: optuna.Study, number: int) -> bool:
        """One trial, recorded; False where the time was up."""
        import optuna

        trial = study.ask()
        asked = {name: _suggested(trial, name, searched) for name, searched in self.tuning.space.items()}
        parameters = {**self.declaration.training.parameters, **asked}
        if self._known_from_before(study, trial, number, parameters):
            return True
        began, scores, text = time.monotonic(), list[float](), canonical_json(parameters)
        state, error = "complete", None
        if text in self.known:
            # A search in a small space comes back to the same place; the same parameters give the same value.
            value = self.known[text]
            study.tell(trial, value)
            scores = next(t["folds"] for t in self.trials if t["parameters"] == parameters and t["value"] is not None)
            self._record(number, "complete", parameters, value, list(scores), began)
            return True
        try:
            with _alarm(self.ends_at):
                for fold in self.folds:
                    scores.append(self._score(fold, parameters))
        except _TimeIsUp:
            _be_silent()
            state = "cut_off"
        except (UserScriptError, EvaluationError) as failure:
            state, error = "failed", shortened(str(failure).partition("\n")[0], _LONGEST_ERROR)
            logger.warning("trial %d failed: %s", number, error)
        if state != "complete":
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self._record(number, state, parameters, None, scores, began, error)
            return state != "cut_off"
        value = float(np.mean(scores))
        self.known[text] = value
        study.tell(trial, value)
        self._record(number, "complete", parameters, value, scores, began)
        return True

    def _known_from_before(self, study: optuna.Study, trial: optuna.Trial, number: int, parameters: Parameters) -> bool:
        """Whether this trial came to an end before an interruption: then it is told as it ended, and not made again.

        The sampler is asked for each, so that it goes on in the same state as without an interruption.
        """
        import optuna

        if number >= len(self.finished):
            return False
        earlier = self.finished[number]
        if earlier["parameters"] != parameters:
            logger.warning(
                "the kept trials are not those of this search: it goes on without them from trial %d", number
            )
            del self.finished[number:]
            return False
        if earlier["value"] is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, earlier["value"])
            self.known[canonical_json(parameters)] = earlier["value"]
        self.trials.append(earlier)
        return True

    def _score(self, fold: Fold, parameters: Parameters) -> float:
        """The metric on the fold's validation part, of a model that was fitted on the rows before it."""
        kind, metric = self.declaration.problem.type, self.declaration.gate.metric
        fitted = run_user_script(self.folder, self.declaration, fold.fit, parameters=parameters)
        scores = np.asarray(trained_scores(fitted, fold.validate.features, kind), dtype=np.float64)
        found = estimate(metric, fold.validate.labels, scores).value
        if not math.isfinite(found):
            raise EvaluationError(f"{metric} is {found} on the validation part after {fold.after}")
        return found

    def _record(
        self,
        number: int,
        state: str,
        parameters: dict[str, str | float | int | bool],
        value: float | None,
        scores: list[float],
        began: float,
        error: str | None = None,
    ) -> None:
        made: TrialDocument = {
            "number": number,
            "state": state,  # type: ignore[typeddict-item]  # one of the document's three words
            "parameters": parameters,
            "value": value,
            "folds": scores,
            "seconds": round(time.monotonic() - began, 3),
        }
        if error is not None:
            made["error"] = error
        self.trials.append(made)
        if self.checkpoints is not None and state != "cut_off":
            self.checkpoints.keep_trials(self.trials)
        logger.info("trial %d: %s %s", number, state, "" if value is None else f"{value:.6g}")

    def _why_none(self, ended_by: str) -> str:
        minutes = f"{self.tuning.minutes:g}"
        failed = next((t["error"] for t in self.trials if "error" in t), None)
        if failed is not None:
            return (
                f"none of {number_of(len(self.trials), 'trial')} of training.tuning came to an end; the first that"
                f" failed: {failed}"
            )
        return (
            f"no trial of training.tuning came to an end within {minutes} minutes ({ended_by}); give"
            " training.tuning.minutes more, declare fewer folds, or train a smaller model"
        )


def _suggested(trial: optuna.Trial, name: str, searched: SearchRange) -> str | float | int | bool:
    if searched.values is not None:
        return cast("str | float | int | bool", trial.suggest_categorical(name, searched.values))
    low, high = searched.low, searched.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=searched.log)
    return trial.suggest_float(name, float(low or 0.0), float(high or 0.0), log=searched.log)


def _within(value: Any, searched: SearchRange) -> bool:
    if searched.values is not None:
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in searched.values)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(searched.low, int)
    return number and (not whole or isinstance(value, int)) and (searched.low or 0) <= value <= (searched.high or 0)


def _size(space: Mapping[str, SearchRange]) -> int | None:
    """How many sets of parameters there are; None where a number of the space is not whole."""
    size = 1
    for searched in space.values():
        if searched.values is not None:
            size *= len({canonical_json(value) for value in searched.values})
        elif isinstance(searched.low, int) and isinstance(searched.high, int):
            size *= searched.high - searched.low + 1
        else:
            return None
    return size


@contextmanager
def _alarm(ends_at: float) -> Iterator[None]:
    """Within it :class:`_TimeIsUp` is raised once the time has come, and each second until somebody lets it pass.

    That takes the main thread of a Unix process, as a job's program is. Elsewhere a trial ends where it ends itself.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUp

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(ends_at - time.monotonic(), 1e-6), 1.0)
    try:
        yield
    finally:
        _be_silent()


def _be_silent() -> None:
    """No more alarms. Called again where one rang while the first call was on its way."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
