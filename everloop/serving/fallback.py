"""What answers where a model can't: the declared fallback. Only a model that declares one imports this.

A fallback answers whole requests, under the version's own contract as far as that can be read. Its answers are no
version's: they are captured without one, so that nothing that judges a version by its scores meets them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from everloop.exceptions import TerminalError
from everloop.json_text import read_json
from everloop.manifest import CONTRACT, TRAINING, Manifest, verify_files
from everloop.names import PREVIOUS_CHAMPION, REFUSED_BY_CONTRACT
from everloop.problem_types import MULTICLASS
from everloop.serving.artifact import Artifact, verified_artifact, verified_manifest
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.declared import Declared, DeclaredFallback, declared_features
from everloop.serving.exceptions import ArtifactRefusedError, NoScoreError, RequestError
from everloop.serving.response import CONTRACT_CODES
from everloop.serving.rows import Rows
from everloop.serving.scorer import Scorer
from everloop.serving.scores import Scores
from everloop.serving.standby import Standby
from everloop.serving.unusable import score_rows

if TYPE_CHECKING:
    from everloop.evaluation.baseline import Baseline

Score = Callable[[Scorer, ServingContract, Rows], np.ndarray]


class TooSlowError(TerminalError):
    """A model has not scored a request's rows in the declared time."""


class NoSubstituteError(TerminalError):
    """The declared fallback has nothing to answer with."""


class Source(NamedTuple):
    """Where a version's files are read, the hash that its manifest must have, and the key that must have signed it."""

    read: Callable[[str], bytes]
    manifest_sha256: str
    signer: str = ""


@dataclass(frozen=True)
class Substitute:
    """What answers in place of a model.

    Attributes
    ----------
    contract : ServingContract
        What its requests must look like.
    version : int
        The version that was to answer, as the answer says it.
    captured_as : int or None
        The version under which its rows are captured; None for none.
    scores : callable
        The scores of a request's rows, and when it came.
    """

    contract: ServingContract
    version: int
    captured_as: int | None
    scores: Callable[[Rows, datetime], Scores]


@dataclass(frozen=True)
class Previous:
    """The version that stands by, and what reads its files."""

    standby: Standby
    read: Callable[[str], bytes]


class Fallback:
    """The fallback of a version.

    Parameters
    ----------
    declaration : Declared
        The declaration, whose ``serving.fallback`` is there.
    version : int
        The version that it stands in for.
    source : Source or None
        Where that version's files are, if it was not loaded; None where it always is.
    previous : Previous or None
        The version that served before, of the use ``previous_champion``; None where there is none.
    """

    def __init__(
        self,
        model: str,
        declared: DeclaredFallback,
        declaration: Declared,
        *,
        version: int,
        source: Source | None,
        previous: Previous | None = None,
    ) -> None:
        self.use = declared["use"]
        self._model = model
        self._declared = declared
        self._declaration = declaration
        self._version = version
        self._source = source
        self._previous = previous
        self._loaded: Artifact | None = None
        self._learned: tuple[ServingContract, Baseline] | None = None

    def scoring(self, score: Score) -> Score:
        """``score``, within the declared time; :class:`TooSlowError` is raised after it."""
        after = self._declared["after_ms"]
        return score if after is None else TimeLimit(score, after / 1000)

    def reason(self, error: Exception, artifact: Artifact | None) -> str:
        """What kind of failure an error is, whether or not the version's ``artifact`` was loaded."""
        known = {NoScoreError: "no_score", ArtifactRefusedError: "artifact_refused", TooSlowError: "too_slow"}
        known[RequestError] = REFUSED_BY_CONTRACT
        return known.get(type(error), "not_loaded" if artifact is None else "model_failed")

    def answers_refused(self, code: str, at: datetime) -> bool:
        """Whether a request that came ``at``, and that the version's contract refused with ``code``, is asked here.

        It is while the version's rollout may last: what served before may take it.
        """
        until = None if self._previous is None else self._previous.standby.refused_until
        return until is not None and at < until and code in CONTRACT_CODES

    def substitute(self, artifact: Artifact | None) -> Substitute:
        """What answers in place of the version, whose ``artifact`` may be loaded.

        Raises
        ------
        NoSubstituteError, ArtifactRefusedError, EvaluationError
            Where the fallback can't answer either.
        """
        if self.use == "value":
            contract = self._declared_contract() if artifact is None else artifact.contract
            served = _declared_scores(self._declared["value"], contract)
            return self._substitute(contract, lambda rows, _: Scores(tile := _tiled(served, len(rows)), tile))
        if self.use == PREVIOUS_CHAMPION:
            before = self._previous_champion()
            return self._substitute(before.contract, lambda rows, _: _scores_of(before, rows))
        contract, baseline = self._baseline(artifact)
        return self._substitute(contract, lambda rows, at: _baseline_scores(baseline, contract, rows, at))

    def _previous_champion(self) -> Artifact:
        """The version that served before; loaded and verified once, by the first request that needs it."""
        if self._loaded is None:
            if self._previous is None:
                raise NoSubstituteError(f"version {self._version} is the first champion: none served before it")
            standby, read = self._previous.standby, self._previous.read
            self._loaded = verified_artifact(
                read,
                standby.manifest_sha256,
                model=self._model,
                version=standby.version,
                calibration=standby.calibration,
                signer=standby.signer,
            )
        return self._loaded

    def _substitute(self, contract: ServingContract, scores: Callable[[Rows, datetime], Scores]) -> Substitute:
        def marked(rows: Rows, at: datetime) -> Scores:
            return scores(rows, at)._replace(fallback=self.use)

        return Substitute(contract, self._version, None, marked)

    def _declared_contract(self) -> ServingContract:
        """What the declaration alone says of requests."""
        document = self._declaration
        fields = declared_features(document)
        try:
            problem, data, serving = document["problem"], document["data"], document["serving"]
            return ServingContract(
                model=self._model,
                problem_type=problem["type"],
                key=data["key"],
                target=data["target"],
                threshold=serving["threshold"],
                max_rows=serving["max_rows"],
                numbers=tuple(field for field in fields if isinstance(field, NumberField)),
                categories=tuple(field for field in fields if isinstance(field, CategoryField)),
                classes=tuple(problem.get("classes") or ()),
            )
        except KeyError as error:
            raise NoSubstituteError(f"the version can't be loaded, and no {error} is declared here") from error

    def _baseline(self, artifact: Artifact | None) -> tuple[ServingContract, Baseline]:
        """The version's contract, and what its baseline learned; read and verified once."""
        if self._learned is None:
            self._learned = self._read_baseline(artifact)
        return self._learned

    def _read_baseline(self, artifact: Artifact | None) -> tuple[ServingContract, Baseline]:
        from everloop.evaluation.baseline import Baseline  # now: rules are many files

        read, manifest = self._files(artifact)
        files = verify_files(manifest, read, names=(CONTRACT, TRAINING))
        try:
            learned = read_json(files[TRAINING])["baseline"]
        except (KeyError, TypeError, ValueError) as error:
            raise NoSubstituteError(f"{TRAINING} of version {manifest.version} has no baseline") from error
        return ServingContract.from_json(files[CONTRACT]), Baseline.from_dict(learned)

    def _files(self, artifact: Artifact | None) -> tuple[Callable[[str], bytes], Manifest]:
        if artifact is not None and artifact.read is not None:
            return artifact.read, artifact.manifest
        if self._source is None:
            raise NoSubstituteError(f"nothing says where the files of version {self._version} are")
        read, manifest_sha256, signer = self._source
        return read, verified_manifest(read, manifest_sha256, signer)


