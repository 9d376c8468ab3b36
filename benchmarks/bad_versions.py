"""Rolls good and bad versions of the worked example out under callers, in a local cloud, and says what callers saw.

    python benchmarks/bad_versions.py [--target lambda endpoint] [--rate 60] [--kinds crashing slow …] [--json FILE]

The flights of January and February are history, the first days of March are replayed: so a champion serves that was
trained. Then callers ask flights of March, so many requests a minute of the cloud's clock, while it is moved minute by
minute, and send the outcome of each half an hour later. Under them a version of each kind is rolled out, by the states
of the deployed pipeline from `StartRollout` on:

- crashing: its run raises an error for every flight
- slow: it takes more than the declared 2 s
- refusing: its contract takes only flights of up to 1,000 miles
- biased: its probabilities lie higher by 1 in log odds
- worse: its probabilities are spread as the champion's, and turned over: what was likeliest is least likely
- good: its probabilities lie higher by 0.02 in log odds

The declaration is the worked example's, with shorter steps and bake, no lag of labels, and limits of `scores` and
`quality` (DECLARED below). What is counted: minutes of the cloud's clock and requests to the version until it was taken
back, the code by which it was, and what callers got.
"""

from __future__ import annotations

import argparse
import copy
import json
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import yaml  # noqa: E402

from benchmarks.refit import markdown  # noqa: E402
from everloop.cli.exceptions import ApiRefusedError, CommandError  # noqa: E402
from everloop.cli.operations.declarations import find_declaration  # noqa: E402
from everloop.cli.operations.labels import send_labels  # noqa: E402
from everloop.cli.replay.stream import ReplayData, load, to_instances  # noqa: E402
from everloop.cli.signed_http import SignedHttpClient  # noqa: E402
from everloop.manifest import CONTRACT, MODEL  # noqa: E402
from everloop.registry.records import Rollout  # noqa: E402
from everloop.registry.store import RegistryStore  # noqa: E402
from tests.helpers.declarations import with_endpoint  # noqa: E402
from tests.helpers.given_versions import give_version  # noqa: E402
from tests.helpers.spoiled_models import raising, shifted, slowed, turned_over  # noqa: E402
from tests.helpers.synthesis import synthesize_models  # noqa: E402
from tests.loop.standing_cloud import ACTIVE, Loop, standing_cloud  # noqa: E402

NAME = "flight_delay"
DATA = ROOT / ".cache" / "flight_delay.parquet"
UNTIL_HISTORY = datetime(2013, 3, 1, tzinfo=UTC)
REPLAYED_DAYS, ASKED_DAYS = 2, 30
CALLERS = 4
OUTCOME_AFTER = timedelta(minutes=30)
MOST_MINUTES = 24 * 60
AFTER_MS = 2000
"""After which the previous champion answers in place of a slow version, where it stands by."""
STEPS = [{"percent": 25, "minutes": 60}, {"percent": 50, "minutes": 60}]
DECLARED: dict[str, Any] = {"scores": {"max_distance": 0.1}, "quality": {"max_added_loss": 0.01}}
"""Of the guardrail, beside what the worked example declares."""


@dataclass(frozen=True)
class Asked:
    """A request and what became of it: ``by`` is the version that answered, or the error's code."""

    key: str
    row: int
    minute: datetime
    ended: float
    status: int
    by: str
    fell_back: bool


@dataclass
class Found:
    """What a rollout came to."""

    target: str
    kind: str
    ended: str
    codes: list[str]
    minutes: float
    requests: int
    to_version: int
    client_errors: int
    server_errors: int
    throttled: int
    no_answer: int
    fell_back: int
    by_neither: int
    restored_seconds: float | None


