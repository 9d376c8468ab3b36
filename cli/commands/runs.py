"""``everloop runs``."""

from __future__ import annotations

import click

from everloop.cli.account import Account
from everloop.cli.operations.job_logs import require_run, run_logs
from everloop.cli.operations.run_compare import compare
from everloop.cli.operations.run_facts import facts_of
from everloop.cli.operations.run_tables import shown_value, told_of, trials_of
from everloop.cli.operations.runs import release_run, why_no_refit
from everloop.cli.operations.status import kept_of
from everloop.cli.options import json_option, model_argument
from everloop.cli.output import Output, minute
from everloop.numbers_of import number_of


@click.group()
def runs() -> None:
    """Runs of the training pipeline."""


@runs.command("list")
@model_argument
@json_option
def list_(model: str, as_json: bool) -> None:
    """All runs of MODEL, newest first, and what became of each."""
    output, account = Output(as_json), Account()
    account.model(model)
    store = account.registry(model)
    found = store.runs.all()
    output.document([run.to_json() for run in found])
    output.table(
        f"runs of {model}",
        ["started", "run", "trigger", "status", "gate", "version", "serves"],
        (
            [
                minute(r.started_at),
                r.run_id,
                r.trigger.get("kind"),
                r.status,
                r.verdict,
                r.version,
                r.refit.get("serves"),
            ]
            for r in found
        ),
    )
    # Below the table: a cause may be the end of a log.
    causes = [(minute(r.ended_at), r.run_id, r.cause) for r in found if r.cause and r.ended_at]
    if causes:
        output.story("how they ended", causes)
    updates = [(minute(r.started_at), r.run_id, r.update["reason"]["sentence"]) for r in found if r.update]
    if updates:
        output.story("asked to continue what serves", updates)
    spans = [(minute(r.started_at), r.run_id, r.training_span["reason"]["sentence"]) for r in found if r.training_span]
    if spans:
        output.story("from which rows they learn, and why", spans)
    asked = kept_of(store, account.now(), store.kept_requests.all())
    if asked:
        output.story(
            "requested while none could start", [(minute(k.request.kept_at), k.state, k.sentence) for k in asked]
        )
    kept = [
        (minute(r.started_at), r.run_id, why_no_refit(r.refit)) for r in found if r.refit.get("serves") == "evaluated"
    ]
    if kept:
        output.story("why the evaluated model was registered, not a refit", kept)


@runs.command(short_help="What a run was made of, and what it took.")
@model_argument
@click.argument("run_id")
@json_option
def show(model: str, run_id: str, as_json: bool) -> None:
    """RUN_ID of MODEL: who started it, parameters, data, code, packages, metrics, trials, and what its jobs cost.

    Also of a run that failed: what its jobs were, and what they cost until then. Costs are at us-east-1's list prices.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    found = facts_of(account, model, run_id)
    output.document(found.to_json())
    output.table(f"{model}, run {run_id}", ["", ""], told_of(found))
    output.table(
        "jobs",
        ["job", "status", "instance", "seconds", "USD", "saved by spot", "image"],
        (
            [
                job.purpose,
                job.status,
                job.instance_type,
                "" if job.seconds is None else f"{job.seconds:g}",
                "" if job.usd is None else f"{job.usd:.4f}",
                "" if job.spot_saved_usd is None else f"{job.spot_saved_usd:.4f}",
                job.image,
            ]
            for job in found.jobs
        ),
    )
    trials = list(trials_of(found))
    if trials:
        output.table("trials", ["trial", "state", "value", "seconds", "parameters", "best"], trials)


@runs.command("compare", short_help="What differs between two runs.")
@model_argument
@click.argument("run_a")
@click.argument("run_b")
@json_option
def compare_(model: str, run_a: str, run_b: str, as_json: bool) -> None:
    """What differs between RUN_A and RUN_B of MODEL, side by side: data, code, packages, parameters, metrics, cost."""
    output, account = Output(as_json), Account()
    account.model(model)
    found = compare(facts_of(account, model, run_a), facts_of(account, model, run_b))
    differences = [vars(one) for one in found.differences]
    output.document({"a": run_a, "b": run_b, "differences": differences, "equal": found.equal})
    output.table(
        f"{model}: {number_of(found.equal, 'fact is', 'facts are')} equal",
        ["", run_a, run_b],
        ([one.what, shown_value(one.a), shown_value(one.b)] for one in found.differences),
    )


@runs.command(short_help="What the jobs of a run wrote.")
@model_argument
@click.argument("run_id")
@click.option("--follow", is_flag=True, help="Go on until its last job has ended.")
@json_option
def logs(model: str, run_id: str, follow: bool, as_json: bool) -> None:
    """What the SageMaker jobs of RUN_ID of MODEL wrote: training, evaluation, refit and its check, in their order.

    The lines come from CloudWatch Logs, a few seconds after a job has written them. `everloop train --logs` shows them
    beside the steps.
    """
    output, account = Output(as_json), Account()
    account.model(model)
    require_run(account, model, run_id)
    written = []
    for line in run_logs(account, model, run_id, follow=follow):
        written.append(line)
        output.say(line.shown())
    if not written:
        output.note(f"no job of the run {run_id} has written anything")
    output.document(written)


@runs.command(short_help="Close a run whose execution is dead.")
@model_argument
@click.argument("run_id")
@click.option("--reason", required=True, help="The reason, stored in the audit chain.")
@json_option
def release(model: str, run_id: str, reason: str, as_json: bool) -> None:
    """Close RUN_ID of MODEL, whose execution is dead, so that another run can start.

    A canary it left behind loses its traffic first. A version it promoted keeps serving.
    """
    output, account = Output(as_json), Account()
    released = release_run(account, model, run_id, reason=reason)
    rollout = released.rollout
    extra = {"taken_back": released.taken_back, "rollout": None if rollout is None else rollout.to_json()}
    output.document({**released.run.to_json(), **extra})
    if rollout is not None and released.taken_back:
        output.say(f"version {rollout.version} is {rollout.status}: its traffic goes back to the previous version")
    elif rollout is not None and rollout.status == "baking":
        undo = f"`everloop rollout back {model} --reason …` undoes it"
        output.say(f"version {rollout.version} was promoted and keeps serving; {undo}")
    output.say(f"run {run_id} is {released.run.status}")
