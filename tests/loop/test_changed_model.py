"""A declaration changes while its model serves: callers of before and after are answered, and what can't be is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cli.main import everloop
from cli.operations.declarations import find_declaration
from cli.operations.history import import_rows
from cli.operations.local_cloud import bring_up, deploy, free_port, synthesize_project
from cli.operations.training import start_training
from everloop.monitoring.reference import SCORE
from tests.helpers.declarations import as_yaml, binary_document
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

STARTS = datetime(2013, 3, 1, 9, tzinfo=UTC)
SCRIPT = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(features, target, *, seed, parameters):
    texts = [name for name in features.columns if features[name].dtype == object]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, random_state=seed)).fit(features, target)
"""


def document(**features: dict[str, Any]) -> dict[str, Any]:
    """The declaration, with features added, or taken away (None)."""
    changed = binary_document(
        gate={"policy": "not_worse", "margin": 0.1, "confidence": 0.6, "minimum_test_rows": 50},
        rollout={
            "steps": [{"percent": 50, "minutes": 60}],
            "bake_minutes": 0,
            "guardrail": {"max_error_rate": 0.05, "max_p99_latency_ms": 10000, "minimum_requests": 3},
        },
        monitoring={"schedule": "cron(0 11 * * ? *)", "minimum_rows": 50, "drift_days": 3},
        retraining={"cooldown_days": 30, "quota": {"runs": 20, "days": 60}},
        cost={"monthly_budget_usd": 60},
    )
    changed["retraining"].pop("quality", None)
    kept = [f for f in changed["data"]["features"] if f["name"] not in features]
    changed["data"]["features"] = [*kept, *({"name": n, **f} for n, f in features.items() if f is not None)]
    return changed


def declare(models: Path, changed: dict[str, Any]) -> None:
    folder = models / changed["model"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(as_yaml(changed), encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")


def history(rows: int = 1200) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    wind = rng.gamma(2, 6, rows)
    times = pd.date_range("2013-02-01", "2013-02-27", periods=rows, tz="UTC")
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


class Changing(Loop):
    """A cloud with one small model."""

    asked = 0

    def rows(self, count: int, **fields: Any) -> list[dict[str, Any]]:
        """Valid rows of new keys, with fields added."""
        self.asked += count
        keys = range(self.asked - count, self.asked)
        plain = {"distance": 300.0, "wind": 9.5, "line": "north", "operator": "a"}
        return [{"train_id": f"q{key}", **plain, **fields} for key in keys]

    def instances(self, count: int = 2) -> list[dict[str, Any]]:
        return self.rows(count)

    def changed(self, models: Path, to: dict[str, Any]) -> None:
        declare(models, to)
        deploy(synthesize_project(print, models), self.cloud.running.state_directory, print)

    def statuses(self, count: int, **fields: Any) -> set[tuple[int, int | None]]:
        """Status and answering version of so many requests of one row."""
        found = set()
        for _ in range(count):
            status, answer = self.post({"instances": self.rows(1, **fields)})
            found.add((status, answer.get("version")))
        return found

    def in_canary(self, run: str) -> bool:
        return any(rollout.run_id == run and rollout.step_index >= 0 for rollout in self.store.rollouts())

    def train(self) -> str:
        return start_training(self.account, self.name, reason="the declaration changed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changing") / "models"
    declare(folder, document())
    return folder


@pytest.fixture(scope="module")
def loop(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    environment, folder = dict(os.environ), tmp_path_factory.mktemp("cloud")
    cloud = bring_up(
        port=free_port(),
        state_directory=folder / "state",
        say=print,
        start_at=STARTS,
        stop_with_parent=True,
        synthesize=partial(synthesize_project, models_directory=models),
    )
    try:
        declaration = find_declaration("late_train", models)
        loop = Changing(cloud, declaration, None, None)
        rows = history()
        # The newest week is left for later: a champion is compared on what it has not learned from.
        rows = rows[rows["departure"] < "2013-02-20"]
        import_rows(loop.account, declaration, rows, place="history")
        run = loop.train()
        loop.wait_until(
            lambda: loop.store.active_run() is None and loop.executions().get(run) != "RUNNING", seconds=400
        )
        assert loop.store.champion().version == 1, loop.store.run(run)
        yield loop
    finally:
        cloud.running.stop()
        os.environ.clear()
        os.environ.update(environment)


def test_an_optional_feature_is_added_and_no_caller_is_refused(loop: Changing, models: Path) -> None:
    # GIVEN a champion; WHEN a feature is declared that neither history nor callers have, and the champion rolled out
    assert loop.statuses(2, seats=300.0) == {(400, None)}
    loop.changed(models, document(seats={"type": "number", "missing": "allow"}))
    assert CliRunner().invoke(everloop, ["rollout", "start", loop.name, "--reason", "seats"]).exit_code == 0
    assert loop.finish(loop.wait_until(loop.store.active_run).run_id).status == "succeeded"
    # THEN it answers callers with and without it
    assert loop.statuses(3) == loop.statuses(3, seats=300.0) == {(200, 1)}
    # WHEN history comes with it, and a candidate uses it, both versions answer both callers in the canary
    again = history()
    import_rows(
        loop.account,
        find_declaration(loop.name, models),
        again.assign(seats=np.where(again["distance"] > 500, 300.0, np.nan)),
        place="again",
    )
    run = loop.train()
    loop.wait_until(lambda: loop.executions().get(run) != "RUNNING" or loop.in_canary(run), seconds=300)
    assert loop.in_canary(run), loop.store.run(run)
    answers = loop.statuses(12) | loop.statuses(12, seats=300.0)
    assert answers == {(200, 1), (200, 2)}
    assert loop.finish(run).status == "succeeded"
    assert loop.store.champion().version == 2
    # AND the lake has what was sent before any version used it
    loop.advance(hours=2)
    captured = loop.lake_predictions()
    assert captured.loc[captured["version"] == 1, "seats"].eq(300.0).any()


def test_a_feature_that_the_champion_uses_is_not_removed_and_the_monitor_goes_on(loop: Changing, models: Path) -> None:
    loop.changed(models, document(wind=None, seats={"type": "number", "missing": "allow"}))
    # THEN the check, and the training at its first step, say so with the way
    said = CliRunner().invoke(everloop, ["check", "late_train", "--deployed", "--models-directory", str(models)])
    assert said.exit_code == 1
    assert (
        "uses 'wind', which is no longer declared: declare it again, take it out of the training script" in said.output
    )
    run = loop.train()
    loop.wait_until(lambda: loop.store.active_run() is None and loop.executions().get(run) != "RUNNING", seconds=300)
    assert "'wind'" in (loop.store.run(run).cause or "")
    # AND callers of before are answered, and the monitor watches the rest
    assert loop.statuses(3) == {(200, 2)}
    document_ = loop.next_monitoring()
    assert document_["not_watched"]["wind"] == "no longer declared"
    assert set(document_["not_watched"]) == {"wind", SCORE}, "a refit serves, which still collects its score reference"
    assert document_["rows"] > 0
    shown = CliRunner().invoke(everloop, ["status", "late_train"])
    assert "wind: no longer declared" in shown.output
