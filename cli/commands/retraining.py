"""``everloop retraining``."""

from __future__ import annotations

import click

from everloop.cli.account import Account
from everloop.cli.operations.retraining import RetrainingStory, retraining_of
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.documents.investment import InvestmentDocument, RegretDocument
from everloop.documents.window import WindowRecord
from everloop.numbers_of import number_of
from everloop.registry.records import Probe


@click.command("retraining")
@model_argument
@json_option
def retraining(model: str, as_json: bool) -> None:
    """What the monitor last decided about training MODEL again, and what waiting costs by its fresh probes."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = retraining_of(account.registry(model))
    output.document(found.to_json())
    _show(output, found)


def _show(output: Output, found: RetrainingStory) -> None:
    window = found.window
    held = f", held back by {window.held_back_by}" if window.held_back_by else ""
    output.say(f"window to {minute(window.end)}: {window.decision}{held}")
    for reason in window.reasons:
        output.say(f"  {reason.sentence}")
    if found.investment is None:
        output.say(
            "retraining is not measured as an investment: declare retraining.investment, or wait for the first"
            " probe (`everloop docs retraining`)"
        )
    else:
        _figures(output, found.investment, found.weighed or window)
    if found.probes:
        output.table(
            "fresh probes, newest first",
            ["window to", "rows", "learned from", "loss fresh", "champion", "left out"],
            (_probe(probe) for probe in found.probes),
        )


def _figures(output: Output, investment: InvestmentDocument, weighed: WindowRecord) -> None:
    unit, newest = investment["unit"], investment.get("newest_version", weighed.version)
    whose = "the champion" if newest == weighed.version else f"version {newest}, the newest that has served"
    output.table(
        f"weighed in {unit}, by windows of {number_of(investment['every_days'], 'day')}",
        ["", ""],
        [
            [f"age of {whose}", number_of(investment["age"], "window")],
            ["regret since its training", _regret(investment["regret"])],
            ["the same, forecast to now", _regret(investment["forecast"])],
            ["expected of the next window", f"{investment['next_regret']:.4g}"],
            [
                "the best cycle",
                f"{investment['rate']:.4g} a window, training every {number_of(investment['best_age'], 'window')}",
            ],
            ["a retraining costs", f"{investment['cost']:.4g}"],
            ["ageing, by windows of age", ", ".join(f"{value:.3g}" for value in investment["ageing"])],
        ],
    )
    for reason in investment["reasons"]:
        output.say(reason["sentence"])
    output.table(
        "remedies, cheapest first",
        ["remedy", "saves in the next window", "costs", "proposed", "why"],
        (
            [
                remedy["remedy"].replace("_", " "),
                "" if remedy["gain"] is None else f"{remedy['gain']:.4g}",
                "" if remedy["cost"] is None else f"{remedy['cost']:.4g}",
                "yes" if remedy["proposed"] else "",
                remedy["reason"],
            ]
            for remedy in investment["remedies"]
        ),
    )


def _regret(regret: RegretDocument) -> str:
    return f"{regret['total']:.4g} (standard error {regret['error']:.2g}), {number_of(regret['windows'], 'window')}"


def _probe(probe: Probe) -> list[str]:
    document = probe.document
    champion = document["champion"]
    answered = sum(champion["rows"]) if champion else 1
    return [
        minute(document["window_end"]),
        f"{document['window_rows']:,}",
        f"{document['trained_rows']:,} of {document['labelled_rows']:,}",
        f"{sum(document['fresh']['loss']) / sum(document['rows']):.4g}",
        f"{sum(champion['losses']['loss']) / answered:.4g} (version {champion['version']})" if champion else "",
        "; ".join(f"{name}: {why}" for name, why in document["left_out"].items()),
    ]
