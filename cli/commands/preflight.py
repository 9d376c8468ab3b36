"""``everloop preflight``."""

from __future__ import annotations

import sys

import click

from everloop.cli.account import Account
from everloop.cli.operations.preflight.checks import findings
from everloop.cli.operations.preflight.findings import Finding
from everloop.cli.operations.preflight.needs import needs_of
from everloop.cli.operations.project import synthesize_project
from everloop.cli.options import json_option
from everloop.cli.output import Output
from everloop.numbers_of import number_of


@click.command()
@click.option("--qualifier", default="hnb659fds", show_default=True, help="Qualifier of the CDK's bootstrap.")
@json_option
def preflight(qualifier: str, as_json: bool) -> None:
    """What the account lacks that the project's templates need: type it before `cdk deploy`.

    It reads credentials, region, bootstrap, quotas of SageMaker and Lambda, the images of endpoints, and Lake
    Formation's settings. It changes nothing. Each line that is not good says which command or request cures it. Where
    these credentials may not look, it says so, and which permission it would need.

    Exit status 1 when something is missing. What is unknown is no reason to stop.
    """
    output, account = Output(as_json), Account()
    needs = needs_of(synthesize_project(output.note), qualifier=qualifier)
    found: list[Finding] = []
    for finding in findings(account, needs):
        found.append(finding)
        output.say(f"{_MARKS[finding.state]} {finding.check}: {finding.sentence}")
        if finding.remedy:
            output.say(f"  → {finding.remedy}")
    missing = [one for one in found if one.state == "missing"]
    unknown = [one for one in found if one.state == "unknown"]
    output.document({"ready": not missing, "findings": found})
    if missing:
        output.say(f"not ready: {number_of(len(missing), 'thing')} missing")
        sys.exit(1)
    output.say("ready to deploy" + (f"; {number_of(len(unknown), 'thing')} could not be checked" if unknown else ""))


_MARKS = {"good": "good   ", "missing": "MISSING", "unknown": "unknown"}
