"""A declaration changes while its model serves, section by section as docs/change-a-model.md has it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from urllib3 import PoolManager, Retry

from everloop.cli.exceptions import CommandError
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.endpoints import endpoint_of
from everloop.cli.operations.local_cloud import deploy
from everloop.monitoring.reference import SCORE
from everloop.names import ModelNames
from localcloud.cloudformation.state import StateDirectory
from tests.helpers import change_commands as typed
from tests.helpers.declarations import with_endpoint
from tests.helpers.present import present
from tests.loop.changing import Changing, Project, document, history
from tests.loop.standing_cloud import deployed_cloud

pytestmark = pytest.mark.xdist_group("loop that changes")

STARTS = datetime(2013, 3, 1, 9, tzinfo=UTC)

MORE: dict[str, Any] = {
    "seats": {"type": "number", "missing": "allow"},
    "miles": {"type": "number", "missing": "allow"},  # the new name of distance
    "wind_text": {"type": "category", "missing": "allow"},  # wind as another type
    "line": {"type": "category", "values": ["north", "south", "east"], "unseen": "refuse"},
}
NEW = {"seats": 300.0, "miles": 186.0, "wind_text": "calm"}
SHADOW = {"minutes": 60, "minimum_rows": 5, "max_disagreement": 0.5}
RENAMED = {**NEW, "distance": None}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    folder = tmp_path_factory.mktemp("changing")
    project = Project(folder)
    project.declare(document())
    assembly = project.synthesized()
    with deployed_cloud(folder, STARTS, lambda _: assembly) as cloud:
        declaration = find_declaration("late_train", project.models)
        loop = Changing(cloud, declaration, None, None, project=project)  # type: ignore[arg-type]  # nothing was replayed here
        rows = history()
        # The newest week is left for later: a champion is compared on what it has not learned from.
        rows[rows["departure"] < "2013-02-20"].to_parquet(folder / "rows.parquet")
        loop.does(typed.IMPORT)
        run = loop.served_to_the_end(loop.started(typed.TRAIN))
        assert run.status == "succeeded", run
        yield loop


def test_features_are_declared_and_callers_of_before_and_after_are_answered(loop: Changing) -> None:
    """Add a feature; the first half of a rename and of another type; one more category, which waits."""
    # GIVEN a champion; WHEN features are declared that neither history nor callers have
    loop.project.declare(document(**MORE))
    assert "fits what is deployed" in loop.does(typed.CHECK)
    loop.does(typed.DEPLOY)
    # THEN the function that runs answers as before, until the champion is rolled out under the new declaration
    assert loop.statuses(2) == {(200, 1)}
    assert loop.statuses(2, seats=300.0) == loop.statuses(2, line="east") == {(400, None)}
    assert loop.rolled_out().status == "succeeded"
    assert loop.statuses(3) == loop.statuses(3, **NEW) == {(200, 1)}
    assert loop.statuses(2, line="east") == loop.statuses(2, speed=1.0) == {(400, None)}
    assert loop.statuses(2, operator="of no row") == {(200, 1)}, "operator is declared unseen: accept"
    # AND the monitor goes on with what both know, and tells the rest
    window = loop.next_monitoring()
    assert set(window["not_watched"]) == {"seats", "miles", "wind_text", SCORE}
    assert "wind_text: " in loop.does(typed.STATUS)
    # AND the lake has what was sent before any version used it
    captured = loop.lake_predictions()
    assert captured["seats"].eq(300.0).any()
    assert captured["wind_text"].eq("calm").any()


def test_a_candidate_of_the_new_declaration_can_be_rolled_back_within_its_bake(loop: Changing) -> None:
    # GIVEN history that has the new columns, and some rows with the new category
    rows = history()
    line = np.where(np.arange(len(rows)) % 10 == 0, "east", rows["line"]).astype(object)
    known = rows["departure"] > "2013-02-10"
    seats, miles = np.where(known, 300.0, np.nan), rows["distance"].where(known) / 1.609
    texts = np.where(known, np.where(rows["wind"] > 12, "storm", "calm"), np.array(None))
    rows.assign(line=line, seats=seats, miles=miles, wind_text=texts).to_parquet(loop.project.folder / "rows.parquet")
    loop.does(typed.IMPORT)
    # WHEN a candidate uses them, THEN in its canary both answer old and new rows; the new category it answers alone
    run = loop.started(typed.TRAIN)
    assert loop.store.runs.get(run).version == 2
    loop.to_canary(run)
    assert loop.statuses(8) | loop.statuses(8, **NEW) == {(200, 1), (200, 2)}
    assert loop.statuses(16, **NEW, line="east") == {(400, None), (200, 2)}
    # AND as champion, all of it
    loop.served_until(lambda: present(loop.store.versions.champion()).version == 2)
    assert loop.statuses(4) == loop.statuses(4, **NEW) == loop.statuses(4, line="east") == {(200, 2)}
    # WHEN it is taken back within its bake, THEN the version before answers what it answered
    arn = loop.model.state_machine_arn.replace(":stateMachine:", ":execution:") + f":{run}"
    assert f"or stopped: `{typed.STOP.replace('ARN', arn)}`" in loop.refuses(typed.BACK)
    loop.does(typed.STOP, ARN=arn)
    assert "version 1 has all traffic" in loop.does(typed.BACK)
    loop.does(typed.RELEASE, RUN=run)
    assert present(loop.store.versions.champion()).version == 1
    assert loop.statuses(4) == loop.statuses(4, **NEW) == {(200, 1)}
    assert loop.statuses(4, **NEW, line="east") == {(400, None)}
    assert loop.next_monitoring()["rows"] > 0


def test_a_feature_is_taken_out_of_the_script_first_and_then_removed(loop: Changing) -> None:
    """The second half of a rename: nobody sends distance. Meanwhile the model moves to an endpoint."""
    loop.project.declare(with_endpoint(document(**MORE)), left_out=("distance",))
    loop.does(typed.DEPLOY)
    # WHEN the pipeline trains, judges and rolls out the next version, there, under callers of the version before
    with loop.under_requests(**NEW) as seen:
        run = loop.started(typed.TRAIN)
        assert loop.store.runs.get(run).version == 3
        loop.to_canary(run)
        # THEN callers have to send it as long as the version before answers
        assert loop.statuses(8, **NEW) == {(200, 1), (200, 3)}
        assert loop.statuses(16, **RENAMED) == {(400, None), (200, 3)}
        assert loop.served_to_the_end(run, **NEW).status == "succeeded"
    # AND no request was lost on the way from the function to the endpoint
    assert {(200, "1"), (200, "3")} == set(seen), seen
    assert running(loop) == {present(loop.store.versions.champion()).lambda_version: 1}
    assert "yes, as variant everloop-late-train-v3-" in loop.does("everloop trace late_train")
    assert loop.statuses(3, **NEW) == loop.statuses(3, **RENAMED) == loop.statuses(3, line="east") == {(200, 3)}
    # WHEN it is removed, still on the endpoint, the champion takes it from those who send it, and a rollout is taken
    # back as long as they do
    loop.project.declare(with_endpoint(document(**MORE, distance=None)))
    assert "fits what is deployed" in loop.does(typed.CHECK)
    loop.does(typed.DEPLOY)
    assert loop.statuses(3) == loop.statuses(3, **RENAMED) == {(200, 3)}
    before = present(loop.store.versions.champion())
    assert loop.rolled_out(**NEW).status == "rolled_back"
    assert present(loop.store.versions.champion()).lambda_version == before.lambda_version
    loop.wait_until(lambda: running(loop) == {before.lambda_version: 1})
    assert loop.statuses(3) == {(200, 3)}
    # WHEN nobody sends it any more, THEN it is gone
    assert loop.rolled_out(**RENAMED).status == "succeeded"
    assert loop.statuses(2) == {(400, None)}
    assert loop.statuses(2, **RENAMED) == {(200, 3)}
    window = loop.next_monitoring()
    assert set(window["not_watched"]) == {SCORE, "distance"}, "the snapshot it learned from had it still"
    assert window["not_watched"]["distance"] == "no longer declared"
    assert window["rows"] > 0
    # AND the objects of before keep it
    assert loop.lake_predictions()["distance"].eq(300.0).any()


def running(loop: Changing) -> dict[str, int]:
    """The variants of the model's endpoint, each with its instances."""
    found = endpoint_of(loop.account, "late_train")
    assert found is not None
    return found.variants


