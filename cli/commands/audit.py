"""``everloop audit``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.locked_records import verify_locked
from everloop.cli.operations.reports import reports_in
from everloop.cli.operations.stories import describe
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.registry import keys
from everloop.registry.records import AuditRecord, Version
from everloop.registry.reports import report_problems, restored_report_problems
from everloop.registry.trace import AuditVerdict, verify_audit


@click.group()
def audit() -> None:
    """Who did what, when and why."""


@audit.command(short_help="Verify the audit chain.")
@click.argument("model", required=False)
@json_option
def verify(model: str | None, as_json: bool) -> None:
    """Verify the audit chain of MODEL, or of every deployed model.

    Exit status 1 when a record was altered, removed, reordered or cut off, it is not the locked one, the registry
    contradicts it, a window or snapshot is not what a run or a version was based on, or a version's report is not the
    one that the gate judged.
    """
    output, account = Output(as_json), Account()
    names = [model] if model else account.model_names()
    verdicts, lengths = {}, {}
    if not names:
        output.note("no model is deployed, so no chain was verified; `everloop check` lists the declared models")
    for name in names:
        account.model(name)
        registry = account.registry(name)
        locked = verify_locked(account, name)
        found = verify_audit(registry)
        versions, _ = registry.ledger.readable(Version, keys.VERSIONS)
        records, _ = registry.ledger.readable(AuditRecord, keys.AUDIT)
        read = reports_in(account)
        told = (
            *found.contradictions,
            *locked.problems,
            *report_problems(versions, read),
            *restored_report_problems(records, versions, read),
        )
        verdicts[name] = verdict = AuditVerdict(found.chain, told)
        lengths[name] = locked.locked
        state = "intact" if verdict.sound else "NOT intact"
        counted = f"{number_of(verdict.chain.records, 'record')}, {locked.locked} locked"
        output.say(f"{name}: {counted}, {state}, head {verdict.chain.head}")
        for problem in verdict.problems:
            output.say(f"  {problem}")
    output.document(
        [
            {
                "model": name,
                "records": v.chain.records,
                "locked": lengths[name],
                "intact": v.sound,
                "head": v.chain.head,
                "problems": v.problems,
            }
            for name, v in verdicts.items()
        ]
    )
    if not all(v.sound for v in verdicts.values()):
        sys.exit(1)


@audit.command("list", short_help="Every audit record, oldest first.")
@model_argument
@json_option
def list_(model: str, as_json: bool) -> None:
    """Every audit record of MODEL, oldest first."""
    output, account = Output(as_json), Account()
    account.model(model)
    records = list(account.registry(model).ledger.audit_records())
    output.document([record.to_json() for record in records])
    output.table(
        f"audit of {model}",
        ["#", "at", "by", "what"],
        ([r.sequence, instant_text(r.at), r.actor, describe(r)] for r in records),
    )