def _scores_of(artifact: Artifact, rows: Rows) -> Scores:
    return artifact.scores(score_rows(artifact.scorer, artifact.contract, rows), rows)


def _tiled(served: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(served, count, axis=0)


def _declared_scores(value: float | dict[str, float] | None, contract: ServingContract) -> np.ndarray:
    """The declared value as the scores of one row."""
    if isinstance(value, dict):
        try:
            return np.array([[float(value[str(name)]) for name in contract.classes]])
        except KeyError as error:
            raise NoSubstituteError(f"serving.fallback.value has no probability of the class {error}") from error
    if value is None or contract.is_multiclass:
        raise NoSubstituteError(f"serving.fallback.value is {value}, and answers nothing of a {contract.problem_type}")
    return np.array([float(value)])


def _baseline_scores(baseline: Baseline, contract: ServingContract, rows: Rows, at: datetime) -> Scores:
    from everloop.evaluation.baselines import Asked
    from everloop.evaluation.baselines import Rows as RuleRows

    numbers, categories = [f.name for f in contract.numbers], [f.name for f in contract.categories]
    features: dict[str, Any] = {name: rows.num[:, place] for place, name in enumerate(numbers)}
    features |= {name: rows.cat[:, place].astype(str) for place, name in enumerate(categories)}
    times = np.full(len(rows), np.datetime64(at.replace(tzinfo=None), "ms"))
    asked = Asked(
        classification=contract.is_classification,
        numbers=tuple(numbers),
        categories=tuple(categories),
        classes=len(contract.classes) if contract.problem_type == MULTICLASS else 0,
    )
    answers = baseline.answer(asked, RuleRows(features, times, None, np.timedelta64(0, "ms")))
    return Scores(answers.scores, answers.scores, acts=answers.acts)


class TimeLimit:
    """Scores rows in a thread of its own, for as long as is declared.

    A model can't be stopped in the middle of its run, so a late one goes on: until it has ended, what is asked next
    waits for it no longer than its own time either. One thread takes one run at a time, so late runs don't pile up.
    """

    def __init__(self, score: Score, seconds: float) -> None:
        self._score = score
        self._seconds = seconds
        self._waiting: queue.SimpleQueue[tuple[tuple[Scorer, ServingContract, Rows], _Run]] | None = None

    def __call__(self, scorer: Scorer, contract: ServingContract, rows: Rows) -> np.ndarray:
        """The scores.

        Raises
        ------
        TooSlowError
            When they are not there in time.
        Exception
            What scoring raises.
        """
        if self._waiting is None:
            self._waiting = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._waiting,), name="scoring", daemon=True).start()
        run = _Run()
        self._waiting.put(((scorer, contract, rows), run))
        if not run.ended.wait(self._seconds):
            run.given_up = True
            raise TooSlowError(f"the model had no scores after {self._seconds * 1000:g} ms")
        if run.error is not None:
            raise run.error
        assert run.scores is not None, "a run that ended without an error has scores"
        return run.scores

    def _work(self, waiting: queue.SimpleQueue[tuple[tuple[Scorer, ServingContract, Rows], _Run]]) -> None:
        while True:
            asked, run = waiting.get()
            if run.given_up:
                continue
            try:
                run.scores = self._score(*asked)
            except Exception as error:  # whatever it is, it is the caller's
                run.error = error
            run.ended.set()


class _Run:
    """A run under way, and what came of it."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.given_up = False
        self.scores: np.ndarray | None = None
        self.error: Exception | None = None