def test_a_model_moves_back_from_its_endpoint_without_a_lost_request(loop: Changing) -> None:
    # GIVEN a champion on the endpoint, WHEN the declaration names the other target, and keeps the endpoint till then
    on_both = with_endpoint(document(**MORE, distance=None))
    on_both["rollout"]["target"] = "lambda_alias"
    loop.project.declare(on_both)
    with loop.under_requests(**RENAMED) as seen:
        loop.does(typed.DEPLOY)
        assert loop.statuses(3, **RENAMED) == {(200, 3)}
        assert not present(loop.store.versions.champion()).lambda_version.isdecimal()
        assert loop.rolled_out(**RENAMED).status == "succeeded"
        assert loop.statuses(3, **RENAMED) == {(200, 3)}
    # THEN a function version serves, and no request was lost
    assert present(loop.store.versions.champion()).lambda_version.isdecimal()
    assert set(seen) == {(200, "3")}, seen
    # AND the endpoint stands until the model is removed, or somebody deletes it
    loop.wait_until(lambda: sum(running(loop).values()) == 1)
    assert "everloop-late-train" in loop.does(typed.STATUS)


def test_a_removed_model_serves_its_champion_again_once_deployed_again(loop: Changing) -> None:
    before, captured = present(loop.store.versions.champion()), len(loop.lake_predictions())
    # GIVEN callers that asked just now
    loop.statuses(3, **RENAMED)
    # WHEN it is asked what a removal does, THEN it says so, and that it waits for the rows of the last requests
    late = r"requests came within the last 20 minutes, .* may still be on its way to the lake"
    told = loop.refuses(typed.SAY_REMOVAL)
    assert "nothing was changed" in told
    assert re.search(late, told)
    assert re.search(late, loop.refuses(typed.REMOVE))
    assert loop.statuses(1, **RENAMED) == {(200, 3)}
    # WHEN it is typed once nobody asks any more
    loop.advance(minutes=21)
    assert "to do it: `everloop remove late_train --reason WHY --yes`" in loop.does(typed.SAY_REMOVAL)
    assert "late_train is removed → delete models/late_train/" in loop.does(typed.REMOVE)
    assert endpoint_of(loop.account, "late_train") is None
    assert "is not deployed" in loop.refuses(typed.STATUS)
    # THEN the audit says who removed it and why
    last = list(loop.store.ledger.audit_records())[-1]
    assert (last.action, last.reason, last.details["via"]) == ("removal_begun", "…", "release")
    # AND typed again it changes nothing, and says what stays
    told = loop.does(typed.REMOVE)
    assert f"s3://{loop.account.platform.lake_bucket}/history/model=late_train/" in told
    assert "locked until" in told
    assert "audit records" in told
    assert present(loop.store.ledger.audit_head()).sequence == last.sequence
    assert "was removed, but version 3 is still its champion" in loop.does(typed.CHECK)
    # WHEN it is deployed again, THEN nothing serves, and that is said with the way
    loop.does(typed.DEPLOY)
    refused, answer = loop.post({"instances": loop.rows(1, **RENAMED)})
    assert refused == 503
    assert typed.START in str(answer)
    assert typed.START in loop.does(typed.STATUS)
    # WHEN that is typed, THEN the champion answers from the artefact that was registered
    run = loop.started(typed.START)
    loop.wait_until(lambda: (200, 3) in loop.statuses(1, **RENAMED))
    assert loop.served_to_the_end(run, **RENAMED).status == "succeeded"
    assert loop.statuses(4, **RENAMED) == {(200, 3)}
    champion = present(loop.store.versions.champion())
    assert (champion.version, champion.since) == (before.version, before.since)
    assert champion.lambda_version != before.lambda_version
    # AND captured rows, audit and monitor go on where they were
    assert "intact" in loop.does("everloop audit verify late_train")
    assert loop.next_monitoring()["rows"] > 0
    assert len(loop.lake_predictions()) >= captured + 4


