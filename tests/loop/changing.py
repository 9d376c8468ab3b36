"""A local cloud with one small model, whose declaration is changed by the commands that the page has."""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import everloop.cli.commands.local as local
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.cli.operations.local_cloud import deploy
from everloop.registry.records import Run
from tests.helpers import change_commands as typed
from tests.helpers.declarations import as_yaml, binary_document
from tests.helpers.synthesis import synthesize_models
from tests.loop.callers import Seen, calling
from tests.loop.standing_cloud import Loop

PLAIN = {"distance": 300.0, "wind": 9.5, "line": "north", "operator": "a"}
SCRIPT = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

LEFT_OUT = {left_out!r}


def train(features, target, *, seed, parameters):
    features = features.drop(columns=[name for name in LEFT_OUT if name in features.columns])
    texts = [name for name in features.columns if features[name].dtype == object]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, random_state=seed)).fit(features, target)
"""


def document(*, model: str = "late_train", key: str = "train_id", **features: dict[str, Any] | None) -> dict[str, Any]:
    """The declaration, with features added, declared otherwise, or taken away (None)."""
    changed = binary_document(
        model=model,
        data={"key": key},
        gate={"policy": "not_worse", "margin": 0.1, "confidence": 0.6, "minimum_test_rows": 50},
        rollout={
            "steps": [{"percent": 50, "minutes": 60}],
            "bake_minutes": 60,
            "guardrail": {"max_error_rate": 0.05, "max_p99_latency_ms": 10000, "minimum_requests": 3},
        },
        monitoring={"schedule": "cron(0 11 * * ? *)", "minimum_rows": 50, "drift_days": 3},
        retraining={"cooldown_days": 30, "quota": {"runs": 20, "days": 60}},
        cost={"monthly_budget_usd": 60},
    )
    changed["retraining"].pop("quality", None)
    features = {"line": {"type": "category", "values": ["north", "south"], "unseen": "refuse"}, **features}
    kept = [f for f in changed["data"]["features"] if f["name"] not in features]
    changed["data"]["features"] = [*kept, *({"name": n, **f} for n, f in features.items() if f is not None)]
    return changed


def history(rows: int = 1200, *, begin: str = "2013-02-01", days: int = 26) -> pd.DataFrame:
    """Rows of a month (February), by the declaration as it is at first."""
    rng = np.random.default_rng(5)
    wind = rng.gamma(2, 6, rows)
    first = pd.Timestamp(begin, tz="UTC")
    times = pd.date_range(first, first + pd.Timedelta(days=days), periods=rows)
    return pd.DataFrame(
        {
            "train_id": [f"h{i}" for i in range(rows)],
            "departure": times,
            "late": (rng.random(rows) < 1 / (1 + np.exp(-(wind - 12) / 3))).astype(float),
            "distance": rng.integers(1, 900, rows).astype(float),
            "wind": wind.round(1),
            "line": pd.Series(rng.choice(["north", "south"], rows).tolist(), dtype=object),
            "operator": pd.Series(rng.choice(["a", "b"], rows).tolist(), dtype=object),
        }
    )


@dataclass
class Project:
    """The folder a person types in: ``models/`` and the files beside it."""

    folder: Path

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def synthesized(self) -> Path:
        """The assembly of what is declared."""
        return synthesize_models(self.models, self.folder)

    def declare(self, changed: dict[str, Any], *, left_out: tuple[str, ...] = ()) -> None:
        """Write a declaration, and a script that takes every column but those."""
        folder = self.models / changed["model"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.yaml").write_text(as_yaml(changed), encoding="utf-8")
        (folder / "train.py").write_text(SCRIPT.format(left_out=left_out), encoding="utf-8")


@dataclass
class Changing(Loop):
    """The cloud, and what is typed and sent while its model changes."""

    project: Project = field(kw_only=True)
    asked: int = field(default=0, init=False)
    typed: set[str] = field(default_factory=set, init=False)

    def type(self, command: str, **fill: str) -> tuple[int, str]:
        """Exit status and output of a command of the page; the local cloud's own way stands for cdk's and aws's."""
        self.typed.add(command)
        words = [fill.get(word, word) for word in shlex.split(command)]
        if words[0] == "everloop":
            with contextlib.chdir(self.project.folder), pytest.MonkeyPatch.context() as patched:
                patched.setattr(local, "STATE", self.cloud.running.state_directory)
                patched.delenv("COLUMNS", raising=False)  # told as to a pipe, whatever another test has set
                result = CliRunner().invoke(everloop, words[1:])
            told = result.output
            if isinstance(result.exception, CommandError):  # what `everloop` prints as it ends
                told += str(result.exception)
            else:
                assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            return result.exit_code, " ".join(told.split())
        if command == typed.DEPLOY:
            deploy(self.project.synthesized(), self.cloud.running.state_directory, print)
        elif command == typed.STOP:
            self.account.client("stepfunctions").stop_execution(executionArn=words[-1])
        elif command == typed.MOVE:
            self._move(*words[-2:])
        else:
            raise AssertionError(f"nothing types {command!r}")
        return 0, ""

    def does(self, command: str, **fill: str) -> str:
        """The output of a command that does what it says."""
        status, output = self.type(command, **fill)
        assert status == 0, output
        return output

    def refuses(self, command: str, **fill: str) -> str:
        """The output of a command that refuses."""
        status, output = self.type(command, **fill)
        assert status != 0, output
        return output

    def rows(self, count: int, **fields: Any) -> list[dict[str, Any]]:
        """Rows of new keys, with fields added, or left out (None)."""
        self.asked += count
        keys = range(self.asked - count, self.asked)
        values = {name: value for name, value in {**PLAIN, **fields}.items() if value is not None}
        return [{"train_id": f"q{key}", **values} for key in keys]

    def statuses(self, count: int, **fields: Any) -> set[tuple[int, int | None]]:
        """Status and answering version of so many requests of one row."""
        found = set()
        for _ in range(count):
            status, answer = self.post({"instances": self.rows(1, **fields)})
            found.add((status, answer.get("version")))
        return found

    def under_requests(self, **fields: Any) -> AbstractContextManager[Seen]:
        """Callers who send such rows all the time."""
        values = {name: value for name, value in {**PLAIN, **fields}.items() if value is not None}
        return calling(lambda key: self.post({"instances": [{"train_id": key, **values}]}), pause_seconds=1.0)

    def served_until(self, holds: Callable[[], Any], **fields: Any) -> Any:
        """Ask with such rows and move the clock on until something holds."""
        for _ in range(120):
            if found := holds():
                return found
            self.statuses(8, **fields)
            self.advance(minutes=30)
        raise AssertionError(f"it does not come to hold: {self.store.rollouts.all()[:1]}")

    def served_to_the_end(self, run: str, **fields: Any) -> Run:
        """Ask with such rows and move the clock on until a run is closed; its record."""
        self.served_until(
            lambda: self.store.runs.active() is None and self.executions().get(run) != "RUNNING", **fields
        )
        return self.store.runs.get(run)

    def rolled_out(self, **fields: Any) -> Run:
        """Roll the champion out under the code last deployed, while callers send such rows."""
        return self.served_to_the_end(self.started(typed.START), **fields)

    def started(self, command: str) -> str:
        """The run that a command starts, which does what it says."""
        found = re.search(r"run ((?:train|rollout)-[0-9a-f]+)", self.does(command))
        assert found
        return found[1]

    def _move(self, source: str, target: str) -> None:
        s3 = self.account.client("s3")
        (bucket, key), (to_bucket, to) = (place.removeprefix("s3://").split("/", 1) for place in (source, target))
        s3.copy_object(Bucket=to_bucket, Key=to, CopySource={"Bucket": bucket, "Key": key})
        s3.delete_object(Bucket=bucket, Key=key)

    def to_canary(self, run: str) -> None:
        """Wait until a run's candidate has its share of the requests."""

        def shared() -> bool:
            return any(rollout.run_id == run and rollout.step_index >= 0 for rollout in self.store.rollouts.all())

        deadline = time.monotonic() + 300
        while self.executions().get(run) == "RUNNING" and not shared():
            assert time.monotonic() < deadline, self.store.runs.get(run)
            time.sleep(0.1)
            # Only where a step waits to be repeated: an endpoint may take longer than its function looks.
            if time.monotonic() > deadline - 250:
                self.advance(seconds=30)
        assert shared(), self.store.runs.get(run)
