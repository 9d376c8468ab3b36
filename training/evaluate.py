"""The evaluation job: candidate, baseline and champion on the same locked rows.

Written to ``--output``: ``report.json``, and for registration ``model.onnx``, ``contract.json`` (with the interval that
answers have, where one is declared), ``profile.json`` (the reference with the scores and losses of the test split
added), ``parity.json`` and ``training.json``.

With ``--older`` in place of ``--model-data`` a version that is registered already is in the candidate's place, on
the test rows that it has not learned from (:mod:`everloop.training.older`). Then ``report.json`` alone is written.

With ``--evaluated`` in place of ``--champion`` it checks a refit of the model that was evaluated before: see
:mod:`everloop.training.refit_check`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from everloop.evaluation.baseline import Baseline
from everloop.evaluation.calibration_error import calibration_of
from everloop.evaluation.calibration_report import Calibrated
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.held_groups_report import Basis
from everloop.evaluation.interval_report import IntervalFacts
from everloop.evaluation.intervals import interval_facts
from everloop.evaluation.metrics import (
    CLASSIFICATION_METRICS,
    REGRESSION_METRICS,
    Estimate,
    estimate,
)
from everloop.evaluation.money import is_priced
from everloop.evaluation.multiclass_metrics import MULTICLASS_METRICS
from everloop.evaluation.ranking_report import Ranking
from everloop.evaluation.report import (
    AsServed,
    ClassCounts,
    DayQuality,
    EnvironmentFacts,
    MetricValue,
    MoneyBesideChampion,
    OlderFacts,
    PairedDifference,
    ParityFacts,
    ProbeFacts,
    Report,
)
from everloop.evaluation.serving_cost import serving_cost
from everloop.evaluation.significance import class_counts, metric_value, paired_difference
from everloop.manifest import CONTRACT, MODEL, PROFILE, sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.problem_types import BINARY, MULTICLASS
from everloop.recalibration.interval import Interval
from everloop.registry.evidence import Windows
from everloop.registry.ledger import Ledger
from everloop.registry.records import Window
from everloop.training.baseline import baseline_answers
from everloop.training.candidate import Candidate, read_candidate
from everloop.training.champion import NONE, Champion, fetch_champion
from everloop.training.channels import Split, read_split
from everloop.training.contract import with_interval
from everloop.training.declaration import read_declaration
from everloop.training.environment import Environment
from everloop.training.errors import errors_in
from everloop.training.exceptions import JobError
from everloop.training.fairness import fairness_in
from everloop.training.held_data import hold_channel
from everloop.training.held_groups import Apart, groups_of
from everloop.training.money import money_beside, money_of, threshold_choice_in
from everloop.training.multiclass import likeliest, multiclass_of
from everloop.training.older import fetch_older, unlearned_rows
from everloop.training.probes import counted
from everloop.training.ranking import ranking_of
from everloop.training.reference import full_reference
from everloop.training.refit_check import Run, check_refit, read_sibling
from everloop.training.robustness import robustness_in
from everloop.training.scoring import arrays, measure_latency, score
from everloop.training.served import History, serving
from everloop.training.slices import slices_in
from everloop.training.standing import StandingRows, fetch_standing, standing_of

logger = logging.getLogger("everloop.evaluation")


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (JobError, EvaluationError) as error:
        return _fail(options.message, str(error))
    except Exception as error:
        logger.exception("the job failed because of a bug in its code")
        return _fail(options.message, f"{type(error).__name__}: {error}")
    return 0


def run(options: argparse.Namespace) -> None:
    """Read what the options name, evaluate and write.

    Raises
    ------
    JobError, EvaluationError
        When the rows, the candidate or the champion are refused.
    """
    declaration = read_declaration(options.code)
    hold_channel(options.test, "test", os.environ)
    test = read_split(options.test, declaration, labelled=True)
    about = Run(options.run_id, options.snapshot_hash)
    older = None
    if options.older is not None:
        import boto3

        older = fetch_older(options.older, boto3.client("s3"), declaration)
        test, candidate = unlearned_rows(older, test), older.candidate
    else:
        candidate = read_candidate(options.model_data, len(test))
    environment = _environment(options.code, candidate, registered=older is not None)
    if options.evaluated is not None:
        check_refit(declaration, candidate, read_sibling(options.evaluated), test, about, options.output)
        return
    champion, history = None, _no_history
    if options.champion != NONE:
        import boto3

        champion = fetch_champion(options.champion, boto3.client("s3"), model=declaration.model)
        if options.registry != NONE:
            windows = Windows(Ledger(boto3.client("dynamodb"), options.registry, declaration.model))
            history = windows.newest_first
    standing = None
    if options.standing != NONE:
        import boto3

        standing = fetch_standing(options.standing, options.standing_sha256, boto3.client("s3"), declaration)
    facts = None if older is None else older.facts
    evaluate(
        declaration,
        candidate,
        champion,
        test,
        about,
        options.output,
        history=history,
        older=facts,
        environment=environment,
        standing=standing,
    )


def _environment(code: Path, candidate: Candidate, *, registered: bool) -> EnvironmentFacts:
    """Where this job runs beside where the model was trained; a registered version's may be long gone, and is told."""
    here = Environment.of(code)
    facts = here.compared_with(candidate.training) if registered else here.require_same_lock(candidate.training)
    for difference in facts.differences:
        logger.warning("the model was trained in another environment: %s", difference)
    return facts