def test_what_can_not_be_changed_so_is_refused_and_the_champion_answers(loop: Changing) -> None:
    """A feature removed too early, one of another type, another key."""
    put_back = {**MORE, "distance": None}
    changed = {**put_back, "wind": None, "seats": {"type": "category", "missing": "allow"}}
    loop.project.declare(document(**changed, key="trip_id"))
    told = loop.refuses(typed.CHECK)
    loop.does(typed.DEPLOY)
    # THEN the check, and the training at its first step, say all of it with the way
    failed = loop.refuses(typed.TRAIN)
    for words in (told, failed):
        assert "uses 'wind', which is no longer declared: declare it again, take it out of the training" in words
        assert "'seats' is declared as a category, and the champion, version 3, uses it as a number" in words
        assert "data.key is 'trip_id', and 'train_id' for the champion" in words
    # AND rows under another key are not taken in
    history().rename(columns={"train_id": "trip_id"})[["trip_id", "departure", "late", "line", "operator"]].assign(
        seats="many", miles=1.0, wind_text="calm"
    ).to_parquet(loop.project.folder / "rows.parquet")
    assert "data.key is 'trip_id', and 'train_id' for the champion" in loop.refuses(typed.IMPORT)
    # AND callers are answered as before, by the contract of the version that answers; the monitor watches the rest
    assert loop.statuses(3, **RENAMED) == {(200, 3)}
    window = loop.next_monitoring()
    assert window["not_watched"]["wind"] == "no longer declared"
    assert "declared as a category now" in window["not_watched"]["seats"]
    assert window["rows"] > 0
    assert "wind: no longer declared" in loop.does(typed.STATUS)


