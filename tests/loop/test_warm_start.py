"""What serves is continued with newer rows, by hand: through job, gate and registry, to serve in its turn."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.local_cloud import deploy
from everloop.dataset.held_groups import HeldGroups
from everloop.manifest import ESTIMATOR, Manifest, sha256_hex
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.helpers.present import present
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import BAKERY_DOCUMENT, write_sales
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

GROWN = "bread_grown"
BEGIN, DAYS, FIRST_DAYS, LATER_DAYS = "2013-01-20", 46, 25, 40
TREES, ADDED = 40, 15
LEARNING_RATES = {"values": [0.1, 0.2]}

SCRIPT = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(features, target, *, seed, parameters):
    shops = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("shops", shops, ["shop"])], remainder="passthrough")
    trees = HistGradientBoostingRegressor(random_state=seed, **parameters)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features, target)
"""


PLACES = "bread_places"
NUMBER_OF_PLACES, SHARE, LIST = 40, 0.4, 20

SCRIPT_OF_PLACES = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline


def train(features, target, *, seed, parameters):
    columns = ColumnTransformer([("numbers", SimpleImputer(), ["hour", "price", "rain"])])
    return Pipeline([("columns", columns), ("line", Ridge())]).fit(features, target)
"""


def _places() -> dict[str, Any]:
    """The bakery in places of which a part is held out: what is learned has to hold in a place that is new."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT) | {"model": PLACES}
    document["problem"] |= {"ranking": {"group": "day", "at": LIST}, "baseline": {"kind": "prior"}}
    document["data"]["features"][-1] = {"name": "place", "type": "category", "unseen": "accept"}
    document["data"] |= {"target_min": 0, "split": {"strategy": "grouped", "test_days": 8, "group": "place"}}
    document["data"]["split"]["share"] = SHARE
    document["training"] = {"seed": 3}
    document["retraining"] = {"cooldown_days": 30, "quota": {"runs": 9, "days": 60}}
    del document["recalibration"]
    return document


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bakery as boosted trees, which may be continued, and in many places."""
    document: dict[str, Any] = copy.deepcopy(BAKERY_DOCUMENT) | {"model": GROWN}
    document["training"] = {
        "seed": 3,
        "parameters": {"max_iter": TREES},
        "warm_start": {"added_trees": ADDED, "max_trees": TREES + 2 * ADDED},
        "tuning": {"trials": 2, "minutes": 5, "folds": 1, "fold_days": 3, "space": {"learning_rate": LEARNING_RATES}},
        "spot": {"wait_minutes": 5},
    }
    document["data"]["leakage"] = "stop"
    document["gate"]["margin"] = 3.0
    document["retraining"] = {"cooldown_days": 30, "quota": {"runs": 9, "days": 60}}
    folder = tmp_path_factory.mktemp("grown") / "models"
    for declared, script in ((document, SCRIPT), (_places(), SCRIPT_OF_PLACES)):
        own = folder / declared["model"]
        own.mkdir(parents=True)
        (own / "model.yaml").write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
        (own / "train.py").write_text(script, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(loop: Loop, models: Path) -> RegistryStore:
    """The model, deployed beside the others."""
    deploy(synthesize_models(models, models.parent), loop.cloud.running.state_directory, print)
    return loop.account.registry(GROWN)


@pytest.fixture(scope="module")
def files(models: Path) -> tuple[Path, Path, Path, Path]:
    """The sales of the first days, those of the days after, the newest, and the first with a leak: rain is sales."""
    rows = pd.read_csv(write_sales(models.parent / "sales.csv", begin=BEGIN, days=DAYS))
    day = (pd.to_datetime(rows["sold_at"]) - pd.Timestamp(BEGIN, tz="UTC")) // pd.Timedelta(days=1)
    first = rows[day < FIRST_DAYS]
    leaking = first.assign(rain=(first["loaves"] - first["loaves"].min()).round(3))
    parts = first, rows[(day >= FIRST_DAYS) & (day < LATER_DAYS)], rows[day >= LATER_DAYS], leaking
    paths = tuple(models.parent / f"{name}.csv" for name in ("first", "later", "newest", "leaking"))
    for path, part in zip(paths, parts, strict=True):
        part.to_csv(path, index=False)
    return paths  # type: ignore[return-value]  # one for each name


def typed(*words: str | Path) -> Any:
    return CliRunner().invoke(everloop, [str(word) for word in words])


def well(*words: str | Path) -> str:
    told = typed(*words)
    assert told.exit_code == 0, told.output + str(told.exception)
    return str(told.output)


def trained(loop: Loop, store: RegistryStore, *words: str) -> str:
    """What a training tells whose candidate passes, and serves in the end."""
    told = well("train", store.model, *words)
    (run_id,) = re.findall(r"^run (train-[0-9a-f]+) started", told, re.MULTILINE)
    for _ in range(60):
        if store.runs.active() is None:
            break
        loop.advance(minutes=61)
        loop.wait_until(lambda: store.runs.active() is None or store.rollouts.all())
    assert store.runs.get(run_id).status == "succeeded", store.runs.get(run_id)
    return told


def objects(loop: Loop, holding: str) -> list[str]:
    """The lake's keys that have a text in them."""
    pages = (
        loop.account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=loop.account.platform.lake_bucket)
    )
    return [one["Key"] for page in pages for one in page.get("Contents", ()) if holding in one["Key"]]


