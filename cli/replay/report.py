"""Tells a person what a replay came to."""

from __future__ import annotations

from typing import Any

from cli.output import Output
from cli.replay.evidence import PICTURE_FILE, PREDICTIONS_FILE, SUMMARY_FILE, WINDOWS_FILE
from cli.replay.run import ReplayResult
from cli.replay.summary import METRICS, Summary


def tell(output: Output, result: ReplayResult) -> None:
    """Print the table by month, what happened and why, and where to look further."""
    found, directory = result.summary, result.directory
    output.document({**found.to_json(), "directory": str(directory)})
    _months(output, found)
    _events(output, found)
    alarmed, evaluated = found.drift_windows["alarmed"], found.drift_windows["evaluated"]
    intact = "intact" if found.audit["intact"] else "NOT intact"
    output.say(
        f"{found.rows_served:,} rows answered, {found.predictions_captured:,} captured, {found.labels_joined:,} labels "
        f"joined; {evaluated} windows watched, {alarmed} alarmed; audit chain of {found.audit['records']} records "
        f"{intact}; {found.wall_seconds:.0f} s, {found.peak_memory_mb:,.0f} MB at most"
    )
    output.say("Look further:")
    for name, holds in (
        (PICTURE_FILE, "quality over time, events marked"),
        (SUMMARY_FILE, "these figures for machines"),
        (PREDICTIONS_FILE, "every answer, with its label and the frozen model's answer"),
        (WINDOWS_FILE, "every monitored window: drift, losses, decision, reasons"),
    ):
        output.say(f"  {directory / name}  {holds}")
    output.say("The loop is closed." if not found.open_links else "The loop is NOT closed:")
    for link in found.open_links:
        output.say(f"  {link}")


def _months(output: Output, found: Summary) -> None:
    metrics = METRICS[found.problem_type]
    columns = ["month", "labelled"] + [f"{metric} {model}" for metric in metrics for model in ("frozen", "loop")]
    whole = {"month": "all", "frozen": found.frozen, "loop": found.loop}
    rows = [
        [month["month"], f"{month['loop']['rows']:,}"]
        + [_with_interval(month[model][metric]) for metric in metrics for model in ("frozen", "loop")]
        for month in [*found.months, whole]
    ]
    output.table(f"{found.model}: the frozen first model against the loop", columns, rows)


def _events(output: Output, found: Summary) -> None:
    rows: list[list[Any]] = [
        [run["at"], "retraining", f"{run['trigger']}: {run['reason']}", run["verdict"], run["version"]]
        for run in found.retrainings
    ]
    rows += [[p["at"], "promotion", p["reason"], "", p["version"]] for p in found.promotions]
    rows += [[r["at"], "rollback", r["reason"], "", r["version"]] for r in found.rollbacks]
    output.table("what happened and why", ["at", "what", "why", "verdict", "version"], sorted(rows))


def _with_interval(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "not defined"
    if value["low"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"