def test_a_deployment_that_fails_half_way_or_meets_another_changes_nothing(loop: Changing) -> None:
    """It would put back what could not be changed."""
    state, stack = loop.cloud.running.state_directory, "EverloopModel-late-train"
    deployed = physical_ids(loop, stack)
    # GIVEN changed functions, and after them a resource whose name is taken
    changed = document(**MORE, distance=None)
    changed["serving"]["memory_mb"] = 1234
    changed["rollout"]["shadow"] = SHADOW
    loop.project.declare(changed)
    assembly = loop.project.synthesized()
    file = assembly / f"{stack}.template.json"
    template = json.loads(file.read_text(encoding="utf-8"))
    before_it = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::Function"]
    taken = {"Type": "String", "Name": "/everloop/platform", "Value": "another"}
    template["Resources"]["Taken"] = {"Type": "AWS::SSM::Parameter", "Properties": taken, "DependsOn": before_it}
    file.write_text(json.dumps(template), encoding="utf-8")
    # WHEN it is deployed, THEN it is told what failed, and all is put back
    with pytest.raises(CommandError, match=r"resource Taken .*: /everloop/platform already exists; delete") as caught:
        deploy(assembly, state, print)
    assert "then deploy again" in caught.value.remedy
    functions = loop.account.client("lambda")
    assert functions.get_function_configuration(FunctionName=loop.model.predict_function)["MemorySize"] != 1234
    assert physical_ids(loop, stack) == deployed
    assert loop.statuses(3, **RENAMED) == {(200, 3)}
    # WHEN somebody else is deploying, THEN it is refused before anything is done
    held = StateDirectory(state / "stacks").hold(stack)
    try:
        with pytest.raises(
            CommandError, match=f"stack {stack} is being deployed or deleted: wait until that has ended"
        ):
            loop.does(typed.DEPLOY)
    finally:
        held.let_go()
    assert loop.statuses(3, **RENAMED) == {(200, 3)}
    # WHEN what failed is mended, THEN the same deployment goes through, and traffic stays where it is
    loop.does(typed.DEPLOY)
    assert functions.get_function_configuration(FunctionName=loop.model.predict_function)["MemorySize"] == 1234
    assert loop.statuses(3, **RENAMED) == {(200, 3)}
    assert "newer code is deployed but does not serve yet" in loop.does(typed.STATUS)


def test_what_was_captured_in_between_is_told_once_all_is_put_back(loop: Changing) -> None:
    # GIVEN all put back, THEN what was captured in between is told, with how to set it aside
    told = loop.refuses(typed.CHECK)
    assert "'seats' is declared as a number, and the lake has it as a category in between" in told
    moves = re.findall(r"`aws s3 mv (\S+) (\S+)`", told)
    assert moves
    for source, target in moves:
        loop.does(typed.MOVE, FROM=source, TO=target)
    assert "fits what is deployed" in loop.does(typed.CHECK)
    # AND all is watched again but what was rightly removed
    assert loop.statuses(3, **RENAMED) == {(200, 3)}
    window = loop.next_monitoring()
    assert set(window["not_watched"]) == {SCORE, "distance"}
    assert window["rows"] > 0