def test_what_serves_is_continued(loop: Loop, store: RegistryStore, models: Path, files: tuple[Path, ...]) -> None:
    # GIVEN nothing that serves; THEN there is nothing to continue, and nothing is started
    refused = typed("train", GROWN, "--update", "warm")
    assert "nothing serves yet" in str(refused.exception)
    assert store.runs.all() == []
    # GIVEN a file in which a feature knows the outcome; THEN the run stops before it trains, and says so
    well("data", "import", GROWN, files[3], "--models-directory", models)
    leaked = typed("train", GROWN)
    assert leaked.exit_code == 1, leaked.output
    assert "LeakageSuspectedError" in leaked.output
    assert "rain" in leaked.output
    (stopped,) = store.runs.all()
    assert (stopped.status, stopped.version, stopped.training_days) == ("failed", None, None)
    # GIVEN the right rows in their place, and a first version; THEN its estimator is kept beside it
    well("data", "import", GROWN, files[0], "--models-directory", models)
    trained(loop, store)
    # AND its parameters are those of a search on validation parts, which its refit took
    shown = json.loads(well("runs", "show", GROWN, store.versions.get(1).run_id, "--json"))
    chosen = shown["training"]["tuning"]
    assert [trial["state"] for trial in chosen["trials"]] == ["complete", "complete"]
    # AND its spot instance was taken back after the first trial: the second start went on behind it
    (job,) = (one for one in shown["jobs"] if one["purpose"] == "training")
    described = loop.account.client("sagemaker").describe_training_job(TrainingJobName=job["name"])
    phases = [one["Status"] for one in described["SecondaryStatusTransitions"]]
    assert phases.count("Interrupted") == 1
    assert phases.count("Training") == 2
    (kept,) = objects(loop, f"{store.versions.get(1).run_id}/checkpoints_training/")
    assert kept.endswith("trials.json")
    assert job["spot_saved_usd"] > 0
    score = json.loads(well("score", GROWN, "--models-directory", models, "--json"))
    (tuned,) = (one for one in score["groups"]["model development"] if one["test"] == "Model 3")
    assert tuned["evidence"].startswith("2 sets of parameters")
    first = store.versions.get(present(store.versions.champion()).version)
    assert first.files[ESTIMATOR]["bytes"] > 1000
    # WHEN it is to be continued, and has learned from all rows that could test it; THEN it is trained in full instead
    smoke = typed("train", GROWN, "--update", "warm", "--smoke")
    assert smoke.exit_code == 3, smoke.output
    assert "Trained in full and not continued: version 1 has learned from 360 of the 360 test rows" in smoke.output
    assert store.versions.get(2).parent_version is None

    # WHEN newer rows have come
    well("data", "import", GROWN, files[1], "--models-directory", models)
    told = trained(loop, store, "--update", "warm")
    # THEN trees are added from them alone, and what comes of it passes the gate and serves
    assert f"Version 1 is continued: {ADDED} trees from 720 rows later than 2013-02-13T23:00" in told
    champion = store.versions.get(present(store.versions.champion()).version)
    assert (champion.version, champion.parent_version) == (3, 1)
    (run,) = [run for run in store.runs.all() if run.version == 3]
    update = present(run.update)
    assert (update["kind"], update["parent"], update["parent_trees"]) == ("warm", 1, TREES)
    # The refit has learned from the test rows too, and continues the same version.
    rows = 1080 if champion.serves_refit else 720
    assert (present(run.update)["rows"], present(run.update)["estimator_sha256"]) == (
        rows,
        first.files[ESTIMATOR]["sha256"],
    )
    # AND manifest, trace and audit chain say what it continues
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    body = s3.get_object(Bucket=bucket, Key=f"{champion.artifact_prefix}manifest.json")["Body"].read()
    assert sha256_hex(body) == champion.manifest_sha256
    manifest = Manifest.from_bytes(body)
    assert manifest.parent_version == 1
    kept = s3.get_object(Bucket=bucket, Key=f"{champion.artifact_prefix}{ESTIMATOR}")["Body"].read()
    assert manifest.files[ESTIMATOR].sha256 == sha256_hex(kept)
    assert "version 1" in next(line for line in well("trace", GROWN).splitlines() if " continues " in line)
    assert json.loads(well("trace", GROWN, "--json"))["version"]["parent_version"] == 1
    assert "continues version 1" in well("audit", "list", GROWN)
    assert verify_audit(store).sound, verify_audit(store).problems
    assert "Version 1 is continued" in well("runs", "list", GROWN)


