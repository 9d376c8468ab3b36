"""One replay from beginning to end: the cloud, the drive, the evidence, the summary, the picture."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pandas as pd

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.history import import_rows
from everloop.cli.operations.local_cloud import LocalCloud
from everloop.cli.operations.locked_records import verify_locked
from everloop.cli.replay import evidence, summary
from everloop.cli.replay.answers import chance_column
from everloop.cli.replay.driver import SETTLE, Drive
from everloop.cli.replay.memory import own_peak_mb
from everloop.cli.replay.money import money, money_saved
from everloop.cli.replay.picture import Mark, MoneySaved, draw_quality
from everloop.cli.replay.progress import Progress
from everloop.cli.replay.stream import ReplayData
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS
from everloop.registry.trace import verify_audit


@dataclass(frozen=True)
class ReplayResult:
    """What a replay left: its summary, and the files of its evidence."""

    summary: summary.Summary
    directory: Path


def run_replay(
    cloud: LocalCloud,
    declaration: ModelDeclaration,
    data: ReplayData,
    directory: Path,
    *,
    quiet: bool,
    started: float,
    train_again_every: timedelta | None = None,
) -> ReplayResult:
    """Import the history, drive the stream and write the evidence into ``directory``.

    Parameters
    ----------
    train_again_every : timedelta, optional
        As :class:`everloop.cli.replay.driver.Drive` takes it.
    started : float
        ``time.monotonic()`` when the replay began, for ``wall_seconds``.
    """
    account = cloud.account()
    ends_at = data.stream["time"].iloc[-1].to_pydatetime() + SETTLE + timedelta(days=1)
    with Progress(declaration.model, data.starts_at, ends_at, quiet=quiet) as progress:
        progress.simulated = data.starts_at
        imported = import_rows(account, declaration, data.history, place="the rows of history")
        progress.event(f"history imported: {number_of(imported.rows, 'row')}")
        drive = Drive(
            account=account,
            declaration=declaration,
            data=data,
            advance=lambda to: cloud.running.advance(to),
            memory_mb=lambda: float(cloud.running.memory()["peak_mb"]),
            progress=progress,
            train_again_every=train_again_every,
        )
        ended_early = None
        try:
            drive.run()
        except Exception as error:
            if not drive.answers.key:
                _keep_what_was_tried(account, declaration, data, drive, directory, started, error)
                raise
            # What was answered so far is evidence, whatever ended it.
            ended_early = _ended_early(drive, str(error))
            progress.event(ended_early)
        progress.step = "writing the results"
        progress.show()
    return _write(account, declaration, data, drive, directory, started, ended_early)


def _ended_early(drive: Drive, why: str) -> str:
    return f"the replay ended at {drive.progress.simulated:%Y-%m-%d %H:%M}: {why}"


def _keep_what_was_tried(
    account: Account,
    declaration: ModelDeclaration,
    data: ReplayData,
    drive: Drive,
    directory: Path,
    started: float,
    error: Exception,
) -> None:
    """Write what there is where nothing was ever answered, so that no evidence of another replay stands for this one.

    What ended the replay is told by whoever called; where even this fails, that is only said.
    """
    why = error.message if isinstance(error, CommandError) else str(error)
    try:
        _write(account, declaration, data, drive, directory, started, _ended_early(drive, why))
    except Exception as second:
        drive.progress.event(f"{directory} has no summary of this replay: {second}")
    else:
        drive.progress.event(f"what was tried is in {directory / evidence.SUMMARY_FILE}")


def _write(
    account: Account,
    declaration: ModelDeclaration,
    data: ReplayData,
    drive: Drive,
    directory: Path,
    started: float,
    ended_early: str | None,
) -> ReplayResult:
    directory.mkdir(parents=True, exist_ok=True)
    predictions = _predictions(account, declaration, data, drive)
    evidence.write_parquet(predictions, directory / evidence.PREDICTIONS_FILE)
    windows = evidence.with_losses(evidence.window_rows(account.registry(declaration.model)), predictions, declaration)
    evidence.write_parquet(windows, directory / evidence.WINDOWS_FILE)
    found = _summarise(account, declaration, drive, predictions, windows)
    _draw(found, declaration, predictions, directory / evidence.PICTURE_FILE)
    found = replace(
        found,
        wall_seconds=round(time.monotonic() - started, 1),
        peak_memory_mb=round(drive.peak_memory_mb + own_peak_mb(), 0),
        ended_early=ended_early,
    )
    found = replace(found, open_links=summary.open_links(found))
    (directory / evidence.SUMMARY_FILE).write_text(json.dumps(found.to_json(), indent=2) + "\n")
    return ReplayResult(found, directory)


def _predictions(account: Account, declaration: ModelDeclaration, data: ReplayData, drive: Drive) -> pd.DataFrame:
    frame = drive.answers.to_frame()
    scores = pd.DataFrame(evidence.frozen_scores(account, declaration, data.stream), data.stream[declaration.data.key])
    frozen = scores.loc[frame["key"]].to_numpy()
    if declaration.problem.type == MULTICLASS:
        frame["frozen_prediction"] = frozen.argmax(axis=1).astype(float)
        for place in range(frozen.shape[1]):
            frame[chance_column("frozen", place)] = frozen[:, place]
        return frame
    frozen = frozen[:, 0]
    if declaration.problem.type == BINARY:
        frame["frozen_prediction"] = (frozen >= declaration.serving.threshold).astype(float)
        frame["frozen_probability"] = frozen
    else:
        frame["frozen_prediction"] = frozen
    return frame


def _summarise(
    account: Account, declaration: ModelDeclaration, drive: Drive, predictions: pd.DataFrame, windows: pd.DataFrame
) -> summary.Summary:
    store = account.registry(declaration.model)
    kind = declaration.problem.type
    records, verdict = list(store.ledger.audit_records()), verify_audit(store)
    intact = verdict.sound and not verify_locked(account, declaration.model).problems
    whole = summary.quality(predictions, kind)
    rows_left_out, labels_left_out = summary.left_out(predictions)
    ended_at = drive.progress.simulated or drive.data.starts_at
    return summary.Summary(
        model=declaration.model,
        problem_type=kind,
        rows_served=len(predictions),
        rows_refused=len(drive.refused),
        refusals=summary.refusals(drive.refused),
        predictions_captured=evidence.count_captured(account, declaration),
        labels_joined=evidence.count_joined(account, declaration),
        labels_sent=drive.labels_sent,
        rows_left_out=rows_left_out,
        labels_left_out=labels_left_out,
        frozen=whole["frozen"],
        raw=whole["raw"],
        loop=whole["loop"],
        months=summary.by_month(predictions, kind),
        retrainings=summary.retrainings(store.runs.all()),
        restorations=summary.restorations(store.runs.all()),
        promotions=summary.moves(records, "promoted"),
        rollbacks=summary.moves(records, "rolled_back"),
        drift_windows=summary.drift_windows(windows),
        audit={"records": verdict.chain.records, "intact": intact, "head": verdict.chain.head},
        champions_at_once=summary.champions_at_once(records),
        days=drive.data.days(),
        days_without_champion=summary.days_without_champion(drive.data.starts_at, records, ended_at),
        rows_without_champion=drive.first.rows_waited,
        first_candidates=summary.first_candidates(store.runs.all()),
        window_days=declaration.monitoring.window_hours / 24,
        wall_seconds=0.0,
        setup_seconds=_setup_seconds(),
        peak_memory_mb=0.0,
        frozen_model=evidence.frozen_model(store),
        serving=summary.serving(store.versions.all()),
        money=money(predictions, declaration),
    )


def _draw(found: summary.Summary, declaration: ModelDeclaration, predictions: pd.DataFrame, file: Path) -> None:
    metric = summary.METRICS[found.problem_type][0]
    better = "higher" if metric in summary.HIGHER_IS_BETTER else "lower"
    loop, frozen = (_shown(model[metric]["value"]) for model in (found.loop, found.frozen))
    draw_quality(
        summary.by_day(predictions, found.problem_type),
        summary.saved(predictions, found.problem_type),
        marks(found),
        money=_money_saved(found, declaration, predictions),
        metric=metric,
        better=better,
        loss=summary.METRICS[found.problem_type][-1],
        title=f"{found.model}: {metric} {loop} with the loop, {frozen} with the frozen first model",
        subtitle=f"{number_of(found.rows_served, 'row')} answered, {number_of(len(found.retrainings), 'retraining')}",
        file=file,
    )


def _money_saved(found: summary.Summary, declaration: ModelDeclaration, predictions: pd.DataFrame) -> MoneySaved | None:
    days = money_saved(predictions, declaration)
    if days is None or found.money is None:
        return None
    return MoneySaved(days, found.money["currency"], found.money["cost"])


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def marks(found: summary.Summary) -> list[Mark]:
    """What the picture marks: promotions after the first, refused candidates, rollbacks."""
    promoted = [
        Mark(
            p["at"].replace(tzinfo=None),
            "promoted",
            f"version {p['version']} promoted ({_trigger(found, p) or 'first'})",
        )
        for p in found.promotions
    ]
    refused = [
        Mark(run["at"].replace(tzinfo=None), "refused", f"candidate refused ({run['trigger']})")
        for run in (*found.first_candidates, *found.retrainings, *found.restorations)
        if run["verdict"] == "fail"
    ]
    rolled_back = [
        Mark(r["at"].replace(tzinfo=None), "rolled back", f"version {r['version']} rolled back")
        for r in found.rollbacks
    ]
    return [*promoted, *refused, *rolled_back]


def _trigger(found: summary.Summary, promoted: summary.MoveFacts) -> str | None:
    """What set off the run that a promotion came of: a version may be promoted more than once."""
    runs = [*found.retrainings, *found.restorations]
    before = [run for run in runs if run["version"] == promoted["version"] and run["at"] <= promoted["at"]]
    return max(before, key=lambda run: run["at"])["trigger"] if before else None


def _setup_seconds() -> float | None:
    """What the set-up of a clone's environment took, as it recorded it itself; a project has none."""
    try:
        return float(json.loads(Path(".venv", "setup.json").read_text())["seconds"])
    except (OSError, ValueError, KeyError):
        return None
