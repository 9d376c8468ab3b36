"""Both jobs, as processes, from the code archive's layout."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from everloop.documents.records import Files
from everloop.documents.window import WindowRecord
from everloop.evaluation import restoration
from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.intervals import learned_interval
from everloop.evaluation.refit import Expected as ExpectedRefit
from everloop.evaluation.refit import decide as decide_refit
from everloop.evaluation.refit_report import RefitReport
from everloop.evaluation.report import OlderFacts, Report
from everloop.instants import parse_instant
from everloop.manifest import EVALUATED, Manifest, artifact_prefix, file_entries, sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.recalibrating import Standing, learned_before, recalibrate
from everloop.recalibration.sums import LogOddsSums
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Window
from everloop.registry.store import RegistryStore
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from tests.fakes.registry_table import TABLE, create_table
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present
from tests.helpers.window_records import window_record
from tests.training.scenes import CLASSIFIER, REGRESSOR, Jobs, classification, rows, write_parts

pytestmark = pytest.mark.xdist_group("jobs")

KEYS: dict[str, Any] = {
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "region_name": "us-east-1",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Jobs, Path]:
    jobs = Jobs(tmp_path_factory.mktemp("classification"), classification(), CLASSIFIER)
    process, model = jobs.train()
    assert process.returncode == 0, process.stdout + process.stderr
    return jobs, model


@pytest.fixture
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    create_table(boto3.client("dynamodb", endpoint_url=url, **KEYS))
    yield url
    # All of moto's servers in a process have one store.
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    server.stop()


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_training_writes_a_model_with_all_that_serving_and_the_gate_need(trained: tuple[Jobs, Path]) -> None:
    _, model = trained
    assert sorted(p.name for p in model.iterdir()) == [
        "contract.json",
        "model.onnx",
        "parity.json",
        "profile.json",
        "training.json",
    ]
    contract = ServingContract.from_json((model / "contract.json").read_bytes())
    assert [f.name for f in contract.numbers] == ["distance", "wind"]
    assert {f.name: f.values for f in contract.categories} == {
        "line": ("north", "south"),
        "operator": ("a", "b", "c"),
    }
    parity = load(model / "parity.json")
    assert (parity["rows"], parity["label_flips"]) == (1000, 0)
    assert parity["model_sha256"] == hashlib.sha256((model / "model.onnx").read_bytes()).hexdigest()
    probes = parity["probes"]
    assert probes["possibilities"]["missing"] == 2
    assert probes["rows"] == 8 * sum(probes["possibilities"].values())
    record = load(model / "training.json")
    assert record["rows"] == {"train": 3000, "test": 1000}
    assert record["time_range"][0].startswith("2013-01-01T06:00:00")
    assert record["seed"] == 7
    assert record["parameters"] == {"trees": 25}
    assert set(record["baseline"]["groups"]) == {"north", "south"}
    assert record["packages"]["scikit-learn"].startswith("1.9.")


RULE = """
def rule(features):
    return (features["wind"] > 20) | (features["line"] == "north")