def _no_history() -> Iterable[Window]:
    return ()


def _fail(message_file: Path, message: str) -> int:
    logger.error("%s", message)
    message_file.parent.mkdir(parents=True, exist_ok=True)
    message_file.write_text(message, encoding="utf-8")
    return 1


def evaluate(
    declaration: ModelDeclaration,
    candidate: Candidate,
    champion: Champion | None,
    test: Split,
    run: Run,
    output: Path,
    *,
    history: History = _no_history,
    older: OlderFacts | None = None,
    environment: EnvironmentFacts | None = None,
    standing: StandingRows | None = None,
) -> Report:
    """Score, compare, and write the job's files.

    Parameters
    ----------
    history : callable
        The recorded windows, newest first.
    older : OlderFacts, optional
        Of a version that is registered already: its files stay as they are, and the report alone is written.
    environment : EnvironmentFacts, optional
        Where this runs, beside where the model was trained.
    standing : StandingRows, optional
        The older rows on which both are scored as well.
    """
    whole, apart = test, Apart.of(declaration, test, candidate.training)
    every = score(candidate.scorer, *arrays(candidate.contract, whole))
    compared = _compare(declaration, champion, whole, every, history, apart)
    if apart is not None:
        test = whole.only(apart.judged)
    scores = every if apart is None else every[apart.judged]
    num, cat = arrays(candidate.contract, test)
    learned = Baseline.from_dict(candidate.training["baseline"])
    baseline = baseline_answers(declaration, learned, whole, candidate.answers)
    if apart is not None:
        baseline = baseline.only(apart.judged)
    metrics = _metrics_of(declaration)
    ours = _estimates(metrics, test, scores)
    rule = _estimates(metrics, test, baseline.scores)
    gate_metric = declaration.gate.metric
    files, interval = candidate.files, None
    if older is None:
        made, interval = _interval(declaration, whole, every)
        files = {
            **files,
            CONTRACT: with_interval(candidate.contract, files[CONTRACT], made),
            PROFILE: full_reference(files[PROFILE], whole, every, declaration),
        }
    latency = measure_latency(candidate.scorer, num, cat)
    # Money, disturbances and errors by column are of one score a row.
    several = declaration.problem.type == MULTICLASS
    report = Report(
        model=declaration.model,
        run_id=run.run_id,
        snapshot_hash=run.snapshot_hash,
        problem_type=declaration.problem.type,
        rows=len(test),
        days=len(np.unique(test.days)),
        candidate=_values(declaration, ours, test),
        baseline=_values(declaration, rule, test),
        champion=compared.metrics,
        champion_version=None if champion is None else champion.version,
        champion_rows=compared.rows,
        champion_learned_until=None if champion is None else champion.learned_until,
        as_served=compared.as_served,
        classes=_classes(declaration, test),
        paired_baseline=paired_difference(
            ours[gate_metric], rule[gate_metric], test.days, groups_of(declaration, test)
        ),
        paired_champion=compared.paired,
        parity=ParityFacts(
            candidate.parity["rows"], candidate.parity["max_abs_difference"], candidate.parity["label_flips"]
        ),
        probes=_probe_facts(candidate),
        latency_ms=latency,
        serving_cost=serving_cost(latency.p50, declaration.serving.memory_mb, declaration.serving.api),
        artifact_bytes=len(files[MODEL]),
        code_sha256=candidate.training["code_sha256"],
        files={name: sha256_hex(data) for name, data in files.items()},
        quality_over_days=_over_days(gate_metric, test, scores),
        money=money_of(
            declaration, test, scores, baseline, beside=compared.money, beside_as_served=compared.money_as_served
        )
        if is_priced(declaration)
        else None,
        older=older,
        interval=interval,
        environment=environment,
        slices=slices_in(declaration, test, scores, baseline.scores, compared.scores),
        fairness=fairness_in(declaration, test, scores),
        calibration=_calibration(declaration, test, scores),
        robustness=robustness_in(declaration, candidate, test),
        errors=errors_in(declaration, candidate, test, scores),
        learning_curve=candidate.training.get("learning_curve"),
        threshold_choice=None if several else threshold_choice_in(declaration, candidate.training, test, scores),
        multiclass=multiclass_of(declaration.problem.classes, test, scores, compared.scores),
        standing=standing_of(declaration, standing, candidate, champion),
        ranking=None if several else ranking_of(declaration, test, scores, baseline.scores, compared.ranking),
        held_groups=None if apart is None else apart.told(gate_metric, whole, every, compared.basis, compared.groups),
    )
    output.mkdir(parents=True, exist_ok=True)
    for name, data in files.items() if older is None else ():
        (output / name).write_bytes(data)
    (output / "report.json").write_text(report.to_json(), encoding="utf-8")
    logger.info("%s %.4f on %d rows", gate_metric, ours[gate_metric].value, len(test))
    return report