@dataclass
class Callers:
    """Asks flights at a rate, from some threads, for as long as minutes are given out; keeps what came back."""

    loop: Loop
    instances: list[dict[str, Any]]
    outcomes: np.ndarray
    rate: int
    asked: list[Asked] = field(default_factory=list)
    _due: queue.Queue[tuple[int, datetime] | None] = field(default_factory=queue.Queue)
    _told: int = 0
    _number: int = 0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Callers wait for minutes meanwhile."""
        threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        self.http = SignedHttpClient(self.loop.account, self.loop.model)
        try:
            yield
        finally:
            for _ in threads:
                self._due.put(None)
            for thread in threads:
                thread.join()
            self.http.close()

    def minute(self) -> None:
        """A minute's requests are asked while the clock moves over it; the outcomes that are known by then are sent."""
        now = self.loop.now()
        for _ in range(self.rate):
            self._due.put((self._number, now))
            self._number += 1
        self.loop.advance(minutes=1)
        self._due.join()
        self._tell(now - OUTCOME_AFTER)

    def _call(self) -> None:
        url = self.loop.model.predictions_url
        http = SignedHttpClient(self.loop.account, self.loop.model)
        while (due := self._due.get()) is not None:
            number, minute = due
            row = number % len(self.instances)
            key = f"asked-{number}"
            status, by, fell_back = _ask(http, url, {**self.instances[row], "flight_id": key})
            self.asked.append(Asked(key, row, minute, time.monotonic(), status, by, fell_back))
            self._due.task_done()
        http.close()

    def _tell(self, until: datetime) -> None:
        labels = []
        while self._told < len(self.asked) and self.asked[self._told].minute <= until:
            asked = self.asked[self._told]
            self._told += 1
            if asked.status == 200 and not np.isnan(self.outcomes[asked.row]):
                labels.append({"key": asked.key, "label": float(self.outcomes[asked.row])})
        if labels:
            send_labels(self.http, self.loop.model, cast("list[Any]", labels))


def _ask(http: SignedHttpClient, url: str, instance: dict[str, Any]) -> tuple[int, str, bool]:
    try:
        answer = http.post(url, {"instances": [instance]})
    except ApiRefusedError as error:
        return error.status, str(error.told.get("code") or error.answer), False
    except CommandError as error:
        return 0, str(error), False
    return 200, str(answer["version"]), "fallback" in answer


Spoil = Callable[["Bench", dict[str, bytes]], dict[str, bytes]]


def _narrow(files: dict[str, bytes]) -> bytes:
    contract = json.loads(files[CONTRACT])
    for number in contract["numbers"]:
        if number["name"] == "distance_miles":
            number["max"] = 1000
    return json.dumps(contract, sort_keys=True, separators=(",", ":")).encode()


KINDS: dict[str, Spoil] = {
    "crashing": lambda bench, files: {MODEL: raising(files[MODEL])},
    "slow": lambda bench, files: {MODEL: slowed(files[MODEL], products=24, side=1400)},
    "refusing": lambda bench, files: {CONTRACT: _narrow(files)},
    "biased": lambda bench, files: {MODEL: shifted(files[MODEL], 1.0)},
    "worse": lambda bench, files: {MODEL: turned_over(files[MODEL], bench.scores())},
    "good": lambda bench, files: {MODEL: shifted(files[MODEL], 0.02)},
}


