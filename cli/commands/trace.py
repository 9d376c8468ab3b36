"""``everloop trace``."""

from __future__ import annotations

import click

from everloop.cli.account import Account, DeployedModel
from everloop.cli.operations.endpoints import passed_on_to
from everloop.cli.operations.money import money_sentence
from everloop.cli.operations.stories import (
    calibration_sentence,
    describe,
    environment_sentence,
    signer_sentence,
    waiver_cells,
)
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.numbers_of import number_of
from everloop.registry.records import Champion, StandingSet
from everloop.registry.trace import Origin
from everloop.registry.trace import trace as trace_version


@click.command()
@model_argument
@click.option("--version", type=int, help="A version's number. [the version that serves]")
@click.option("--snapshot", help="A snapshot's hash: list every version trained on it.")
@json_option
def trace(model: str, version: int | None, snapshot: str | None, as_json: bool) -> None:
    """How what MODEL serves came to be: artefact hashes, data snapshot, code, run, metrics, every transition.

    Its history is what the locked audit records say: one that was altered in the table is refused.
    """
    output, account = Output(as_json), Account()
    deployed = account.model(model)
    store = account.registry(model)
    if snapshot is not None:
        users = [{"model": name, "version": number} for name, number in store.versions.of_snapshot(snapshot)]
        output.document(users)
        output.table(f"trained on {snapshot}", ["model", "version"], ([u["model"], u["version"]] for u in users))
        return
    found = trace_version(store, version)
    account.locked_audit(model).require_unaltered(found.history)
    output.document(found.to_json())
    facts = [
        ["state", f"{found.version.state} since {minute(found.version.state_since)}"],
        ["serves", f"yes, as {_served_as(account, deployed, found.champion)}" if found.champion else "no"],
        ["serving bytes", _serving(found.origin)],
        ["evaluated bytes", _evaluated(found.origin)],
        *([["calibration", calibration_sentence(found.calibration, None)]] if found.serves else []),
        ["own labels", found.own_labels.sentence],
        ["artefact", found.version.artifact_prefix],
        *([name, f"sha256 {file['sha256']} ({file['bytes']:,} bytes)"] for name, file in found.version.files.items()),
        ["manifest", f"sha256 {found.version.manifest_sha256}"],
        ["signed", signer_sentence(found.version)],
        ["training code", f"sha256 {found.version.code_sha256}"],
        *([["environment", environment_sentence(found.version.environment)]] if found.version.environment else []),
        ["function code", f"sha256 {found.champion.code_sha256}" if found.champion else ""],
        ["snapshot", found.version.snapshot_hash],
        *([["looks", found.looks.sentence]] if found.looks else []),
        *([["standing set", _standing(found.standing)]] if found.standing else []),
        ["run", f"{found.run.run_id} ({found.run.trigger.get('kind')}: {found.run.trigger.get('reason')})"],
        *([["learned from", found.run.training_span["reason"]["sentence"]]] if found.run.training_span else []),
        *([["continues", f"version {found.version.parent_version}"]] if found.version.parent_version else []),
        *([["update", found.run.update["reason"]["sentence"]]] if found.run.update else []),
        ["gate", found.version.gate.get("verdict", "not asked")],
        *([["money", money_sentence(money)]] if (money := found.version.gate.get("money")) else []),
    ]
    output.table(f"{model}, version {found.version.version}", ["", ""], facts)
    output.table(
        "gate",
        ["code", "passed", "reason"],
        ([r["code"], r.get("passed"), r["sentence"]] for r in found.version.gate.get("reasons", [])),
    )
    if found.version.refit:
        output.table(
            "refit",
            ["code", "passed", "reason"],
            ([r["code"], r.get("passed"), r["sentence"]] for r in found.version.refit["reasons"]),
        )
    if found.waivers:
        output.table("waivers", ["of", "by", "until", "why"], map(waiver_cells, found.waivers))
    output.table("history", ["at", "by", "what"], ([minute(r.at), r.actor, describe(r)] for r in found.history))


def _serving(origin: Origin) -> str:
    what = "a refit" if origin.kind == "refit" else "the evaluated model"
    learned = "" if origin.learned_rows is None else f", learned from {number_of(origin.learned_rows, 'row')}"
    until = "" if origin.learned_until is None else f" up to {minute(origin.learned_until)}"
    return f"{what}: model.onnx sha256 {origin.serving_sha256}{learned}{until}"


def _evaluated(origin: Origin) -> str:
    on = "" if origin.evaluated_rows is None else f", on {number_of(origin.evaluated_rows, 'test row')}"
    after = "" if origin.evaluated_after is None else f" after {minute(origin.evaluated_after)}"
    return f"{origin.evaluated_file} sha256 {origin.evaluated_sha256}{on}{after}"


def _standing(found: StandingSet) -> str:
    rows = number_of(found.rows, "row")
    return f"{rows} after {minute(found.after)}, up to {minute(found.until)}, sha256 {found.sha256}: {found.uri}"


def _served_as(account: Account, deployed: DeployedModel, champion: Champion) -> str:
    name = champion.lambda_version
    if not name.isdecimal():
        return f"variant {name}"
    # Who has no endpoint declared needs no permission to look at the function.
    endpoint = passed_on_to(account, deployed.predict_function, name) if deployed.endpoint_image else ""
    return f"function version {name}{f', which passes requests on to endpoint {endpoint}' if endpoint else ''}"