"""


def test_the_rule_in_force_is_run_by_the_training_and_scored_by_the_evaluation(tmp_path: Path) -> None:
    problem = {"baseline": {"kind": "rule_in_force", "script": "rule.py"}}
    jobs = Jobs(tmp_path, declare(binary_document(training={"seed": 7}, problem=problem)), CLASSIFIER)
    (jobs.source / "user_model" / "rule.py").write_text(RULE, encoding="utf-8")
    process, model = jobs.train()
    assert process.returncode == 0, process.stdout + process.stderr
    test = jobs.test_rows
    acts = ((test["wind"] > 20) | (test["line"] == "north")).to_numpy()
    assert load(model / "baseline_answers.json") == acts.astype(float).tolist()
    # GIVEN an evaluation that has no such function, THEN it needs none
    (jobs.source / "user_model" / "rule.py").write_text("raise SystemExit(3)", encoding="utf-8")
    process, output = jobs.evaluate(model)
    assert process.returncode == 0, process.stdout + process.stderr
    assert not (output / "baseline_answers.json").exists()
    report = Report.from_json((output / "report.json").read_bytes())
    assert "baseline_answers.json" not in report.files
    learned = load(model / "training.json")["baseline"]["numbers"]
    late = test["label"].to_numpy()
    scores = np.where(acts, learned["true"], learned["false"])
    losses = -np.where(late == 1, np.log(scores), np.log(1 - scores))
    assert report.baseline["log_loss"].value == pytest.approx(losses.mean())
    # Its decisions are its own, whatever the threshold: a false alarm costs 1, a miss 3.
    assert report.money is not None
    assert report.money.baseline.value == pytest.approx(
        1000 * ((acts & (late == 0)).mean() + 3 * (~acts & (late == 1)).mean())
    )


def test_the_evaluation_measures_the_declared_slices_and_looks_for_others(trained: tuple[Jobs, Path]) -> None:
    jobs, model = trained
    process, output = jobs.evaluate(model, name="by slices")
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    slices, fairness = report.slices, report.fairness
    assert report.calibration is not None
    assert sum(one.rows for one in report.calibration.bins) == report.rows
    assert fairness is not None
    assert [(group.name, group.selection_rate is not None) for group in fairness.by[0].groups] == [
        ("north", True),
        ("south", True),
    ]
    assert slices is not None
    kinds = [one.kind for one in slices.slices]
    assert (kinds.count("declared"), kinds.count("pair")) == (7, 10)
    assert "found" in kinds
    assert "the older 5 test days" in slices.search
    assert sum(one.rows for one in slices.slices if one.name.startswith("line = ") and one.kind == "declared") == 1000
    assert slices.worst is not None


def test_a_rule_in_force_that_fails_says_where(tmp_path: Path) -> None:
    problem = {"baseline": {"kind": "rule_in_force", "script": "rule.py"}}
    jobs = Jobs(tmp_path, declare(binary_document(problem=problem)), CLASSIFIER, count=300)
    rule = jobs.source / "user_model" / "rule.py"
    for text, told in (
        ("def rule(features):\n    return features['wnd'] > 3\n", "rule.py line 2: KeyError"),
        ("def rule(features):\n    return 3\n", "rule.py: rule() returned int64 of the shape (); expected: numbers"),
        ("def rule(features):\n    return features['wind']\n", "values that are not finite numbers"),
    ):
        rule.write_text(text, encoding="utf-8")
        process, _ = jobs.train()
        assert process.returncode == 1
        assert told in (jobs.root / "output" / "failure").read_text(encoding="utf-8")


def test_the_same_inputs_give_the_same_bytes(trained: tuple[Jobs, Path]) -> None:
    jobs, model = trained
    process, again = jobs.train("again")
    assert process.returncode == 0
    for path in model.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_a_model_that_was_trained_with_other_packages_is_not_judged(trained: tuple[Jobs, Path], tmp_path: Path) -> None:
    jobs, model = trained
    other = shutil.copytree(model, tmp_path / "model")
    record = load(other / "training.json")
    record["packages"]["scikit-learn"] = "1.9.0"
    (other / "training.json").write_text(json.dumps(record))
    process, output = jobs.evaluate(other, name="of other packages")
    assert process.returncode == 1
    assert not (output / "report.json").exists()
    assert "scikit-learn 1.9.0 in training, 1.9.1 in evaluation" in jobs.message("of other packages")


def test_the_first_candidate_is_evaluated_against_the_baseline(trained: tuple[Jobs, Path]) -> None:
    jobs, model = trained
    process, output = jobs.evaluate(model, name="first")
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    assert (report.run_id, report.snapshot_hash, report.rows, report.days) == ("train-0123", "abc", 1000, 10)
    assert set(report.candidate) == {"log_loss", "brier", "roc_auc"}
    assert report.champion is None
    assert (
        present(report.probes).possibilities == present(report.probes).admitted == present(report.probes).rows / 8 > 10
    )
    assert present(report.latency_ms).p50 > 0
    assert sum(d.rows for d in report.quality_over_days) == 1000
    for name, digest in report.files.items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    for name in ("model.onnx", "contract.json"):
        assert (output / name).read_bytes() == (model / name).read_bytes()
    profile = load(output / "profile.json")
    assert sum(profile["score"]["counts"]) == 1000
    expected = Expected("late_train", "train-0123", "abc", 1000, None)
    assert decide(report, jobs.declaration.gate, expected).passed


def test_the_champion_is_scored_on_the_same_rows(trained: tuple[Jobs, Path], s3_url: str) -> None:
    """GIVEN a champion that is the candidate itself, THEN nothing differs and the gate refuses."""
    jobs, model = trained
    uri = store_champion(boto3.client("s3", endpoint_url=s3_url, **KEYS), model)
    jobs.environment = aws(s3_url)
    process, output = jobs.evaluate(model, champion=uri, name="again-champion")
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    assert report.champion_version == 7
    assert report.champion == report.candidate
    assert (present(report.paired_champion).difference, present(report.paired_champion).high) == (0, 0)
    expected = Expected("late_train", "train-0123", "abc", 1000, 7)
    for scores in ("raw", "served"):
        verdict = decide(report, jobs.declaration.gate, replace(expected, scores=scores))
        assert [r.code for r in verdict.reasons if not r.passed] == ["better_than_champion"]
    # AND as served both are recalibrated alike, from nothing on
    assert present(report.as_served).champion == present(report.as_served).candidate != report.champion
    assert (present(report.as_served).paired.difference, present(report.as_served).recalibrated.learned_until) == (
        0,
        None,
    )


def test_both_are_recalibrated_from_what_the_monitor_had_learned(trained: tuple[Jobs, Path], s3_url: str) -> None:
    """GIVEN windows on record that say the scores are far too low, which they are not, THEN both begin so."""
    jobs, model = trained
    uri = store_champion(boto3.client("s3", endpoint_url=s3_url, **KEYS), model)
    store = RegistryStore(boto3.client("dynamodb", endpoint_url=s3_url, **KEYS), TABLE, "late_train")
    for window in learned_windows():
        store.windows.put(window)
    jobs.environment = aws(s3_url)
    process, output = jobs.evaluate(model, champion=uri, name="with-windows")
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    how = present(report.as_served).recalibrated
    # The test rows begin on 1 February, and the labels of 31 January were there with the window of the 2nd.
    assert (how.windows, how.learned_windows, how.learned_until) == (10, 8, parse_instant("2013-02-01T00:00:00Z"))
    used = present(store.windows.find(present(how.window_end)))
    assert record_sha256(used) == how.window_sha256
    assert present(present(report.as_served).champion["log_loss"].value) > present(
        present(report.champion)["log_loss"].value
    )
    assert present(report.as_served).paired.difference == 0


def learned_windows() -> Iterator[Window]:
    """Days up to 5 February, from which on outcomes are there for far more rows than the scores say."""
    declaration = classification()
    records: list[WindowRecord] = []
    rng = np.random.default_rng(1)
    for day in range(13):
        windows = windows_at(declaration, datetime(2013, 1, 26, 6, tzinfo=UTC) + timedelta(days=day))
        learned = learned_before(records, version=7, windows=windows)
        sums = LogOddsSums.of_rows(rng.uniform(0.05, 0.3, 300), (rng.random(300) < 0.8).astype(float))
        found = recalibrate(declaration, windows, sums, learned, Standing())
        times = {name: getattr(windows, name) for name in ("start", "end", "labelled_start", "labelled_end")}
        records.append(replace(window_record(), version=7, recalibration=found, **times))
        yield Window("late_train", windows.end, records[-1].to_document())


@pytest.mark.parametrize(
    ("learned_until", "rows", "passed"), [("2013-02-03T06:00:00Z", 799, True), ("2013-03-01T00:00:00Z", 0, False)]
)
def test_rows_that_the_champion_learned_from_do_not_count_in_its_favour(
    trained: tuple[Jobs, Path], s3_url: str, learned_until: str, rows: int, passed: bool
) -> None:
    """GIVEN a champion that has learned from the first days of the test part, THEN the others alone are compared."""
    jobs, model = trained
    uri = store_champion(boto3.client("s3", endpoint_url=s3_url, **KEYS), model, learned_until=learned_until)
    jobs.environment = aws(s3_url)
    process, output = jobs.evaluate(model, champion=uri, name=f"learned-{rows}")
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    assert (report.rows, report.champion_rows) == (1000, rows)
    assert report.champion_learned_until == parse_instant(learned_until)
    assert (report.champion is None) == (report.paired_champion is None) == (rows == 0)
    if report.paired_champion is not None:
        # Eight days are left, of unequal rows: they count as at most as many less one.
        assert report.paired_champion.difference == 0
        assert 5 < report.paired_champion.degrees_of_freedom <= 7
        assert present(report.champion)["log_loss"] != report.candidate["log_loss"]
    verdict = decide(report, jobs.declaration.gate, Expected("late_train", "train-0123", "abc", 1000, 7))
    assert [r.passed for r in verdict.reasons if r.code == "champion_rows"] == [passed]
    assert not verdict.passed


def test_an_older_version_is_judged_by_its_registered_files_on_rows_that_neither_has_learned(
    trained: tuple[Jobs, Path], s3_url: str
) -> None:
    jobs, model = trained
    s3 = boto3.client("s3", endpoint_url=s3_url, **KEYS)
    older = store_champion(s3, model, learned_until="2013-02-02T06:00:00Z", version=5)
    champion = store_champion(s3, model, learned_until="2013-02-03T06:00:00Z")
    jobs.environment = aws(s3_url)
    process, output = jobs.evaluate_older(older, champion=champion)
    assert process.returncode == 0, process.stdout + process.stderr
    # Nothing of it is changed, and so nothing but the report is written.
    assert [path.name for path in output.iterdir()] == ["report.json"]
    report = Report.from_json((output / "report.json").read_bytes())
    manifest = s3.get_object(Bucket="artifacts", Key=artifact_prefix("late_train", 5) + "manifest.json")["Body"].read()
    assert report.older == OlderFacts(5, sha256_hex(manifest), parse_instant("2013-02-02T06:00:00Z"))
    assert (report.champion_version, report.rows, report.champion_rows) == (7, 899, 799)
    assert (present(report.paired_champion).difference, present(report.as_served).paired.difference) == (0, 0)
    assert present(report.probes).possibilities == present(report.probes).admitted > 10
    expected = restoration.Expected(
        "late_train", "train-0123", "abc", 5, sha256_hex(manifest), 1000, 7, asked_for=False, scores="served"
    )
    verdict = restoration.decide(report, jobs.declaration.gate, expected)
    assert [r.code for r in verdict.reasons if not r.passed] == ["better_than_champion"]
    # AND one that has learned from all of them can't be judged by them
    newest = store_champion(s3, model, learned_until="2013-03-01T00:00:00Z", version=6)
    process, _ = jobs.evaluate_older(newest, champion=champion, name="newest")
    assert process.returncode == 1
    assert jobs.message("newest").startswith("version 6 has learned from all 1,000 test rows")


def test_a_champion_that_was_tampered_with_stops_the_evaluation(trained: tuple[Jobs, Path], s3_url: str) -> None:
    jobs, model = trained
    s3 = boto3.client("s3", endpoint_url=s3_url, **KEYS)
    uri = store_champion(s3, model)
    s3.put_object(Bucket="artifacts", Key="artifacts/late_train/000007/model.onnx", Body=b"other")
    jobs.environment = aws(s3_url)
    process, output = jobs.evaluate(model, champion=uri, name="tampered")
    assert process.returncode == 1
    assert "model.onnx" in jobs.message("tampered")
    assert not (output / "report.json").exists()


def test_a_model_that_parity_was_not_shown_for_is_not_evaluated(trained: tuple[Jobs, Path], tmp_path: Path) -> None:
    jobs, model = trained
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in model.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    parity = load(model / "parity.json") | {"rows": 999}
    (changed / "parity.json").write_text(json.dumps(parity), encoding="utf-8")
    process, _ = jobs.evaluate(changed, name="unproven")
    assert process.returncode == 1
    assert "999 rows" in jobs.message("unproven")


def test_a_regression_runs_through(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, with_intervals(0.8), REGRESSOR)
    process, model = jobs.train()
    assert process.returncode == 0, process.stdout + process.stderr
    _, again = jobs.train("again")
    assert (again / "model.onnx").read_bytes() == (model / "model.onnx").read_bytes()
    process, output = jobs.evaluate(model)
    assert process.returncode == 0, process.stdout + process.stderr
    report = Report.from_json((output / "report.json").read_bytes())
    assert set(report.candidate) == {"mae", "rmse"}
    assert present(report.paired_baseline).metric == "mae"
    assert present(present(report.paired_baseline).high) < 0
    assert np.isclose(present(report.candidate["mae"].value), 2.4, atol=0.6)
    # AND its interval is learned from the test rows, and measured on their newer days
    contract = ServingContract.from_json((output / "contract.json").read_bytes())
    residuals = jobs.test_rows["label"].to_numpy() - scores_of(jobs, output)
    assert contract.interval == learned_interval(0.8, residuals)
    interval, served = present(report.interval), present(contract.interval)
    measured = present(interval.measured)
    assert (interval.below, interval.above) == (served.below, served.above)
    assert present(measured.low) <= 0.8 <= present(measured.high)
    assert "interval" not in load(model / "contract.json"), "a training job says nothing of it"


def test_a_bad_script_fails_with_its_place_in_the_failure_file(tmp_path: Path) -> None:
    script = "def train(features, target, *, seed, parameters):\n    return 1 / 0\n"
    process, model = Jobs(tmp_path, classification(), script, count=200).train()
    assert process.returncode == 1
    failure = (tmp_path / "output" / "failure").read_text(encoding="utf-8")
    assert failure.startswith("train.py line 2: ZeroDivisionError: division by zero")
    assert "return 1 / 0" in failure
    assert failure in process.stdout
    assert not model.exists()


LINEAR = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def train(features, target, *, seed, parameters):
    categories = OneHotEncoder(handle_unknown="ignore")
    pre = ColumnTransformer([("n", StandardScaler(), ["distance", "wind"]), ("c", categories, ["line", "operator"])])
    return make_pipeline(pre, LogisticRegression()).fit(features, target)
"""