@dataclass
class Bench:
    """A cloud with a champion of the flights, and what is done in it."""

    target: str
    loop: Loop
    callers: Callers
    say: Callable[[str], None]
    _execution: str = ""
    _machine: str = ""

    def scores(self) -> list[float]:
        """Probabilities that the champion gives flights."""
        http, found = SignedHttpClient(self.loop.account, self.loop.model), list[float]()
        for start in range(0, 2000, 500):
            rows = [{**row, "flight_id": f"s{i}"} for i, row in enumerate(self.callers.instances[start : start + 500])]
            answer = cast("dict[str, Any]", http.post(self.loop.model.predictions_url, {"instances": rows}))
            found += [each.get("raw_score", each["probability"]) for each in answer["predictions"]]
        http.close()
        return found

    def rolled_out(self, kind: str) -> Found:
        """Roll a version of that kind out under the callers, to its end."""
        first = len(self.callers.asked)
        champion = self.loop.store.versions.champion()
        assert champion is not None
        run_id = self._start(kind)
        restored: float | None = None
        for minute in range(MOST_MINUTES):
            before, moved = len(self.callers.asked), time.monotonic()
            self.callers.minute()
            rollout = self.loop.store.rollouts.find(run_id)
            if rollout is not None and restored is None and rollout.status == "rolled_back":
                ends = [a.ended for a in self.callers.asked[before:] if a.by == str(rollout.version)]
                restored = max(ends) - moved if ends else 0.0
            if minute % 10 == 9:
                self.say(f"{self.target}, {kind}: minute {minute + 1}, {_shown(rollout)}")
            if not self._runs():
                break
        rollout = self.loop.store.rollouts.get(run_id)
        found = found_of(self.target, kind, rollout, self.callers.asked[first:], str(champion.version), restored)
        self.say(f"{self.target}, {kind}: {json.dumps(asdict(found))}")
        return found

    def _runs(self) -> bool:
        client = self.loop.account.client("stepfunctions")
        return bool(client.describe_execution(executionArn=self._execution)["status"] == ACTIVE)

    def _start(self, kind: str) -> str:
        """Register a spoiled champion, and start the states of the deployed pipeline that roll a version out."""
        account, store, run_id = self.loop.account, self.loop.store, f"train-{kind}"
        champion = store.versions.champion()
        assert champion is not None
        served = store.versions.get(champion.version)
        s3, bucket = account.client("s3"), account.platform.artifact_bucket
        names = [name for name in served.files if "/" not in name]
        files = {n: s3.get_object(Bucket=bucket, Key=f"{served.artifact_prefix}{n}")["Body"].read() for n in names}
        files |= KINDS[kind](self, files)
        # Not by the registry's own function, which takes a version from a pipeline's register function alone.
        direct = RegistryStore(account.client("dynamodb"), account.platform.table, NAME)
        version = give_version(account, direct, run_id, files, when=self.loop.now())
        given = {"run": {"result": {"run_id": run_id, "kind": "train"}}, "candidate": {"version": version}}
        started = account.client("stepfunctions").start_execution(
            stateMachineArn=self._only_rollouts(), name=run_id, input=json.dumps(given)
        )
        self._execution = started["executionArn"]
        return run_id

    def _only_rollouts(self) -> str:
        """A state machine of the deployed pipeline's states from the rollout on; made once."""
        if self._machine:
            return self._machine
        client, name = self.loop.account.client("stepfunctions"), "rollouts-alone"
        deployed = client.describe_state_machine(stateMachineArn=self.loop.model.state_machine_arn)
        definition = json.loads(deployed["definition"])
        definition["StartAt"] = "StartRollout"
        definition["States"] = _reachable(definition["States"], "StartRollout")
        made = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=deployed["roleArn"])
        self._machine = str(made["stateMachineArn"])
        return self._machine


def _reachable(states: dict[str, Any], start: str) -> dict[str, Any]:
    """The states that can follow on ``start``: Step Functions refuses a definition with others."""
    found, ahead = dict[str, Any](), [start]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found[name] = state = states[name]
            ways = [state, *state.get("Catch", []), *state.get("Choices", [])]
            ahead += [way["Next"] for way in ways if "Next" in way]
            ahead += [state["Default"]] if "Default" in state else []
    return found