@pytest.fixture
def become(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes the commands those of a person: of a session of a role that may do everything; gives their identity."""
    iam, name = loop.account.client("iam"), "everybody"
    anybody = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trust, policy = (json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (anybody, everything))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    sts = loop.account.client("sts")

    def person(session: str) -> str:
        given = sts.assume_role(RoleArn=role, RoleSessionName=session)
        for variable, key in (
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ):
            monkeypatch.setenv(variable, given["Credentials"][key])
        return str(given["AssumedRoleUser"]["Arn"])

    return person


def test_a_refused_version_comes_to_serve_by_a_waiver_of_one_and_the_request_of_another(
    loop: Loop, store: RegistryStore, models: Path, files: tuple[Path, ...], become: Callable[[str], str]
) -> None:
    # GIVEN version 2, which the gate refused for want of rows that are new to the champion; and newer rows by now
    refused = {reason["code"] for reason in store.versions.get(2).gate["reasons"] if not reason["passed"]}
    assert refused == {"champion_rows", "too_few_rows"}
    well("data", "import", GROWN, files[2], "--models-directory", models)
    waiver = ("waive", GROWN, "2", "--reason", "champion_rows")
    until = (loop.now() + timedelta(days=30)).date().isoformat()
    # WHEN one person waives it; THEN that person can't ask for the version
    bob = become("bob")
    told = well(*waiver, "--why", "by now there are newer rows", "--until", until)
    assert "the gate refused it for more: too_few_rows" in told
    few = ("waive", GROWN, "2", "--reason", "too_few_rows")
    well(*few, "--why", "the newest days have enough", "--until", until)
    ask = ("restore", GROWN, "2", "--reason", "it has fewer trees")
    assert "have these reasons waived: champion_rows, too_few_rows" in str(typed(*ask).exception)
    # WHEN another takes the waiver back; THEN nobody can
    cleo = become("cleo")
    well(*waiver, "--why", "let us look at it first", "--revoke")
    assert "have these reasons waived: champion_rows" in str(typed(*ask).exception)
    # WHEN it is waived once more, and the other one asks; THEN the gate judges it on the newest rows, and it serves
    become("bob")
    longer = (loop.now() + timedelta(days=31)).date().isoformat()
    well(*waiver, "--why", "looked at it, it is fine", "--until", longer)
    become("cleo")
    well(*ask)
    for _ in range(60):
        if store.runs.active() is None:
            break
        loop.advance(minutes=61)
        loop.wait_until(lambda: store.runs.active() is None or store.rollouts.all())
    assert present(store.versions.champion()).version == 2, store.runs.all()[0]
    # AND record and page say who did what
    assert store.runs.all()[0].trigger["started_by"] == cleo
    done = [(r.action, r.actor) for r in store.ledger.audit_records() if r.action.startswith("waive")]
    assert done == [("waived", bob), ("waived", bob), ("waiver_revoked", cleo), ("waived", bob)]
    page = models.parent / "card.html"
    well("card", GROWN, "--html", page, "--evaluated", "--models-directory", models)
    text = page.read_text(encoding="utf-8")
    assert f"<td>{bob}</td>" in text
    assert f"by {cleo}: let us look at it first" in text
    assert verify_audit(store).sound, verify_audit(store).problems


def test_versions_of_held_out_groups_are_compared_where_neither_has_learned(
    loop: Loop, store: RegistryStore, models: Path, files: tuple[Path, ...]
) -> None:
    # GIVEN sales in many places, a part of which no version may learn from
    places = [f"place-{number}" for number in range(NUMBER_OF_PLACES)]
    held = HeldGroups("place", SHARE, PLACES)
    out = [place for place in places if held.holds(place)]
    assert 5 < len(out) < NUMBER_OF_PLACES / 2
    ours = loop.account.registry(PLACES)
    for number, file in enumerate(files[:2], start=1):
        rows = pd.read_csv(file).rename(columns={"shop": "place"})
        rows["place"] = rows["sale_id"].str.removeprefix("s").astype(int).map(lambda i: places[i % NUMBER_OF_PLACES])
        rows["loaves"] = rows["loaves"].clip(lower=0)
        rows.to_csv(models.parent / "places.csv", index=False)
        # WHEN a version is trained of them, and then another one with newer rows
        well("data", "import", PLACES, models.parent / "places.csv", "--models-directory", models)
        trained(loop, ours)
        # THEN it has seen none of their rows, before the test part or in it, and serves
        version = ours.versions.get(present(ours.versions.champion()).version)
        assert version.version == number
        report = json.loads(well("report", PLACES, "--version", str(number), "--json"))["report"]
        facts = report["held_groups"]
        assert (facts["column"], facts["groups"]) == ("place", len(out))
        assert facts["test_rows"] == report["rows"] + facts["known_rows"]
        assert facts["champion_basis"] == (None if number == 1 else "held_out")
        # AND the order of each day's sales is told beside the losses
        assert report["ranking"]
    gate = {reason["code"]: reason["passed"] for reason in ours.versions.get(2).gate["reasons"]}
    assert gate["champion_groups"], gate
    assert verify_audit(ours).sound, verify_audit(ours).problems
