"""Each kind of bad version is taken back under callers, by Lambda and by an endpoint, and a good one comes to serve.

What a candidate fails on or refuses, the champion answers: nobody sees an error. One cloud with the same model on both
targets; who asks the one on Lambda has a token. Versions are registered as they stand, without a training.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

import pandas as pd
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from everloop.cli.operations.local_cloud import LocalCloud, settings_with
from everloop.instants import instant_text
from everloop.registry.store import RegistryStore
from everloop.serving.contract import NumberField
from tests.helpers.artifacts import row, small_contract, small_model
from tests.helpers.declarations import binary_document, with_endpoint
from tests.helpers.given_versions import give_version
from tests.helpers.onnx_models import linear_model
from tests.helpers.present import present
from tests.helpers.registry_scenes import close_run
from tests.helpers.spoiled_models import slow_to_start, slowed
from tests.helpers.synthesis import synthesize_models, write_model
from tests.loop.callers import Seen, calling
from tests.loop.standing_cloud import Loop, deployed_cloud
from tests.loop.test_endpoint import BEGIN, DELIVERED_MINUTES, Cloud, complete, start, wait_for

pytestmark = [pytest.mark.xdist_group("loop of bad versions"), pytest.mark.slow]

TARGETS = {"late_tram": "lambda_alias", "late_train": "sagemaker_endpoint"}
SLOW_MS, SLOW_COLD_MS = 600, 2000
TICK_MS = 10
"""How finely the system knows when a process began."""

COMPARED = 40
"""So many answers of each version show a difference of scores or loss a million times surer than is asked."""

ISSUER, AUDIENCE, SCOPE, CALLER = "https://login.example.com", "trains", "ask", "ann@example.org"
DRILLED, DRILL_HOUR = "cron(0 22 * * ? *)", 22
"""When all rollouts here are over."""


@cache
def _document(model: str) -> dict[str, Any]:
    guardrail = {
        "max_error_rate": 0.05,
        "max_p99_latency_ms": SLOW_MS,
        "max_cold_start_ms": SLOW_COLD_MS,
        "minimum_requests": 3,
        "scores": {"max_distance": 0.1},
        "quality": {"max_added_loss": 0.05},
    }
    steps = [{"percent": 50, "minutes": 60}]
    rollout = {"steps": steps, "bake_minutes": 60, "guardrail": guardrail, "drill": {"schedule": DRILLED}}
    serving = {"fallback": {"use": "previous_champion"}, "timeout_seconds": 29}
    document = binary_document(model=model, rollout=rollout, data={"label_lag_hours": 0}, serving=serving)
    if TARGETS[model] == "sagemaker_endpoint":
        return with_endpoint(document)
    tokens = {"issuer": ISSUER, "audience": [AUDIENCE], "scopes": [SCOPE]}
    document["serving"] |= {"authorization": "jwt", "jwt": tokens}
    return document


@cache
def _issuers_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "ours"})


def token(**claims: Any) -> str:
    """A token of the issuer's; right, but for ``claims``."""
    right = {"iss": ISSUER, "aud": AUDIENCE, "scope": SCOPE, "sub": CALLER, "exp": int(time.time()) + 86_400}
    return jwt.encode({"alg": "RS256", "kid": "ours"}, {**right, **claims}, _issuers_key())


@dataclass(frozen=True)
class Bad:
    """A version, and the code by which it goes."""

    code: str
    model: bytes
    contract: dict[str, Any] | None = None
    answers: int = 12
    labels: bool = False
    new_processes: bool = False