def test_new_code_answers_unseen_first_where_that_is_declared(loop: Changing) -> None:
    # GIVEN code that waits, deployed with a shadow; WHEN it is rolled out
    with loop.under_requests(**RENAMED) as seen:
        assert loop.rolled_out(**RENAMED).status == "succeeded"
    # THEN it answered what callers had asked, before the first of them met it
    details: list[Any] = [audit.details for audit in loop.store.ledger.audit_records()]
    told = [reason for one in details for reason in one.get("reasons", ())]
    (kept,) = [reason["sentence"] for reason in told if reason["code"] == "shadow_kept"]
    assert "failed on 0, refused 0" in kept
    assert "decided 0.0% of them otherwise" in kept
    assert set(seen) == {(200, "3")}, seen


def physical_ids(loop: Changing, stack: str) -> set[str]:
    """What a stack has in the account; what was undone has left a line without one."""
    found = loop.account.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {resource["PhysicalResourceId"] for resource in found if resource.get("PhysicalResourceId")}


def test_a_model_gets_a_rate_of_its_own_and_another_address(loop: Changing) -> None:
    # GIVEN what is deployed; WHEN it is declared with a rate, THEN the check says what comes of that
    before, rate = loop.predictions_url, 5
    changed = document(**MORE, distance=None)
    changed["serving"] |= {"memory_mb": 1234, "rate": {"requests_per_second": rate}}
    loop.project.declare(changed)
    told = loop.does(typed.CHECK)
    assert f"serving.rate gives it an API of its own: once this is deployed, callers of {before} are not" in told
    # WHEN it is deployed, THEN callers are answered at the new address, and at the old one there is nothing
    loop.does(typed.DEPLOY)
    del loop.predictions_url
    assert loop.predictions_url in loop.does(typed.STATUS)
    assert loop.post({"instances": loop.rows(1, **RENAMED)}, url=before) == (404, {"message": "Not Found"})
    assert loop.statuses(1, **RENAMED) == {(200, 3)}
    assert "fits what is deployed" in loop.does(typed.CHECK)
    # WHEN many ask at once, by two protocols
    rows = [{"instances": loop.rows(1, **RENAMED)} for _ in range(20)]
    ready, began = f"{loop.predictions_url.removesuffix('predictions')}v2/health/ready", time.monotonic()
    with ThreadPoolExecutor(40) as callers:
        asked = [callers.submit(loop.post, each) for each in rows]
        asked += [callers.submit(loop.send, "GET", ready) for _ in rows]
        labels = {"labels": [{"key": rows[0]["instances"][0]["train_id"], "label": 1}]}
        labelled = [loop.post(labels, url=loop.model.labels_url)[0] for _ in range(rate + 5)]
        answers = [each.result() for each in asked]
    # THEN the rate is let through, of both together, and the others are told so
    let_through = sum(status == 200 for status, _ in answers)
    assert rate <= let_through <= rate + rate * (time.monotonic() - began), answers
    shed = [answer for answer in answers if answer[0] != 200]
    assert shed == [(429, {"message": "Too Many Requests"})] * (len(answers) - let_through)
    assert shed
    # AND labels, and what is asked at the API that models share, are taken meanwhile
    assert set(labelled) == {202}
    assert loop.post({}, url=before)[0] == 404
    # AND each that was shed is in the API's own log, and a second later they are answered
    logs, own = loop.account.client("logs"), ModelNames("late_train").access_log
    logged = [json.loads(each["message"]) for each in logs.filter_log_events(logGroupName=own)["events"]]
    assert [each["status"] for each in logged].count("429") == len(shed)
    time.sleep(1)
    assert loop.statuses(rate, **RENAMED) == {(200, 3)}


