"""New code is deployed without touching the traffic, and comes to it by the steps of a new model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.local_cloud import deploy
from everloop.cli.operations.status import model_status
from tests.helpers.present import present
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import FLIGHTS
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def deploy_changed(loop: Loop, models: Path) -> None:
    """Deploy the flights' model, of which the declaration, and with it the functions' code, has changed."""
    declared = models / FLIGHTS / "model.yaml"
    document = yaml.safe_load(declared.read_text(encoding="utf-8"))
    document["problem"]["objective"] += " Said once more."
    declared.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    deploy(synthesize_models(models, models.parent), loop.cloud.running.state_directory, print)


def serving(loop: Loop) -> dict[str, Any]:
    """The alias, and the hash of the code of the version it points at."""
    client, name = loop.account.client("lambda"), loop.model.predict_function
    alias = client.get_alias(FunctionName=name, Name=loop.model.alias)
    code = client.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])["CodeSha256"]
    return {"version": alias["FunctionVersion"], "routing": alias.get("RoutingConfig") or {}, "code": code}


def test_new_code_waits_for_its_rollout_and_serves_after_it(loop: Loop, models_directory: Path, tmp_path: Path) -> None:
    # GIVEN a champion that serves, no run under way, and new code deployed
    under_way = loop.store.runs.active()
    if under_way is not None:
        loop.finish(under_way.run_id)
    before, champion = serving(loop), present(loop.store.versions.champion())
    shutil.copytree(models_directory / FLIGHTS, tmp_path / "models" / FLIGHTS)
    deploy_changed(loop, tmp_path / "models")
    # THEN the traffic stays where it was, and the status says what waits
    assert serving(loop) == before
    assert model_status(loop.account, loop.name).code_waits
    assert loop.post({"instances": loop.instances(1)})[0] == 200
    # WHEN the rollout is started
    started = CliRunner().invoke(everloop, ["rollout", "start", loop.name, "--reason", "a clearer objective"])
    assert started.exit_code == 0, started.output
    run = loop.wait_until(loop.store.runs.active)
    # THEN a part of the traffic goes to the new code first
    loop.wait_until(lambda: serving(loop)["routing"])
    during = serving(loop)
    assert during["version"] == before["version"]
    assert list(during["routing"]["AdditionalVersionWeights"].values()) == [0.25]
    # AND in the end all of it, with the same model as champion
    assert loop.finish(run.run_id).status == "succeeded"
    after = serving(loop)
    assert after["routing"] == {}
    assert after["version"] == next(iter(during["routing"]["AdditionalVersionWeights"]))
    assert after["code"] != before["code"]
    assert present(loop.store.versions.champion()).version == champion.version
    assert not model_status(loop.account, loop.name).code_waits
    newest = loop.store.rollouts.all()[0]
    assert (newest.kind, newest.version, newest.status) == ("code", champion.version, "completed")
    assert loop.post({"instances": loop.instances(1)})[0] == 200