def test_a_missing_value_that_is_declared_and_never_came_is_told_before_the_gate(tmp_path: Path) -> None:
    """GIVEN missing: allow for the wind, no row without it, and a linear model."""
    jobs = Jobs(tmp_path, classification(), LINEAR, count=300)
    blown = rows(jobs.declaration, 300, 0, 1).fillna({"wind": 5.0})
    jobs.train_channel = write_parts(blown, tmp_path / "all-blown")
    jobs.features_channel = write_parts(
        jobs.test_rows.drop(columns="label").fillna({"wind": 5.0}), tmp_path / "test-blown"
    )
    process, model = jobs.train()
    assert process.returncode == 1
    failure = (tmp_path / "output" / "failure").read_text(encoding="utf-8")
    assert "'wind' missing: the model answers nan in 8 of 8 rows. None of the 300 training rows had it." in failure
    assert "Put a SimpleImputer before the model, or declare 'wind' missing: refuse." in failure
    assert "Traceback" not in failure
    assert not model.exists()


def test_a_model_that_was_not_probed_is_not_evaluated(trained: tuple[Jobs, Path], tmp_path: Path) -> None:
    jobs, model = trained
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in model.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    parity = load(model / "parity.json")
    parity["probes"]["possibilities"]["missing"] -= 1
    (changed / "parity.json").write_text(json.dumps(parity), encoding="utf-8")
    process, _ = jobs.evaluate(changed, name="unprobed")
    assert process.returncode == 1
    assert "not probed with everything that its contract allows" in jobs.message("unprobed")