def test_a_model_gets_a_rest_api_whose_refusals_say_when_to_come_back(loop: Changing) -> None:
    # GIVEN a model with a rate; WHEN it is declared with a REST API, THEN the check says that the address moves
    before, rate = loop.predictions_url, 5
    changed = document(**MORE, distance=None)
    changed["serving"] |= {"memory_mb": 1234, "rate": {"requests_per_second": rate}, "api": "rest"}
    loop.project.declare(changed)
    told = loop.does(typed.CHECK)
    assert f"serving.api gives it a REST API of its own: once this is deployed, callers of {before} are not" in told
    # WHEN it is deployed, THEN callers are answered at the new address, and no HTTP API of the model's is left
    loop.does(typed.DEPLOY)
    del loop.predictions_url
    assert loop.predictions_url.endswith("/live/models/late_train/predictions")
    assert loop.predictions_url in loop.does(typed.STATUS)
    assert loop.statuses(1, **RENAMED) == {(200, 3)}
    assert "fits what is deployed" in loop.does(typed.CHECK)
    assert [api["Name"] for api in loop.account.client("apigatewayv2").get_apis()["Items"]] == ["everloop"]
    # AND by every form of body, each prediction named by an id that no caller chooses
    own, named = str(uuid.uuid4()), []
    for body, headers in in_forms(loop.rows(3, **RENAMED)):
        chosen = {"x-amzn-RequestId": own, "accept": "*/*", **headers}
        status, said, answer = loop.exchange("POST", loop.predictions_url, body, headers=chosen)
        assert status == 200, answer
        assert json.loads(answer)["predictions"][0]["prediction_id"] == f"{said['x-amz-apigw-id']}-0"
        named.append(said["x-amz-apigw-id"])
    assert own not in named
    # AND a protocol's answer in bytes comes as these bytes
    url = f"{loop.predictions_url.removesuffix('predictions')}v2/models/late_train/infer"
    asked = json.dumps(as_tensors(loop.rows(2, **RENAMED))).encode()
    time.sleep(1)
    status, said, answer = loop.exchange("POST", url, asked, headers={"accept": "*/*"})
    assert (status, said["content-type"]) == (200, "application/octet-stream"), answer
    length = int(said["inference-header-content-length"])
    (probability,) = json.loads(answer[:length])["outputs"]
    assert np.frombuffer(answer[length:], "<f8").shape == tuple(probability["shape"]) == (2,)


def in_forms(rows: list[dict[str, Any]]) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Bodies of a row each, as text and compressed, with the headers that say so."""
    plain, packed, zipped = (json.dumps({"instances": [row]}).encode() for row in rows)
    yield plain, {}
    yield gzip.compress(packed), {"content-encoding": "gzip"}
    yield zlib.compress(zipped), {"content-encoding": "deflate"}


def as_tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A request of the v2 protocol, whose answer is to come in bytes."""
    inputs = []
    for name, first in rows[0].items():
        kind = "BYTES" if isinstance(first, str) else "FP64"
        values = [row[name] for row in rows]
        inputs.append({"name": name, "shape": [len(rows)], "datatype": kind, "data": values})
    return {"inputs": inputs, "outputs": [{"name": "probability", "parameters": {"binary_data": True}}]}


