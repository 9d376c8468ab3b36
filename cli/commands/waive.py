"""``everloop waive``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.registry.store import RegistryStore


@click.command()
@model_argument
@click.argument("run_or_version")
@click.option("--reason", "code", required=True, help="The code of the refusing reason, as `everloop trace` shows it.")
@click.option("--why", required=True, help="Why it may pass; it is kept in the audit chain.")
@click.option(
    "--until",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The first day (UTC) on which it counts for nothing.",
)
@json_option
def waive(model: str, run_or_version: str, code: str, why: str, until: datetime, as_json: bool) -> None:
    """Let a reason pass for which the gate refused RUN_OR_VERSION of MODEL.

    Whoever started the run can't, nor can who asks for the version afterwards. Nothing serves by it: `everloop restore
    MODEL VERSION` has the version judged again on the newest rows, with the waivers that are in force then. What says
    that report, files or comparison can't be relied on can't be waived.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    store = account.registry(model, caller="waive")
    granted = store.waivers.grant(
        _run_of(store, run_or_version),
        code=code,
        why=why,
        until=until.replace(tzinfo=UTC),
        at=account.now(),
        actor=account.client("sts").get_caller_identity()["Arn"],
    )
    output.document(granted.to_json())
    output.say(f"{code} of version {granted.version} is waived by {granted.by} until {minute(granted.until)}")
    lacking = store.waivers.lacking(store.versions.get(granted.version), granted.at, not_by=None)
    if lacking:
        output.say(f"the gate refused it for more: {', '.join(lacking)}")
    else:
        output.say(f"somebody else may ask for it: `everloop restore {model} {granted.version} --reason …`")


def _run_of(store: RegistryStore, run_or_version: str) -> str:
    """The run that was named, or that of the version."""
    if not run_or_version.isdigit():
        return run_or_version
    version = store.versions.get(int(run_or_version))
    if version.gate.get("verdict") == "fail":
        return version.run_id
    refused = next((run for run in store.runs.all() if run.version == version.version and run.verdict == "fail"), None)
    if refused is None:
        raise CommandError(f"the gate has not refused version {run_or_version}", "there is nothing to waive")
    return refused.run_id