WITHOUT_WIND = CLASSIFIER.replace('remainder="passthrough"', 'remainder="drop"').replace(
    '["line", "operator"])', '["line", "operator"]), ("num", "passthrough", ["distance"])'
)


def without_wind() -> ModelDeclaration:
    document = classification().model_dump(mode="json")
    document["data"]["features"] = [f for f in document["data"]["features"] if f["name"] != "wind"]
    document["gate"]["slices"]["by"] = [d for d in document["gate"]["slices"]["by"] if d["by"] != "wind"]
    return ModelDeclaration.model_validate_json(json.dumps(document))


class TestAFeatureIsRemoved:
    """GIVEN a feature that stays declared while the script drops it, and then goes."""

    def test_after_a_champion_that_does_not_use_it(self, tmp_path: Path, s3_url: str) -> None:
        jobs = Jobs(tmp_path / "declared", classification(), WITHOUT_WIND, count=500)
        process, model = jobs.train()
        assert process.returncode == 0, process.stdout + process.stderr
        # THEN what the script drops is nothing that the model needs
        assert "the model does not use wind" in process.stdout
        contract = ServingContract.from_json((model / "contract.json").read_bytes())
        assert [f.name for f in contract.numbers] == ["distance"]
        uri = store_champion(boto3.client("s3", endpoint_url=s3_url, **KEYS), model)
        # AND a candidate of the declaration without it is compared with that champion
        later = Jobs(tmp_path / "removed", without_wind(), WITHOUT_WIND, count=500, environment=aws(s3_url))
        process, model = later.train()
        assert process.returncode == 0, process.stdout + process.stderr
        process, output = later.evaluate(model, champion=uri)
        assert process.returncode == 0, process.stdout + process.stderr
        assert Report.from_json((output / "report.json").read_bytes()).champion_version == 7

    def test_and_not_before(self, trained: tuple[Jobs, Path], tmp_path: Path, s3_url: str) -> None:
        uri = store_champion(boto3.client("s3", endpoint_url=s3_url, **KEYS), trained[1])
        early = Jobs(tmp_path / "removed", without_wind(), WITHOUT_WIND, count=500, environment=aws(s3_url))
        _, model = early.train()
        process, _ = early.evaluate(model, champion=uri, name="early")
        assert process.returncode == 1
        assert "the champion uses the feature 'wind'" in early.message("early")
        assert "declare it again, take it out of the training script" in early.message("early")


