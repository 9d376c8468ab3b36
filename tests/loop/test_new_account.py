"""docs/add-a-model.md and docs/after-deploy.md, typed as they stand in a new account, to its end, and again.

What such an account lacks is told before the deployment, and by the run that meets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from everloop.cli.account import Account
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.helpers.environment import variables_kept
from tests.loop.changing import PLAIN, document, history
from tests.loop.walking import DEPLOY, SET_UP, Walk, make_project, page

pytestmark = pytest.mark.xdist_group("loop in a new account")

MODEL = "flight_delay"
REMOVE = 'everloop remove --everything --reason "…" --yes'
ELSEWHERE = {"everloop replay late_train --data history.csv --until-history 2024-03-01": "test_investment.py"}
"""Commands that a test of their own types, with another model: a replay has a local cloud of its own."""
NOT_YET = {
    "everloop rollout back": "is running, and its guardrail decides",
    "everloop runs release": "is running, and its guardrail decides",
    "everloop retraining": "nothing was decided",
    "everloop restore": "has no version 3",
}
"""What the page types for a later day, and what is told of it on the first: a bake is under way, the monitor has not
looked yet, there is one version."""
PICTURE = "models/late_train/"
"""A block that shows a folder."""


def declared(model: str) -> dict[str, Any]:
    return document(model=model) | {"training": {"seed": 7, "refit": "none"}}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, declared(MODEL), declared("late_train"))
    with variables_kept():
        begun = Walk.begin(folder, tmp_path_factory.mktemp("state") / "local")
        try:
            yield begun
        finally:
            begun.cloud.stop()


def missing(walk: Walk) -> list[dict[str, str]]:
    status, told = walk.type("everloop preflight --json")
    found = json.loads(told[told.index("{") :])
    assert (status == 0) == found["ready"]
    return [one for one in found["findings"] if one["state"] == "missing"]


def write_files(walk: Walk) -> None:
    """What the page's commands read: history of the last month, new requests and their outcomes."""
    begin = f"{walk.now():%Y-%m-%d}"
    history(begin=f"{walk.now() - timedelta(days=27):%Y-%m-%d}").to_parquet(walk.folder / "history.parquet")
    keys = [f"{begin}-{number}" for number in range(3)]
    instances = [{"train_id": key, **PLAIN} for key in keys]
    (walk.folder / "request.json").write_text(json.dumps({"instances": instances}))
    rows = [{"train_id": f"{begin}-line-{number}", **PLAIN} for number in range(3)]
    (walk.folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (walk.folder / "answers.jsonl").unlink(missing_ok=True)
    (walk.folder / "outcomes.csv").write_text("key,label\n" + "".join(f"{key},1\n" for key in keys))


def test_the_page_on_a_new_model_is_walked(walk: Walk) -> None:
    history(begin="2024-02-01").to_csv(walk.folder / "history.csv", index=False)
    for command in page("add-a-model"):
        if command in ELSEWHERE:
            assert "replay" in (Path(__file__).parent / ELSEWHERE[command]).read_text(encoding="utf-8")
        elif command != PICTURE:
            walk.does(command)


def test_instances_are_all_that_it_lacks_once_it_is_bootstrapped(walk: Walk) -> None:
    set_up, look, bootstrap, deploy = page("after-deploy")[:4]
    walk.does(set_up)
    assert "npx aws-cdk@2.1148.1 bootstrap" in walk.refuses(look)
    walk.does(bootstrap)
    lacks = missing(walk)
    assert {one["check"] for one in lacks} == {"instances"}
    assert sorted(one["sentence"].split(":")[0] for one in lacks) == [
        "ml.m5.large for processing job usage",
        "ml.m5.large for training job usage",
    ]
    walk.does(deploy)


def test_a_run_ends_with_what_is_lacking_and_counts_for_no_quota(walk: Walk) -> None:
    write_files(walk)
    walk.does("everloop data import flight_delay history.parquet")
    walk.does("everloop train flight_delay --detach")
    # A momentary lack of instances is waited for.
    walk.pass_time(hours=1)
    (run,) = json.loads(walk.does("everloop runs list flight_delay --json"))
    assert (run["status"], run["trained"]) == ("failed", False)
    assert "ml.m5.large for training job usage' is 0 Instances" in json.dumps(run)


def test_what_it_lacks_is_asked_for_as_preflight_says(walk: Walk) -> None:
    for one in missing(walk):
        walk.does(re.findall("`([^`]+)`", one["remedy"])[0])
    assert missing(walk), "nobody has granted it yet"
    walk.pass_time(days=1)
    assert missing(walk) == []


@pytest.mark.parametrize("round_", ["first", "again"])
def test_the_page_is_walked_to_its_end_with_a_bake_under_way(walk: Walk, round_: str) -> None:
    commands = page("after-deploy")
    assert commands[0] == SET_UP
    if round_ == "again":
        walk.does(DEPLOY)
    registry = Account().platform.table
    write_files(walk)
    begin, end = commands.index("everloop data import flight_delay history.parquet"), commands.index(REMOVE)
    for command in commands[begin : end - 1]:
        if round_ == "again" and "--smoke" in command:
            continue
        run = active(walk)
        refused = next((why for what, why in NOT_YET.items() if what in command), None)
        if refused is not None:
            assert refused in walk.refuses(command, RUN=run)
        else:
            told = walk.does(command, RUN=run)
        if command.startswith("curl"):
            assert len(json.loads(told)["predictions"]) == 3
    # WHEN everything is removed with the bake under way, THEN first nothing is, for rows are on their way to the lake
    say, remove = commands[end - 1 :]
    assert "requests came within the last 20 minutes" in walk.refuses(say)
    walk.pass_time(minutes=21)
    told = " ".join(walk.does(say).split())
    assert f"stops the execution {run}" in told
    assert re.search(r"ends the bake of version \d, which stays the champion", told)
    walk.does(remove)
    # THEN nothing runs, answers or is scheduled any more, and what stays is what was said
    assert stacks() == {"CDKToolkit"}
    for service, operation, found in (
        ("lambda", "list_functions", "Functions"),
        ("stepfunctions", "list_state_machines", "stateMachines"),
        ("scheduler", "list_schedules", "Schedules"),
        ("firehose", "list_delivery_streams", "DeliveryStreamNames"),
        ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ):
        assert getattr(boto3.client(service), operation)()[found] == []  # type: ignore[call-overload]  # any service
    assert registry in told
    store = RegistryStore(boto3.client("dynamodb"), registry, MODEL)
    assert store.runs.get(run).status == "released"
    assert store.rollouts.get(run).status == "removed"
    assert list(store.ledger.audit_records())[-1].action == "removal_begun"
    assert verify_audit(store).sound
    # AND typed again it changes nothing, and says what stays
    assert registry in walk.does(say)


def active(walk: Walk) -> str:
    """The run that is active; empty without one."""
    found = json.loads(walk.type("everloop status flight_delay --json")[1])[0]["active_run"]
    return found["run_id"] if found else ""


def stacks() -> set[str]:
    return {stack["StackName"] for stack in boto3.client("cloudformation").describe_stacks()["Stacks"]}