@dataclass
class Callers(Cloud):
    """One of the models, and its callers: every other one's train is of another line."""

    model: str = ""
    asking: dict[str, Lock] = field(default_factory=lambda: defaultdict(Lock))

    def __post_init__(self) -> None:
        self.token = token() if TARGETS[self.model] == "lambda_alias" else None
        self.account = self.cloud.account()
        self.store = RegistryStore(self.account.client("dynamodb"), self.account.platform.table, self.model)
        self.url = self.account.model(self.model).predictions_url

    def register_bad(self, run_id: str, bad: Bad) -> int:
        """Register a version with its files, as the pipeline would; its number. Its run stays open."""
        contract = small_contract(model=self.model, **(bad.contract or {}))
        contents = {"model.onnx": bad.model, "contract.json": contract.to_json(), "report.json": b"{}"}
        return give_version(self.account, self.store, run_id, contents, when=self.now())

    def asked(self, action: str, **event: Any) -> tuple[dict[str, Any], bool]:
        """What the rollout function says, and whether that is an error; as the pipeline does, until it is ready."""
        payload = json.dumps({"action": action, "at": instant_text(self.now()), **event})
        while True:
            answer = self.account.client("lambda").invoke(
                FunctionName=f"everloop-{self.model}-rollout", Payload=payload
            )
            document: dict[str, Any] = json.loads(answer["Payload"].read())
            if document.get("errorType") != "EndpointNotReadyError":
                return document, "FunctionError" in answer

    def ask(self, key: str) -> tuple[int, Any]:
        line = "north" if int(key.rpartition("-")[2]) % 2 else "south"
        body = json.dumps({"instances": [row(key, line=line)]}).encode()
        with self.asking[key.partition("-")[0]]:
            return Loop.send(cast("Loop", self), "POST", self.url, body, token=self.token)

    def end_processes(self) -> None:
        """End the function's processes while nobody waits for one, as Lambda does; who asks next starts another."""
        with ExitStack() as nobody_asks:
            for lock in list(self.asking.values()):
                nobody_asks.enter_context(lock)
            assert Loop.end_workers(cast("Loop", self))

    def wait_until(self, *waited: Any) -> Any:
        """As a loop's."""
        return Loop.wait_until(cast("Loop", self), *waited)

    def tell(self, keys: list[str]) -> None:
        """Send labels: what goes north is late."""
        labels = [{"key": key, "label": int(key.rpartition("-")[2]) % 2} for key in keys]
        status, answer = Loop.send(
            cast("Loop", self),
            "POST",
            self.account.model(self.model).labels_url,
            json.dumps({"labels": labels}).encode(),
            token=self.token,
        )
        assert status < 300, answer

    @property
    def name(self) -> str:
        """As a loop's."""
        return self.model

    def captured(self) -> pd.DataFrame:
        """The rows of predictions in the lake."""
        return Loop.lake_predictions(cast("Loop", self))

    def logged(self) -> Iterator[str]:
        """What the function, and the API of all requests, have in their logs."""
        client = self.account.client("logs")
        for group in (f"/aws/lambda/everloop-{self.model}-predict", "/aws/vendedlogs/everloop/api"):
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
            yield from (event["message"] for page in pages for event in page["events"])


def _mirrored() -> bytes:
    """As often as likely late as the small model says, of the other line's trains."""
    return linear_model([0.001, 0.01], [{"north": -1.0, "south": 1.0}, {"a": 0.5}, {}])


def _kinds(model: str) -> Iterator[Bad]:
    narrow = (NumberField("distance", min=0, max=100), NumberField("wind", missing="allow"))
    yield Bad("error_rate", small_model(bias=float("nan")))
    yield Bad("refused_requests", small_model(), contract={"numbers": narrow})
    yield Bad("p99_latency", slowed(small_model(), products=7, side=1400), answers=4)
    if TARGETS[model] == "lambda_alias":  # an endpoint has loaded a version before anybody asks it
        slow = slow_to_start(small_model(), products=12, side=1400)
        yield Bad("cold_start_latency", slow, answers=4, new_processes=True)
    yield Bad("score_distance", small_model(bias=-4.0), answers=COMPARED)
    yield Bad("added_loss", _mirrored(), answers=COMPARED, labels=True)


GOOD, BETTER = Bad("", small_model()), Bad("", small_model(bias=0.05))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("bad")
    for model in TARGETS:
        write_model(folder / "models", _document(model))
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"keys": [_issuers_key().as_dict(private=False)]}))
    settings = settings_with({ISSUER: keys})
    with deployed_cloud(folder, BEGIN, lambda _: synthesize_models(folder / "models", folder), settings) as brought:
        yield brought


@pytest.mark.parametrize("model", TARGETS)
def test_each_kind_of_bad_version_is_taken_back_and_a_good_one_serves(cloud: LocalCloud, model: str) -> None:
    # GIVEN a champion, and callers who ask all the time
    callers = Callers(cloud, Path(), model=model)
    first = callers.register_bad("train-1", GOOD)
    complete(callers, start(callers, "train-1", first))
    with calling(callers.ask, pause_seconds=0.15) as seen:
        wait_for(seen, (200, str(first)), 5)
        # WHEN a version of each bad kind takes half of them
        for number, bad in enumerate(_kinds(model), start=2):
            decided = judged(callers, seen, f"train-{number}", bad, first)
            # THEN it is taken back for what it is, and the champion answers everybody
            assert decided["decision"] == "rollback", decided
            assert bad.code in [reason["code"] for reason in decided["reasons"]], decided
            wait_for(seen, (200, str(first)), seen[200, str(first)] + 5)
        # WHEN a good one comes
        good = callers.register_bad("train-9", BETTER)
        rollout = start(callers, "train-9", good)
        wait_for(seen, (200, str(good)), 60)
        callers.advance(61)
        decided = callers.act("check", rollout={"rollout_id": "train-9"}, phase="canary")
        # THEN it is promoted
        assert decided["decision"] == "promote", decided
        complete(callers, rollout)
        wait_for(seen, (200, str(good)), seen[200, str(good)] + 10)
    # AND nobody saw an error
    assert {status for status, _ in seen} == {200}, seen