def store_champion(s3: Any, model: Path, *, learned_until: str | None = None, version: int = 7) -> str:
    """The model as version 7, as registration stores it; it may say that it learned from newer rows."""
    files = {name: (model / name).read_bytes() for name in EVALUATED}
    if learned_until is not None:
        record = json.loads(files["training.json"])
        files["training.json"] = json.dumps({**record, "time_range": [record["time_range"][0], learned_until]}).encode()
    entries: Files = {n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in files.items()}
    manifest = Manifest(
        model="late_train",
        version=version,
        run_id="train-0",
        snapshot_hash="s",
        code_sha256="c",
        created_at=parse_instant("2013-01-01T00:00:00Z"),
        files=file_entries(entries),
    )
    s3.create_bucket(Bucket="artifacts")
    for name, data in {**files, "manifest.json": manifest.content}.items():
        s3.put_object(Bucket="artifacts", Key=f"{artifact_prefix('late_train', version)}{name}", Body=data)
    return f"s3://artifacts/{artifact_prefix('late_train', version)}"


def aws(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="module")
def refitted(trained: tuple[Jobs, Path]) -> tuple[Jobs, Path, Path]:
    """The jobs, what the evaluation wrote, and the refit."""
    jobs, model = trained
    process, evaluated = jobs.evaluate(model, name="sibling")
    assert process.returncode == 0, process.stdout + process.stderr
    process, refit = jobs.refit()
    assert process.returncode == 0, process.stdout + process.stderr
    return jobs, evaluated, refit


