"""A new account takes the deployment, and what it lacks is told before and after."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.local_cloud import LocalCloud, bring_up, free_port
from everloop.cli.operations.preflight.checks import findings
from everloop.cli.operations.preflight.needs import Needs, needs_of
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import BAKERY, write_sales

pytestmark = pytest.mark.xdist_group("loop in a new account")


@pytest.fixture(scope="module")
def assembly(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize_models(models_directory, tmp_path_factory.mktemp("assembly"))


@pytest.fixture(scope="module")
def cloud(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    before = dict(os.environ)
    running = bring_up(
        port=free_port(),
        state_directory=tmp_path_factory.mktemp("state") / "local",
        say=lambda _: None,
        stop_with_parent=True,
        account_kind="new",
        synthesize=lambda _: assembly,
    )
    try:
        yield running
    finally:
        running.running.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def needs(assembly: Path) -> Needs:
    return needs_of(assembly)


def test_instances_are_all_that_it_lacks(cloud: LocalCloud, needs: Needs) -> None:
    found = list(findings(cloud.account(), needs))
    assert {one.check for one in found if one.state != "good"} == {"instances"}
    missing = [one for one in found if one.check == "instances"]
    assert {one.sentence.split(":")[0] for one in missing} == set(needs.instances)
    assert all("request-service-quota-increase --service-code sagemaker" in str(one.remedy) for one in missing)


def test_a_run_ends_with_what_is_lacking_and_counts_for_no_quota(
    cloud: LocalCloud, models_directory: Path, tmp_path: Path
) -> None:
    begin = f"{datetime.now(UTC) - timedelta(days=31):%Y-%m-%d}"
    sales = write_sales(tmp_path / "sales.csv", begin=begin, days=30)
    type_ = CliRunner().invoke
    imported = type_(everloop, ["data", "import", BAKERY, str(sales), "--models-directory", str(models_directory)])
    assert imported.exit_code == 0, imported.output
    started = type_(everloop, ["train", BAKERY, "--detach"])
    assert started.exit_code == 0, started.output
    # A momentary lack of instances is waited for.
    cloud.running.pass_time(cloud.account().now() + timedelta(hours=1))
    (run,) = json.loads(type_(everloop, ["runs", "list", BAKERY, "--json"]).stdout)
    assert (run["status"], run["trained"]) == ("failed", False)
    assert "ml.m5.large for training job usage' is 0 Instances" in json.dumps(run)