def _interval(
    declaration: ModelDeclaration, test: Split, scores: np.ndarray
) -> tuple[Interval | None, IntervalFacts | None]:
    declared = declaration.problem.interval
    if declared is None:
        return None, None
    return interval_facts(declared.coverage, _target(test) - scores, test.days)


def _probe_facts(candidate: Candidate) -> ProbeFacts:
    probed = candidate.parity["probes"]
    return ProbeFacts(
        admitted=sum(counted(candidate.contract).values()),
        possibilities=sum(probed["possibilities"].values()),
        base_rows=probed["base_rows"],
        rows=probed["rows"],
    )


@dataclass(frozen=True)
class _Compared:
    """How the champion did on the rows it has not learned from, and the candidate less the champion there.

    By raw scores, and in ``as_served`` by those that callers would have got.
    """

    rows: int | None = None
    metrics: dict[str, MetricValue] | None = None
    paired: PairedDifference | None = None
    as_served: AsServed | None = None
    money: MoneyBesideChampion | None = None
    money_as_served: MoneyBesideChampion | None = None
    scores: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    """The compared rows, bool [rows that judge], and the scores of both there that decide. None where they are others:
    then parts of the rows are not compared."""
    basis: Basis | None = None
    groups: int | None = None
    ranking: Ranking | None = None


def _compare(
    declaration: ModelDeclaration,
    champion: Champion | None,
    test: Split,
    scores: np.ndarray,
    history: History,
    apart: Apart | None,
) -> _Compared:
    if champion is None:
        return _Compared()
    # All rows are scored: what the champion can't score stops the evaluation, wherever it lies.
    num, cat = arrays(champion.contract, test)
    unlearned, basis = champion.has_not_learned(test.times), None
    if apart is not None:
        alike, basis = apart.comparable(champion.held_groups, test)
        unlearned &= alike
    if not unlearned.any():
        return _Compared(rows=0, basis=basis, groups=None if basis is None else 0)
    rows, champion_scores = test.only(unlearned), score(champion.scorer, num, cat)[unlearned]
    raw = scores[unlearned], champion_scores
    _, theirs, paired = _both(declaration, rows, *raw)
    compared = _Compared(
        len(rows),
        _values(declaration, theirs, rows),
        paired,
        money=money_beside(declaration, rows, *raw) if is_priced(declaration) else None,
        scores=_where_judged(apart, basis, unlearned, raw),
        ranking=None if declaration.problem.type == MULTICLASS else ranking_of(declaration, rows, *raw, None),
        basis=basis,
        groups=None if apart is None else rows.features[apart.held.column].nunique(),
    )
    how = serving(declaration, rows, history)
    if how is None:
        return compared
    outcomes = rows.labels.astype(np.float64)
    served = how.scores(raw[0], outcomes), how.scores(raw[1], outcomes)
    ours, theirs, paired = _both(declaration, rows, *served)
    as_served = AsServed(_values(declaration, ours, rows), _values(declaration, theirs, rows), paired, how.facts)
    money = money_beside(declaration, rows, *served)
    decide = _where_judged(apart, basis, unlearned, served)
    return replace(compared, as_served=as_served, money_as_served=money, scores=decide)