def test_a_refit_learns_from_the_test_rows_as_well(refitted: tuple[Jobs, Path, Path]) -> None:
    jobs, evaluated, refit = refitted
    before, after = load(evaluated / "training.json"), load(refit / "training.json")
    assert (before["refit"], after["refit"]) == (False, True)
    assert (before["rows"], after["rows"]) == ({"train": 3000, "test": 1000}, {"train": 4000, "test": 1000})
    assert after["time_range"] == [before["time_range"][0], "2013-02-10T06:00:00.099Z"]
    same = ("code_sha256", "seed", "parameters", "packages")
    assert {name: before[name] for name in same} == {name: after[name] for name in same}
    assert load(refit / "profile.json")["rows"] == 4000
    assert load(refit / "parity.json")["rows"] == 1000
    assert (refit / "model.onnx").read_bytes() != (evaluated / "model.onnx").read_bytes()
    _, again = jobs.refit("refit-again")
    assert (again / "model.onnx").read_bytes() == (refit / "model.onnx").read_bytes()


def test_a_refit_is_checked_beside_its_sibling(refitted: tuple[Jobs, Path, Path]) -> None:
    jobs, evaluated, refit = refitted
    process, output = jobs.check_refit(refit, evaluated)
    assert process.returncode == 0, process.stdout + process.stderr
    report = RefitReport.from_json((output / "refit.json").read_bytes())
    # The refit knows the rows by now; its sibling did not.
    assert report.refit_loss < report.evaluated_loss
    judged = Report.from_json((evaluated / "report.json").read_bytes())
    assert report.evaluated_loss == judged.candidate["log_loss"].value
    before, after = (scores_of(jobs, folder) for folder in (evaluated, output))
    assert report.difference.mean == np.abs(after - before).mean()
    assert report.difference.largest == np.abs(after - before).max()
    assert report.difference.outcome_deviation == np.std(jobs.test_rows["label"])
    for name, digest in report.files.items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    assert (output / "model.onnx").read_bytes() == (refit / "model.onnx").read_bytes()
    expected = refit_expected(jobs, evaluated, judged)
    decision = decide_refit(report, jobs.declaration.training, jobs.declaration.gate, expected)
    assert decision.serves == "refit", decision.reasons


