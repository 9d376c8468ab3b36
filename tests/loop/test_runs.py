"""No run without its permissions, and what runs took."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.cli.operations.costs import measured_of
from everloop.cli.operations.training import start_training, verdict_of
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


def test_without_one_permission_the_run_fails_and_says_which(loop: Loop) -> None:
    snapshot = f"everloop-{loop.name}-snapshot"
    champion = loop.store.versions.champion()
    with loop.without_permission(snapshot, "athena:StartQueryExecution"):
        run_id = start_training(loop.account, loop.name, reason="without its permission")
        loop.wait_until(lambda: loop.executions().get(run_id) == "FAILED")
    found = verdict_of(loop.account, loop.name, run_id)
    assert found.status == "failed"
    assert "AccessDenied" in (found.cause or "")
    assert "athena:StartQueryExecution" in (found.cause or "")
    assert loop.store.runs.active() is None
    assert loop.store.versions.champion() == champion
    assert loop.raises("pipeline-failed")
    assert loop.post({"instances": loop.instances(1)})[0] == 200


def test_without_the_permission_to_capture_the_answer_stays_and_the_alarm_rises(loop: Loop) -> None:
    with loop.without_permission(loop.model.predict_function, "firehose:PutRecordBatch"):
        status, answer = loop.post({"instances": loop.instances(1)})
        assert status == 200
        # The row goes out after the answer, and the role has to stay without the permission until then.
        loop.wait_until(lambda: not loop.cloud.running.activity())
    assert loop.raises("faults")
    assert loop.counted("CaptureFallback") == 1
    name = answer["predictions"][0]["prediction_id"]
    assert name not in set(loop.lake_predictions()["prediction_id"])
    # AND it comes out of the log into the lake, where sending it twice does no harm
    run = [CliRunner().invoke(everloop, ["recapture", loop.name, "--json"]) for _ in range(2)]
    assert [json.loads(one.stdout)["rows"] for one in run] == [1, 1]
    loop.advance(minutes=20)
    found = loop.lake_predictions()
    assert set(found["prediction_id"]).issuperset({name})
    assert found[found["prediction_id"] == name].drop_duplicates().shape[0] == 1


def test_what_functions_and_jobs_took_is_measured_for_the_cost(loop: Loop) -> None:
    measured = measured_of(loop.account, loop.name, loop.now())
    assert {"predict", "registry", "run", "snapshot"} <= set(measured.seconds)
    assert all(seconds > 0 for seconds in measured.seconds.values())
    assert measured.job_seconds is not None
