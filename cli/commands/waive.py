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
@click.option("--why", required=True, help="Why it may pass, or no longer; it is kept in the audit chain.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The first day (UTC) on which it counts for nothing.")
@click.option("--revoke", is_flag=True, help="Takes back what is waived, before its end.")
@json_option
def waive(
    model: str, run_or_version: str, code: str, why: str, until: datetime | None, revoke: bool, as_json: bool
) -> None:
    """Let a reason pass for which the gate refused RUN_OR_VERSION of MODEL.

    Whoever started the run can't, nor can who asks for the version afterwards. Nothing serves by it: `everloop restore
    MODEL VERSION` has the version judged again on the newest rows, with the waivers that are in force then. What says
    that report, files or comparison can't be relied on can't be waived. With --revoke what was waived counts again; a
    version that serves by then goes on serving.
    """
    if (until is None) is not revoke:
        raise click.UsageError("either --until, for how long it may pass, or --revoke, which ends it now")
    output, account = Output(as_json), Account()
    account.model(model)
    store = account.registry(model, caller="waive")
    run_id, actor = _run_of(store, run_or_version), account.client("sts").get_caller_identity()["Arn"]
    if until is None:
        number = store.runs.get(run_id).version
        if number is None:
            raise CommandError(f"run {run_id} has no version", "there is nothing to revoke")
        ended = store.waivers.revoke(number, code=code, why=why, at=account.now(), actor=actor)
        output.document(ended.to_json())
        output.say(f"{code} of version {number} is not waived any more: the waiver of {ended.by} is revoked")
        return
    granted = store.waivers.grant(
        run_id, code=code, why=why, until=until.replace(tzinfo=UTC), at=account.now(), actor=actor
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