def test_what_a_rest_api_refuses_says_when_to_come_back(loop: Changing) -> None:
    # GIVEN a model with a REST API and a rate; WHEN many ask at once, by two protocols
    rate, rows = 5, [json.dumps({"instances": loop.rows(1, **RENAMED)}).encode() for _ in range(20)]
    ready = f"{loop.predictions_url.removesuffix('predictions')}v2/health/ready"
    time.sleep(1)
    began = time.monotonic()
    with ThreadPoolExecutor(40) as callers:
        asked = [callers.submit(loop.exchange, "POST", loop.predictions_url, each) for each in rows]
        asked += [callers.submit(loop.exchange, "GET", ready) for _ in rows]
        labels = {"labels": [{"key": json.loads(rows[0])["instances"][0]["train_id"], "label": 1}]}
        labelled = [loop.post(labels, url=loop.model.labels_url)[0] for _ in range(rate + 5)]
        answers = [each.result() for each in asked]
    # THEN the rate is let through, of both together
    let_through = sum(status == 200 for status, _, _ in answers)
    assert rate <= let_through <= rate + rate * (time.monotonic() - began), answers
    # AND the others are told so in the product's words, and when to come back
    shed = [(status, said["Retry-After"], json.loads(body)) for status, said, body in answers if status != 200]
    error = {"code": "overloaded", "message": "Too Many Requests", "field": None, "index": None}
    assert shed == [(429, "1", {"error": error})] * (len(answers) - let_through)
    assert shed
    # AND labels are taken meanwhile; each request is in the API's own log, and says nothing of who asked
    assert set(labelled) == {202}
    logs, own = loop.account.client("logs"), ModelNames("late_train").rest_access_log
    logged = [json.loads(each["message"]) for each in logs.filter_log_events(logGroupName=own)["events"]]
    refused = [each for each in logged if each["status"] == "429"]
    assert [each["refusal"] for each in refused] == ["THROTTLED"] * len(shed)
    assert {each["route"].partition(" ")[2] for each in refused} == {"/models/late_train/{proxy+}"}
    # AND a client that knows the header comes back by itself, and gets its answer
    url, again = loop.predictions_url, Retry(total=9, allowed_methods=None)
    with PoolManager(retries=again, maxsize=2 * rate) as pool, ThreadPoolExecutor(2 * rate) as callers:
        sent = [
            (each, loop.headers_of("POST", url, each, signed=True, token=None, more={})) for each in rows[: 2 * rate]
        ]
        asking = [callers.submit(pool.request, "POST", url, body=each, headers=headers) for each, headers in sent]
        came_back = [each.result() for each in asking]
    assert {each.status for each in came_back} == {200}
    assert any(each.retries is not None and each.retries.history for each in came_back)
    # WHEN the function has no process for a request, THEN the same is said of that
    functions, name = loop.account.client("lambda"), loop.model.predict_function
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    time.sleep(1)
    status, said, body = loop.exchange("POST", loop.predictions_url, rows[0])
    functions.delete_function_concurrency(FunctionName=name)
    assert (status, said["Retry-After"], json.loads(body)["error"]["code"]) == (503, "1", "unavailable")
    assert loop.statuses(1, **RENAMED) == {(200, 3)}
    # AND what was answered is in the lake, by the ids that the callers were told
    told = {p["prediction_id"] for _, _, text in answers for p in json.loads(text or b"{}").get("predictions", ())}
    loop.advance(minutes=20)
    assert told
    assert told <= set(loop.lake_predictions()["prediction_id"])


def test_a_renamed_model_is_another_and_the_old_one_is_removed_by_its_name(loop: Changing) -> None:
    # WHEN its folder gets another name, and is deployed
    shutil.rmtree(loop.project.models / "late_train")
    loop.project.declare(document(model="slow_train"))
    loop.does(typed.DEPLOY)
    # THEN callers of the old one are answered as before, and the new one waits for a champion of its own
    assert loop.statuses(2, **RENAMED) == {(200, 3)}
    assert loop.account.model_names() == ["late_train", "slow_train"]
    assert loop.account.registry("slow_train").versions.champion() is None
    # AND it declares no rate, so it is asked at the API that models share
    assert loop.account.model("slow_train").predictions_url.startswith(loop.account.platform.api_endpoint)
    # AND everybody who looks is told of the old one
    assert "no folder models/late_train/: it still answers, monitors, trains and costs money" in loop.refuses(
        typed.CHECK
    )
    status, told = loop.type(typed.CHECK_ALL)
    assert status == 1
    assert f"`{typed.SAY_REMOVAL}`" in told
    assert f"`{typed.SAY_REMOVAL}`" in loop.does(typed.STATUS)
    loop.advance(minutes=21)
    loop.does(typed.REMOVE)
    assert "is not deployed" in loop.refuses(typed.STATUS)
    assert loop.account.model_names() == ["slow_train"]
    apis = loop.account.client("apigatewayv2").get_apis()["Items"]
    assert [api["Name"] for api in apis] == ["everloop"]
    assert loop.account.client("apigateway").get_rest_apis()["items"] == [], "its own API went with it"
    assert present(loop.account.registry("late_train").versions.champion()).version == 3


def test_every_command_of_the_page_was_typed(loop: Changing) -> None:
    assert loop.typed >= set(typed.ALL)