def found_of(
    target: str, kind: str, rollout: Rollout, asked: Sequence[Asked], champion: str, restored: float | None
) -> Found:
    """What callers saw of a rollout. Errors are the candidate's: the champion gives none."""
    candidate, statuses = str(rollout.version), Counter(each.status // 100 for each in asked)
    ended = rollout.ended_at or rollout.promoted_at or rollout.started_at
    return Found(
        target=target,
        kind=kind,
        ended=rollout.status,
        codes=[reason["code"] for reason in rollout.reasons],
        minutes=round((ended - rollout.started_at).total_seconds() / 60, 1),
        requests=len(asked),
        to_version=sum(each.status != 200 or each.by == candidate for each in asked),
        client_errors=statuses[4] - (throttled := sum(each.status == 429 for each in asked)),
        server_errors=statuses[5],
        throttled=throttled,
        no_answer=statuses[0],
        fell_back=sum(each.fell_back for each in asked),
        by_neither=sum(each.status == 200 and each.by not in (champion, candidate) for each in asked),
        restored_seconds=None if restored is None else round(restored, 1),
    )


def _shown(rollout: Rollout | None) -> str:
    return "not begun" if rollout is None else f"{rollout.status}, {rollout.percent or 0:g}%"


def document_of(target: str, fallback: bool) -> dict[str, Any]:
    """The worked example's declaration, as it is rolled out here."""
    document = yaml.safe_load((ROOT / "models" / NAME / "model.yaml").read_text(encoding="utf-8"))
    document = cast("dict[str, Any]", copy.deepcopy(document))
    document["data"]["label_lag_hours"] = 0
    document["rollout"] |= {"steps": STEPS, "bake_minutes": 60}
    document["rollout"]["guardrail"] |= DECLARED
    if fallback:
        document["serving"]["fallback"] = {"use": "previous_champion", "after_ms": AFTER_MS}
    return with_endpoint(document) if target == "endpoint" else document


@contextmanager
def bench(target: str, rate: int, fallback: bool, say: Callable[[str], None]) -> Iterator[Bench]:
    """A cloud whose callers ask, once a champion serves."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = folder / "models" / NAME
        shutil.copytree(ROOT / "models" / NAME, own)
        text = yaml.safe_dump(document_of(target, fallback), sort_keys=False)
        (own / "model.yaml").write_text(text, encoding="utf-8")
        declaration = find_declaration(NAME, folder / "models")
        data = load(DATA, declaration, UNTIL_HISTORY)
        replayed_until = UNTIL_HISTORY + timedelta(days=REPLAYED_DAYS)
        stream = data.stream
        lived = ReplayData(data.history, stream[stream["time"] < replayed_until], data.starts_at)
        ahead = (stream["time"] >= replayed_until) & (stream["time"] < replayed_until + timedelta(days=ASKED_DAYS))
        rows = stream[ahead].sample(frac=1, random_state=7)
        say(f"{target}: a cloud starts, and {len(lived.stream):,} flights are replayed")
        with standing_cloud(folder, declaration, lived, synthesize_models(folder / "models", folder)) as loop:
            instances, outcomes = to_instances(rows, declaration), rows["arrived_late"].to_numpy(dtype=float)
            callers = Callers(loop, cast("list[dict[str, Any]]", instances), outcomes, rate)
            with callers.calling():
                for _ in range(10):
                    callers.minute()
                yield Bench(target, loop, callers, say)


def table(found: Sequence[Found]) -> str:
    """What is printed."""
    head = ["target", "kind", "ended", "by", "minutes", "requests", "to it", "4xx", "5xx", "429", "no answer"]
    head += ["by fallback", "by neither", "restored after, s"]
    return markdown(
        head,
        [
            [
                each.target,
                each.kind,
                each.ended,
                ", ".join(each.codes) or "–",
                f"{each.minutes:g}",
                f"{each.requests:,}",
                f"{each.to_version:,}",
                *(f"{n:,}" for n in (each.client_errors, each.server_errors, each.throttled, each.no_answer)),
                f"{each.fell_back:,}",
                f"{each.by_neither:,}",
                "–" if each.restored_seconds is None else f"{each.restored_seconds:g}",
            ]
            for each in found
        ],
    )


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", nargs="*", choices=("lambda", "endpoint"), default=["lambda", "endpoint"])
    parser.add_argument("--kinds", nargs="*", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("--rate", type=int, default=60, help="requests a minute")
    parser.add_argument(
        "--fallback",
        action="store_true",
        help=f"declare serving.fallback: {{use: previous_champion, after_ms: {AFTER_MS}}}",
    )
    parser.add_argument("--json", type=Path, help="where the figures are written as JSON too")
    given = parser.parse_args()

    def say(text: str) -> None:
        print(f"{datetime.now():%H:%M:%S}  {text}", file=sys.stderr, flush=True)

    found: list[Found] = []
    for target in given.target:
        with bench(target, given.rate, given.fallback, say) as made:
            for kind in given.kinds:
                found.append(made.rolled_out(kind))
                if given.json:
                    given.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