def test_a_rollback_is_drilled_on_its_schedule_under_callers(cloud: LocalCloud) -> None:
    # GIVEN a champion of each model that followed another, and callers
    both = [Callers(cloud, Path(), model=model) for model in TARGETS]
    on_lambda = both[0]
    with calling(on_lambda.ask, pause_seconds=0.15) as seen:
        # WHEN the hour of the drill comes
        cloud.running.advance(on_lambda.now().replace(hour=DRILL_HOUR, minute=5))
        # THEN it was drilled, and passed
        for callers in both:
            champion, drill = callers.store.versions.champion(), callers.store.drills.latest()
            assert champion is not None
            assert drill is not None
            assert (drill.status, drill.reason, drill.version) == ("passed", "", champion.version)
            assert callers.ask("caller-1")[1]["version"] == champion.version
        wait_for(seen, (200, str(on_lambda.ask("caller-1")[1]["version"])), 5)
    # AND nobody saw an error
    assert {status for status, _ in seen} == {200}, seen


def test_only_a_right_token_has_scores_and_nothing_of_it_is_kept(cloud: LocalCloud) -> None:
    # GIVEN a champion of the model whose callers have tokens
    callers = Callers(cloud, Path(), model="late_tram")
    loop, body = cast("Loop", callers), json.dumps({"instances": [row("by-token")]}).encode()
    status, answer = Loop.send(loop, "POST", callers.url, body, token=token())
    assert (status, answer["version"]) == (200, present(callers.store.versions.champion()).version)
    assert 0 < answer["predictions"][0]["probability"] < 1
    # THEN no other token is let in, and neither is a signature
    for wrong in ({"exp": 1_000}, {"aud": "planes"}, {"iss": f"{ISSUER}/other"}):
        assert Loop.send(loop, "POST", callers.url, body, token=token(**wrong)) == (401, {"message": "Unauthorized"})
    assert Loop.send(loop, "POST", callers.url, body, token=token(scope="look"))[0] == 403
    for signed in (False, True):
        assert Loop.send(loop, "POST", callers.url, body, signed=signed) == (401, {"message": "Unauthorized"})
    # AND no captured row, and no line of a log, has anything of who asked
    callers.advance(DELIVERED_MINUTES)
    rows = callers.captured()
    assert "by-token" in set(rows["key"])
    assert not rows.astype(str).apply(lambda column: column.str.contains(CALLER)).any(axis=None)
    lines = list(callers.logged())
    assert len(lines) > len(rows) / 2
    assert not [line for line in lines if CALLER in line]


def test_what_the_function_counts_of_cold_starts_is_no_more_than_lambda_reports(cloud: LocalCloud) -> None:
    client = Callers(cloud, Path(), model="late_tram").account.client("logs")
    pages = client.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/everloop-late_tram-predict")
    streams: dict[str, list[str]] = {}
    for event in (event for page in pages for event in page["events"]):
        streams.setdefault(event["logStreamName"], []).append(event["message"])
    # A stream is a process: its first request counts what it waited, and its first report has the initialisation.
    pairs = [
        (counted[0], sum(map(float, re.findall(r"(?:^REPORT.*?\t|\tInit )Duration: ([0-9.]+) ms", report))))
        for messages in streams.values()
        if (counted := [json.loads(m)["ColdStart"] for m in messages if '"ColdStart":' in m])
        if (report := next(m for m in messages if m.startswith("REPORT")))
    ]
    assert len(pairs) > len(TARGETS)
    assert all(0 < counted <= reported + TICK_MS for counted, reported in pairs), pairs
    assert max(counted for counted, _ in pairs) > SLOW_COLD_MS


def judged(callers: Callers, seen: Seen, run_id: str, bad: Bad, champion: int) -> dict[str, Any]:
    """Roll a bad version out under the callers, and back; what was decided."""
    version = callers.register_bad(run_id, bad)
    rollout = start(callers, run_id, version)
    if bad.new_processes:  # the first one was asked unseen
        callers.end_processes()
    of_champion = seen[200, str(champion)]
    wait_for(seen, (200, str(version)), bad.answers)
    wait_for(seen, (200, str(champion)), of_champion + bad.answers)
    if bad.labels:
        newest = sum(seen.values()) // 2
        numbers = range(max(1, newest - 200), newest + 40)
        callers.tell([f"caller{i}-{number}" for i in range(2) for number in numbers])
    callers.advance(3 if bad.answers < COMPARED else 50)
    decided = callers.act("check", rollout={"rollout_id": rollout["rollout_id"]}, phase="canary")
    named = {"rollout_id": rollout["rollout_id"]}
    assert callers.act("rollback", rollout=named, reasons=decided["reasons"])["rolled_back"]
    close_run(callers.store, run_id, when=callers.now(), status="failed")
    return decided
