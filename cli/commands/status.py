"""``everloop status``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from everloop.cli.account import Account
from everloop.cli.operations.declarations import is_project, model_folders
from everloop.cli.operations.money import money_sentence, window_money_sentence
from everloop.cli.operations.runs import why_no_refit
from everloop.cli.operations.status import ModelStatus, model_status
from everloop.cli.operations.stories import (
    calibration_sentence,
    drill_sentence,
    signer_sentence,
    waiver_sentence,
)
from everloop.cli.options import json_option, models_directory_option
from everloop.cli.output import Output, minute
from everloop.documents.deployment import told_difference
from everloop.documents.window import WindowRecord
from everloop.numbers_of import number_of
from everloop.registry.maturity import maturity
from everloop.registry.records import Window
from everloop.undeclared import undeclared_sentence


@click.command()
@click.argument("model", required=False)
@models_directory_option
@json_option
def status(model: str | None, models_directory: Path, as_json: bool) -> None:
    """What serves, what runs, and what the monitor last found: of MODEL, or of every deployed model.

    In a project's folder it also says which deployed models the project does not declare (any more).
    """
    output, account = Output(as_json), Account()
    declared = model_folders(models_directory) if is_project(models_directory) else None
    statuses = [model_status(account, name, declared) for name in ([model] if model else account.model_names())]
    output.document([s.to_json() for s in statuses])
    if not statuses:
        output.say("no model is deployed; `everloop docs add-a-model` shows how to add one")
    for one in statuses:
        _show(output, one)


def _show(output: Output, found: ModelStatus) -> None:
    registry = found.registry
    output.table(registry.model, ["", ""], _facts(found))
    output.table(
        "last runs",
        ["started", "run", "trigger", "status", "gate", "version"],
        (
            [minute(r.started_at), r.run_id, r.trigger.get("kind"), r.status, r.verdict, r.version]
            for r in registry.runs
        ),
    )
    output.table(
        "last windows",
        ["end", "rows", "labelled", "drift", "decision"],
        (_window(w) for w in registry.windows),
    )


def _facts(found: ModelStatus) -> list[list[Any]]:
    registry = found.registry
    champion = registry.champion
    serving = f"version {champion.version} since {minute(champion.since)}" if champion else "nothing: no champion yet"
    code = "the deployed code serves"
    if found.code_waits:
        code = f"newer code is deployed but does not serve yet: `everloop rollout start {registry.model}`"
    if champion and found.champion_gone:
        serving = (
            f"nothing: the function of version {champion.version}, the champion, was deleted with its stack;"
            f" `everloop rollout start {registry.model}` publishes it again"
        )
        return [["serves", serving], *_of_any(found)]
    version, own = registry.champion_version, registry.own_labels
    if version is not None and version.serves_refit:
        serving += ", a refit of the evaluated model"
    elif version is not None and version.refit:
        serving += f", the evaluated model, not a refit: {why_no_refit(version.refit)}"
    return [
        ["serves", serving],
        *([["signed", signer_sentence(version)]] if version else []),
        *([["calibration", _calibration(found)]] if champion else []),
        *([["intervals", _intervals(found)]] if _intervals(found) else []),
        ["own labels", own.sentence if own else "none yet"],
        *([["money", money_sentence(money)]] if version and (money := version.gate.get("money")) else []),
        *([["money by labels", _money(found)]] if _money(found) else []),
        ["code", code if champion else "waits for the first champion"],
        *([["score drift", _score_reference(found)]] if _score_reference(found) else []),
        *([["captured", _captured(found)]] if _captured(found) else []),
        *([["not watched", _not_watched(found)]] if _not_watched(found) else []),
        *_of_any(found),
    ]


def _of_any(found: ModelStatus) -> list[list[Any]]:
    """What there is to say of a model whether something serves or not."""
    registry = found.registry
    active = registry.active_run
    return [
        ["maturity", maturity(registry).sentence],
        *([["shadow", f"version {registry.shadow}"]] if registry.shadow else []),
        ["staging", f"version {registry.staging}" if registry.staging else "nothing"],
        *([["endpoint", _hosted(found)]] if found.endpoint else []),
        *(["serverless", f"{name}: {of}" if of else name] for name, of in found.serverless.items()),
        ["active run", f"{active.run_id} since {minute(active.started_at)}" if active else "none"],
        *([["not declared", f"it {undeclared_sentence(registry.model)}"]] if found.declared is False else []),
        *(["asked for", kept.sentence] for kept in found.kept_requests if kept.state == "waiting"),
        *(["waived", waiver_sentence(one)] for one in found.waived),
        *([["differs", differs]] if (differs := _differs(found)) else []),
        *([["drill", drill_sentence(registry.drill)]] if registry.drill else []),
        ["alarms", ", ".join(found.alarms) or "none"],
        ["predictions", found.deployed.predictions_url],
        ["labels", found.deployed.labels_url],
    ]


def _differs(found: ModelStatus) -> str:
    """What is deployed otherwise than the registry says, by the last reconciliation; empty for nothing."""
    last = found.registry.reconciliation
    if last is None or not last.reasons:
        return ""
    return f"since {minute(last.since)}: {'; '.join(map(told_difference, last.reasons))}"


def _hosted(found: ModelStatus) -> str:
    """What the SageMaker endpoint runs, and so costs; and that nobody asks it, where a function version serves."""
    endpoint, champion = found.endpoint, found.registry.champion
    if endpoint is None:
        return ""
    runs = ", ".join(f"{name} on {number_of(count, 'instance')}" for name, count in endpoint.variants.items())
    said = f"{endpoint.name} is {endpoint.status}: {runs or 'no variant'}"
    candidate = found.registry.shadow or found.registry.staging
    if champion is not None and champion.lambda_version.isdecimal() and not candidate:
        return f"{said}; a function version serves: `aws sagemaker delete-endpoint --endpoint-name {endpoint.name}`"
    return said


def _calibration(found: ModelStatus) -> str:
    """What serves between raw scores and callers; why nothing newer does, and what it costs where none is declared."""
    said = calibration_sentence(found.registry.calibration, found.registry.calibration_freeze)
    last = found.recalibration
    if last is not None and last.withheld is not None and last.withheld not in said:
        said += f"; by the last window no group is served apart: {last.withheld}"
    if last is None or not (last.decision == "held_back" or last.code == "declared_none"):
        return said
    what = "the last window's calibration is held back: " if last.decision == "held_back" else ""
    costs = ""
    if last.code == "declared_none" and last.loss_raw is not None and last.loss_recalibrated is not None:
        costs = f": that costs {last.loss_raw - last.loss_recalibrated:.4g} per row"
    return f"{said}; {what}{last.sentence}{costs}"


def _intervals(found: ModelStatus) -> str:
    """How the champion's intervals did; empty where it has none, or no window is watched yet."""
    return (found.recalibration.intervals or "") if found.recalibration else ""


def _captured(found: ModelStatus) -> str:
    """Of a model whose captured rows are a sample."""
    last = _last_window(found)
    if last is None or last.answered_rows is None:
        return ""
    return f"{last.rows:,} of about {last.answered_rows:,} rows answered in the last window"


def _not_watched(found: ModelStatus) -> str:
    """Features that the last window left out, each with its reason."""
    last = _last_window(found)
    return "; ".join(f"{name}: {why}" for name, why in last.not_watched.items()) if last else ""


def _score_reference(found: ModelStatus) -> str:
    """What drift of the scores is judged by, where that is the champion's own windows; empty before they suffice."""
    last = _last_window(found)
    own = last.score_reference if last else None
    return f"judged by {own['sentence']}" if own and own["complete"] else ""


def _money(found: ModelStatus) -> str:
    """What decisions cost by the last window that counted them; empty where none has."""
    last = _last_window(found)
    return window_money_sentence(last.money) if last and last.money else ""


def _last_window(found: ModelStatus) -> WindowRecord | None:
    return found.registry.windows[0].record if found.registry.windows else None


def _window(window: Window) -> list[Any]:
    found = window.record
    return [minute(window.end), found.rows, found.labelled_rows, found.drift_alarm, found.decision]