def _where_judged(
    apart: Apart | None, basis: Basis | None, rows: np.ndarray, scores: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    if apart is None:
        return (rows, *scores)
    return (rows[apart.judged], *scores) if basis == "held_out" else None


def _both(
    declaration: ModelDeclaration, rows: Split, candidate: np.ndarray, champion: np.ndarray
) -> tuple[dict[str, Estimate], dict[str, Estimate], PairedDifference]:
    """The metrics of each, and their difference in the gate's."""
    metrics, gate_metric = _metrics_of(declaration), declaration.gate.metric
    ours, theirs = _estimates(metrics, rows, candidate), _estimates(metrics, rows, champion)
    groups = groups_of(declaration, rows)
    return ours, theirs, paired_difference(ours[gate_metric], theirs[gate_metric], rows.days, groups)


def _metrics_of(declaration: ModelDeclaration) -> tuple[str, ...]:
    kind = declaration.problem.type
    if kind == MULTICLASS:
        return MULTICLASS_METRICS
    return CLASSIFICATION_METRICS if kind == BINARY else REGRESSION_METRICS


def _calibration(declaration: ModelDeclaration, test: Split, scores: np.ndarray) -> Calibrated | None:
    if declaration.problem.type == MULTICLASS:
        return calibration_of(*likeliest(_target(test), scores), test.days, declaration.training.seed)
    if declaration.problem.type != BINARY:
        return None
    return calibration_of(_target(test), scores, test.days, declaration.training.seed)


def _classes(declaration: ModelDeclaration, test: Split) -> ClassCounts | None:
    classification = declaration.problem.type == BINARY
    return class_counts(_target(test), test.days) if classification else None


def _estimates(metrics: tuple[str, ...], test: Split, scores: np.ndarray) -> dict[str, Estimate]:
    return {metric: estimate(metric, _target(test), scores) for metric in metrics}


def _values(declaration: ModelDeclaration, estimates: dict[str, Estimate], test: Split) -> dict[str, MetricValue]:
    groups = groups_of(declaration, test)
    return {name: metric_value(found, test.days, groups) for name, found in estimates.items()}


def _over_days(metric: str, test: Split, scores: np.ndarray) -> tuple[DayQuality, ...]:
    days = []
    for day in np.unique(test.days):
        rows = test.days == day
        value = estimate(metric, _target(test)[rows], scores[rows]).value
        days.append(DayQuality(str(day), int(rows.sum()), value))
    return tuple(days)


def _target(test: Split) -> np.ndarray:
    if test.target is None:
        raise EvaluationError("the test rows have no labels")
    return test.target


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__, allow_abbrev=False)
    path: dict[str, Any] = {"type": Path, "required": True}
    parser.add_argument("--code", help="the unpacked code archive", **path)
    judged = parser.add_mutually_exclusive_group(required=True)
    judged.add_argument("--model-data", type=Path, help="the folder with model.tar.gz")
    judged.add_argument("--older", help="s3://bucket/artifacts/… of a registered version to judge again")
    parser.add_argument("--test", help="the folder with the labelled test rows", **path)
    beside = parser.add_mutually_exclusive_group(required=True)
    beside.add_argument("--champion", help=f"the champion's s3://bucket/artifacts/…, or {NONE}")
    beside.add_argument("--evaluated", type=Path, help="the folder that the evaluation wrote, to check a refit")
    windows = f"the table with the monitored windows, or {NONE}"
    parser.add_argument("--registry", default=NONE, help=windows)
    parser.add_argument("--standing", default=NONE, help=f"s3://bucket/… of the standing set, or {NONE}")
    parser.add_argument("--standing-sha256", default=NONE, help="what its files have to be")
    for option, variable in (("--run-id", "EVERLOOP_RUN_ID"), ("--snapshot-hash", "EVERLOOP_SNAPSHOT_HASH")):
        known = os.environ.get(variable)
        parser.add_argument(option, default=known, required=not known, help=f"default: the variable {variable}")
    parser.add_argument("--output", **path)
    parser.add_argument("--message", help="the file for the reason of a failure: SageMaker's ExitMessage", **path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