def test_the_profile_of_a_refit_has_its_siblings_scores_of_rows_it_had_not_seen(
    refitted: tuple[Jobs, Path, Path],
) -> None:
    jobs, evaluated, refit = refitted
    _, output = jobs.check_refit(refit, evaluated, name="profile")
    sibling, profile, learned = (load(f / "profile.json") for f in (evaluated, output, refit))
    for name in ("score", "metric", "outcomes", "outcome_days"):
        assert profile[name] == sibling[name], name
    assert profile["features"] == learned["features"] != sibling["features"]
    assert (profile["rows"], profile["days"]) == (4000, 40)
    # AND it says that these are not the scores to watch a refit by, while the sibling's own profile has no objection
    assert profile["score_unjudged"].startswith("a refit serves")
    assert sibling["score_unjudged"] == ""


def test_only_a_refit_is_checked_as_one(trained: tuple[Jobs, Path], refitted: tuple[Jobs, Path, Path]) -> None:
    jobs, model = trained
    process, output = jobs.check_refit(model, refitted[1], name="no-refit")
    assert process.returncode == 1
    assert "is not a refit" in jobs.message("no-refit")
    assert not (output / "refit.json").exists()


def test_a_sibling_that_was_not_evaluated_stops_the_check(refitted: tuple[Jobs, Path, Path], tmp_path: Path) -> None:
    jobs, evaluated, refit = refitted
    other = tmp_path / "other"
    other.mkdir()
    for path in evaluated.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "model.onnx").write_bytes((refit / "model.onnx").read_bytes())
    process, _ = jobs.check_refit(refit, other, name="other-sibling")
    assert process.returncode == 1
    assert "model.onnx was evaluated with sha256" in jobs.message("other-sibling")


def test_a_regression_is_refitted_and_checked(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, with_intervals(0.9), REGRESSOR)
    _, model = jobs.train()
    _, evaluated = jobs.evaluate(model)
    _, refit = jobs.refit()
    process, output = jobs.check_refit(refit, evaluated)
    assert process.returncode == 0, process.stdout + process.stderr
    report = RefitReport.from_json((output / "refit.json").read_bytes())
    assert report.metric == "mae"
    assert 0 < present(report.difference.relative) < 0.1
    judged = Report.from_json((evaluated / "report.json").read_bytes())
    expected = refit_expected(jobs, evaluated, judged)
    reasons = decide_refit(report, jobs.declaration.training, jobs.declaration.gate, expected).reasons
    assert {r.code for r in reasons} == {"parity_rows", "parity_flips", "refit_difference", "refit_fit"}
    # AND it has the interval of its sibling, which had not learned from these rows
    assert "interval" not in load(refit / "contract.json")
    assert load(output / "contract.json")["interval"] == load(evaluated / "contract.json")["interval"]


def with_intervals(coverage: float) -> ModelDeclaration:
    return declare(regression_document(problem={"interval": {"coverage": coverage}}))


def scores_of(jobs: Jobs, folder: Path) -> np.ndarray:
    """What the model in ``folder`` answers to the test rows."""
    contract = ServingContract.from_json((folder / "contract.json").read_bytes())
    scorer = Scorer.from_bytes((folder / "model.onnx").read_bytes(), contract)
    rows = jobs.test_rows
    num = rows[[f.name for f in contract.numbers]].to_numpy(np.float64)
    return scorer.score(num, rows[[f.name for f in contract.categories]].fillna("").to_numpy(object))


def refit_expected(jobs: Jobs, evaluated: Path, judged: Report) -> ExpectedRefit:
    return ExpectedRefit(
        model=jobs.declaration.model,
        run_id="train-0123",
        snapshot_hash="abc",
        report_sha256=hashlib.sha256((evaluated / "report.json").read_bytes()).hexdigest(),
        code_sha256=judged.code_sha256,
        evaluated_files=judged.files,
        train_rows=3000,
        test_rows=1000,
        learned_until=parse_instant("2013-02-10T06:00:00.099Z"),
    )


def test_the_evaluation_needs_nothing_that_fits_models() -> None:
    code = "import sys, everloop.training.evaluate; print(sorted({'sklearn', 'scipy', 'onnx'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
