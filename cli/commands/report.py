"""``everloop report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.operations.money import costs_of
from everloop.cli.operations.report_tables import details, told
from everloop.cli.operations.reports import evaluation_of, write_page
from everloop.cli.operations.stories import waiver_cells
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output
from everloop.evaluation.report import MetricValue
from everloop.evaluation.threshold_report import told as threshold_told


@click.command()
@model_argument
@click.option("--version", type=int, help="A version's number. [the version that serves]")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Writes the report as one HTML page to this file."
)
@json_option
def report(model: str, version: int | None, html: Path | None, as_json: bool) -> None:
    """What the evaluation of a version of MODEL found: metrics and money, with intervals, beside baseline and champion.

    The report's bytes are compared with the hash in the registry first. Intervals are 95%, with days as clusters. Costs
    are of 1,000 decisions, by the prices of `problem.value`; below 0 they earn.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    found = evaluation_of(account, model, version)
    evaluated = found.report
    if html is not None:
        size = write_page(found, html)
        output.document({"version": found.version.version, "html": str(html), "bytes": size})
        output.say(f"{html} has the report of version {found.version.version}: {size:,} bytes, for any browser")
        return
    output.document({"version": found.version.version, "money": found.money, "looks": found.looks, "report": evaluated})
    output.table(
        f"{model}, version {found.version.version}: {evaluated.rows:,} test rows of {evaluated.days:,} days",
        ["metric", "candidate", "baseline", "champion"],
        (
            [name, *(_of(metrics, name) for metrics in (evaluated.candidate, evaluated.baseline, evaluated.champion))]
            for name in evaluated.candidate
        ),
    )
    if found.looks is not None:
        output.say(f"{found.looks.sentence}.")
    if found.money is None:
        output.say("What decisions cost is not in this report: it is of a release that did not count it.")
    else:
        acted = found.money["threshold"]
        how = "" if acted is None else f", acting from a score of {acted:g} on"
        output.table(f"what 1,000 decisions cost{how}", ["decisions", "cost"], map(list, costs_of(found.money)))
        if evaluated.threshold_choice is not None:
            output.say(threshold_told(evaluated.threshold_choice, found.money["currency"]))
    for title, headers, rows in details(evaluated):
        output.table(title, headers, rows)
    output.table(
        "gate",
        ["code", "passed", "reason"],
        ([r["code"], r.get("passed"), r["sentence"]] for r in found.version.gate.get("reasons", [])),
    )
    if found.waivers:
        output.table("waivers", ["of", "by", "until", "why"], map(waiver_cells, found.waivers))


def _of(metrics: Mapping[str, MetricValue] | None, name: str) -> str:
    found = None if metrics is None else metrics.get(name)
    return "" if found is None else told(found)
