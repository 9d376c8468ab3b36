"""Tells a person what a replay came to."""

from __future__ import annotations

from everloop.cli.output import Output, minute
from everloop.cli.replay.evidence import PICTURE_FILE, PREDICTIONS_FILE, SUMMARY_FILE, WINDOWS_FILE
from everloop.cli.replay.run import ReplayResult
from everloop.cli.replay.summary import METRICS, MODELS, MoveFacts, RetrainingFacts, ServingFacts, Summary
from everloop.evaluation.significance import CONFIDENCE
from everloop.numbers_of import number_of

MODEL_WORDS = {"frozen": "frozen first model", "raw": "loop without recalibration", "loop": "loop"}


def tell(output: Output, result: ReplayResult) -> None:
    """Print the table by month, what happened and why, and where to look further."""
    found, directory = result.summary, result.directory
    output.document({**found.to_json(), "directory": str(directory)})
    _months(output, found)
    metrics = METRICS[found.problem_type]
    raw = ", ".join(f"{metric} {_with_interval(found.raw[metric])}" for metric in metrics)
    output.say(f"the loop without recalibration, all months: {raw}")
    _money(output, found)
    _events(output, found)
    alarmed, evaluated = found.drift_windows["alarmed"], found.drift_windows["evaluated"]
    intact = "intact" if found.audit["intact"] else "NOT intact"
    output.say(
        f"{number_of(found.rows_served, 'row')} answered, {found.rows_refused:,} refused,"
        f" {found.predictions_captured:,} captured{_left_out(found)}, {number_of(found.labels_joined, 'label')} joined;"
        f" {number_of(evaluated, 'window')} monitored, {alarmed} alarmed; audit chain of"
        f" {number_of(found.audit['records'], 'record')} {intact}; {found.wall_seconds:.0f} s,"
        f" {found.peak_memory_mb:,.0f} MB at most"
    )
    if found.rows_without_champion:
        output.say(
            f"{found.rows_without_champion:,} rows of the first {found.days_without_champion:.1f} days could not be"
            " answered: nothing served yet. They were imported as history, and are not part of the figures above."
        )
    output.say("Look further:")
    for name, holds in (
        (PICTURE_FILE, "quality over time, savings, events"),
        (SUMMARY_FILE, "these figures as JSON"),
        (PREDICTIONS_FILE, "every answer, with its label and the frozen model's answer"),
        (WINDOWS_FILE, "every monitored window: drift, losses, decision, reasons"),
    ):
        output.say(f"  {directory / name}  {holds}")
    output.say("The loop is closed." if not found.open_links else "The loop is NOT closed:")
    for link in found.open_links:
        output.say(f"  {link}")


def _left_out(found: Summary) -> str:
    return f", {found.rows_left_out:,} left out of the sample" if found.rows_left_out else ""


def _months(output: Output, found: Summary) -> None:
    metrics = METRICS[found.problem_type]
    columns = ["month", "labelled"] + [f"{metric} {model}" for metric in metrics for model in ("frozen", "loop")]
    whole = {"month": "all", "frozen": found.frozen, "loop": found.loop}
    rows = [
        [month["month"], f"{month['loop']['rows']:,}"]
        + [_with_interval(month[model][metric]) for metric in metrics for model in ("frozen", "loop")]
        for month in [*found.months, whole]
    ]
    title = f"{found.model}: the frozen first model against the loop (±: {CONFIDENCE:.0%} confidence, over days)"
    output.table(title, columns, rows)


def _money(output: Output, found: Summary) -> None:
    """What 1,000 decisions cost, where the declaration prices them."""
    if found.money is None:
        return
    decided, at_best = found.money["threshold"], found.money["cost_at_best"]
    rows = [
        ["the errors" if decided is None else f"at the declared threshold, {decided:g}", *_costs(found.money["cost"])]
    ]
    if at_best is not None and found.money["best_threshold"] != decided:
        rows.append(
            [f"from {found.money['best_threshold']:.3g} , the best threshold for these prices", *_costs(at_best)]
        )
    output.table(
        f"what 1,000 decisions cost in {found.money['currency']} (below 0: they earn)",
        ["", *(MODEL_WORDS[model] for model in MODELS)],
        rows,
    )


def _costs(cost: dict[str, float]) -> list[str]:
    return [f"{cost[model]:,.2f}" for model in MODELS]


def _events(output: Output, found: Summary) -> None:
    events = [(r["at"], "retraining", told(r)) for r in found.retrainings]
    events += [(r["at"], "restoration", told(r)) for r in found.restorations]
    # Of a first candidate that came to serve, the promotion tells.
    events += [(r["at"], "refused", told(r)) for r in found.first_candidates if r["verdict"] != "pass"]
    serves: dict[int | None, ServingFacts] = {one["version"]: one for one in found.serving}
    events += [(p["at"], "promotion", _of_version(p) + served(serves.get(p["version"]))) for p in found.promotions]
    events += [(r["at"], "rollback", _of_version(r)) for r in found.rollbacks]
    output.story("what happened and why", [(minute(at), what, text) for at, what, text in sorted(events)])


def told(retraining: RetrainingFacts) -> str:
    """One retraining or restoration in words: what came of it, what set it off, and what the gate held against it."""
    version = f"version {retraining['version']}, " if retraining["version"] else ""
    text = f"{version}gate: {retraining['verdict']}. {retraining['trigger']}: {retraining['reason']}"
    against = [r["sentence"] for r in retraining["reasons"] if not r.get("passed")]
    if retraining["cause"]:
        against.append(retraining["cause"])
    return f"{text.removesuffix('.')}. Against it: {' '.join(against)}" if against else text


def served(serving: ServingFacts | None) -> str:
    """Which bytes of a version came to serve, behind its promotion in the story."""
    if serving is None or not (serving["against"] or serving["serves"] == "refit"):
        return ""
    return ", its refit" if serving["serves"] == "refit" else f", no refit: {' '.join(serving['against'])}"


def _of_version(event: MoveFacts) -> str:
    return f"version {event['version']}" + (f". {event['reason']}" if event["reason"] else "")


def _with_interval(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "not defined"
    if value["low"] is None or value["high"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f}±{(value['high'] - value['low']) / 2:.3f}"
