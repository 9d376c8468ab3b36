"""Two weeks of flights through the whole loop, over HTTP, with one retraining while requests are served."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from sklearn.metrics import log_loss, roc_auc_score

from everloop.cli.replay import evidence, summary
from everloop.cli.replay.memory import own_peak_mb
from everloop.documents.window import WindowRecord
from everloop.evaluation.money import row_costs
from everloop.instants import format_instant, instant_text, parse_instant
from everloop.monitoring.counting import count
from everloop.monitoring.detectors.stability import comparable
from everloop.monitoring.divergence import FEWEST_EXPECTED, sampling_p_value
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import SCORE, FeatureReference, Reference
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.declared import windows_late
from everloop.registry.evidence import record_sha256
from everloop.registry.states import State
from everloop.registry.trace import trace, verify_audit
from tests.helpers.present import present
from tests.helpers.rows import each_row
from tests.loop.models import ROOT
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

KIND = "binary_classification"


@pytest.fixture(scope="module")
def predictions(loop: Loop) -> pd.DataFrame:
    return pd.read_parquet(loop.evidence / evidence.PREDICTIONS_FILE)


@pytest.fixture(scope="module")
def windows(loop: Loop) -> pd.DataFrame:
    return pd.read_parquet(loop.evidence / evidence.WINDOWS_FILE)


@pytest.fixture(scope="module")
def told(loop: Loop) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((loop.evidence / evidence.SUMMARY_FILE).read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def references(loop: Loop) -> dict[int, Reference]:
    """What each version is watched against: of the evidence it is no part, but of the version's files."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    keys = {version: loop.store.versions.get(version).artifact_prefix + "profile.json" for version in (1, 2)}
    return {
        version: Reference.from_json(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for version, key in keys.items()
    }


def within(rows: pd.DataFrame, column: str, start: str, end: str) -> pd.DataFrame:
    """The rows whose ``column`` lies from ``start`` on and before ``end``."""
    return rows[(rows[column] >= pd.Timestamp(start)) & (rows[column] < pd.Timestamp(end))]


def mean_loss(rows: pd.DataFrame, column: str) -> float:
    """The gate's metric over labelled rows, by somebody else's code; NaN without any."""
    return float("nan") if rows.empty else log_loss(rows["label"], rows[column], labels=[0.0, 1.0])


def test_nothing_keeps_the_loop_open(told: dict[str, Any]) -> None:
    assert told["open_links"] == []


def test_every_row_was_answered_once(loop: Loop, predictions: pd.DataFrame) -> None:
    assert sorted(predictions["key"]) == sorted(loop.data.stream[loop.declaration.data.key])
    assert predictions["prediction_id"].is_unique
    assert predictions["probability"].between(0, 1).all()


def test_every_answer_was_captured_exactly_as_it_was_given(loop: Loop, predictions: pd.DataFrame) -> None:
    lake = loop.lake_predictions().drop_duplicates("prediction_id").set_index("prediction_id")
    captured = lake.loc[predictions["prediction_id"]]
    for column in ("key", "version", "prediction", "probability", "raw_score"):
        assert captured[column].tolist() == predictions[column].tolist()
    asked = loop.data.stream.set_index(loop.declaration.data.key).loc[captured["key"]]
    for feature in loop.declaration.data.features:
        given, kept = asked[feature.name], captured[feature.name]
        assert ((given.to_numpy() == kept.to_numpy()) | (given.isna().to_numpy() & kept.isna().to_numpy())).all()


def test_every_outcome_joined_its_prediction(loop: Loop, predictions: pd.DataFrame, told: dict[str, Any]) -> None:
    known = predictions[predictions["label"].notna()]
    truth = loop.data.stream.set_index(loop.declaration.data.key)[loop.declaration.data.target].dropna()
    assert known.set_index("key")["label"].to_dict() == truth.to_dict()
    labels = loop.lake_labels()
    arrived = labels[labels["prediction_id"].isin(known["prediction_id"])].sort_values("time")
    first = arrived.drop_duplicates("prediction_id").set_index("prediction_id")["label"]
    assert first.loc[known["prediction_id"]].tolist() == known["label"].tolist()
    assert told["labels_sent"] == told["labels_joined"] == len(known)


def test_every_day_has_its_window(loop: Loop, windows: pd.DataFrame, predictions: pd.DataFrame) -> None:
    days = predictions.groupby(predictions["time"].dt.strftime("%Y-%m-%d")).size()
    rows = windows.set_index(windows["start"].str[:10])["rows"]
    assert windows["end"].is_unique
    assert rows.loc[days.index].tolist() == days.tolist()
    assert windows["drift_evaluated"].any()


def test_every_window_follows_from_the_answers_alone(
    loop: Loop, windows: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    assert loop.declaration.gate.metric == "log_loss"
    day = timedelta(hours=loop.declaration.monitoring.window_hours)
    for window in each_row(windows):
        as_of = pd.Timestamp(window.scheduled_at)
        assert window.rows == len(within(predictions, "time", window.start, window.end)), window.end
        # A label counts once it has arrived; who answered the row does not matter, but for the champion's own loss.
        labelled = within(predictions, "time", window.labelled_start, window.labelled_end)
        labelled = labelled[labelled["label"].notna() & (labelled["label_time"] <= as_of)]
        assert window.labelled_rows == len(labelled), window.end
        own = labelled[labelled["version"] == window.version]
        told = (window.loop_loss, window.frozen_loss, window.loss)
        found = [
            mean_loss(r, c)
            for r, c in ((labelled, "probability"), (labelled, "frozen_probability"), (own, "probability"))
        ]
        assert told == pytest.approx(found, abs=1e-9, nan_ok=True), window.end
        decisions = json.loads(window.profile)["outcomes"]["decisions"]
        acts, late = own["probability"] >= loop.declaration.serving.threshold, own["label"] == 1
        assert (decisions["hits"], decisions["false_alarms"]) == ((acts & late).sum(), (acts & ~late).sum()), window.end
        arrived = predictions["label_time"].between(as_of - day, as_of, inclusive="right").sum()
        assert (window.labels_arrived, window.labels_corrected, window.labels_unmatched) == (arrived, 0, 0), window.end
    # What held for every window was not held by empty ones, nor by one model's answers alone.
    assert windows["labelled_rows"].sum() == predictions["label"].notna().sum()
    apart = (windows["loop_loss"] - windows["frozen_loss"]).abs()
    assert apart[windows["version"] == 2].max() > 1e-4
    assert apart.min() < 1e-9


def test_windows_tell_what_decisions_cost(loop: Loop, windows: pd.DataFrame, predictions: pd.DataFrame) -> None:
    value, threshold = loop.declaration.problem.value, loop.declaration.serving.threshold
    found = [window.record for window in loop.store.windows.latest(len(windows)) if window.record.money]
    assert any(present(record.money)["champion"]["low"] is not None for record in found)
    # The first labelled window of a champion is priced alone.
    record = next(record for record in reversed(found) if present(record.money)["windows"] == 1)
    rows = within(predictions, "time", record.labelled_start.isoformat(), record.labelled_end.isoformat())
    own = rows[(rows["version"] == record.version) & (rows["label_time"] <= record.scheduled_at)]
    costs = row_costs(own["label"].to_numpy(), own["probability"].to_numpy(), value, threshold)
    assert present(record.money)["champion"]["value"] == pytest.approx(1000 * costs.mean())
    assert present(record.money)["currency"] == value.currency


def test_every_window_counts_the_inputs_it_was_judged_by(
    loop: Loop, windows: pd.DataFrame, predictions: pd.DataFrame, references: dict[int, Reference]
) -> None:
    asked = loop.data.stream.set_index(loop.declaration.data.key)
    for window in each_row(windows):
        rows, reference = within(predictions, "time", window.start, window.end), references[window.version]
        profile = json.loads(window.profile)
        assert profile["bins"] == reference.bins_id
        inputs = asked.loc[rows["key"]]
        for feature in loop.declaration.data.features:
            values = inputs[feature.name].to_numpy() if feature.type == "number" else inputs[feature.name].fillna("")
            assert profile["features"][feature.name] == cells(reference.features[feature.name], values), window.end
        # The reference's bins are of what the model said.
        own = rows[rows["version"] == window.version]["raw_score"].to_numpy()
        assert profile["score"] == cells(present(reference.score), own), window.end


def test_the_drift_of_every_window_is_judged_by_the_declared_rule(loop: Loop, windows: pd.DataFrame) -> None:
    declared = loop.declaration.monitoring
    for window in each_row(windows):
        drift = json.loads(window.drift)
        assert window.drift_evaluated == (window.rows >= declared.minimum_rows) == bool(drift), window.end
        assert bool(window.drift_reason) != window.drift_evaluated, window.end
        # Holm: of m p-values the i-th smallest, from 0 on, counts m - i times, and never less than the one before.
        least = 0.0
        for i, one in enumerate(sorted(drift.values(), key=lambda d: d["p_value"])):
            assert 0 <= one["p_value"] <= 1
            assert one["effect"] >= 0
            assert 1 <= one["days"] <= declared.drift_days
            least = max(least, min(1.0, one["p_value"] * (len(drift) - i)))
            assert one["adjusted_p_value"] == pytest.approx(least)
            significant = one["adjusted_p_value"] <= declared.false_alarm_rate
            assert one["alarm"] == (significant and one["effect"] >= declared.minimum_effect), window.end
        assert window.drift_alarm == any(one["alarm"] for one in drift.values()), window.end
    alarms = windows[windows["drift_evaluated"]]["drift_alarm"]
    assert 0 < alarms.sum() < len(alarms), "the rule was seen to say yes and to say no"


def test_the_effects_are_those_of_the_windows_judged_together(
    loop: Loop, windows: pd.DataFrame, references: dict[int, Reference]
) -> None:
    judged = 0
    for place, window in enumerate(each_row(windows)):
        reference = references[window.version]
        named = {**reference.features, SCORE: reference.score}
        for name, one in json.loads(window.drift).items():
            together = windows.iloc[place + 1 - one["days"] : place + 1]
            assert (together["version"] == window.version).all(), "another champion's windows are not judged with it"
            counts = np.sum([in_profile(document, name) for document in together["profile"]], axis=0)
            before = np.array(present(named[name]).counts.cells)
            assert one["effect"] == pytest.approx(stability_index(before, counts)), (window.end, name)
            # Sampling alone is one of two explanations, and the p-value is the likelier one's.
            pooled = comparable(present(named[name]), BinCounts(tuple(counts[:-1].tolist()), int(counts[-1])))
            sampling = sampling_p_value(*pooled)
            both = np.array(pooled)[:, np.sum(pooled, axis=0) > 0]
            found = chi2_contingency(both, correction=False, lambda_="log-likelihood")
            if found.expected_freq.min() >= FEWEST_EXPECTED:
                assert sampling >= found.pvalue - 1e-9, "Williams' correction only takes evidence away"
            assert one["p_value"] >= sampling - 1e-9, (window.end, name)
            judged += 1
    assert judged > len(windows)


def test_every_decision_follows_from_what_is_declared(loop: Loop, windows: pd.DataFrame, told: dict[str, Any]) -> None:
    declared = loop.declaration.retraining
    assert declared.quality is None, "a quality trigger is a cause of its own"
    assert declared.drift is None, "so that drift may alarm and is no cause"
    trainings = [loop.data.starts_at, *(pd.Timestamp(r["at"]) for r in told["retrainings"])]
    asked_for = []
    for window in each_row(windows):
        as_of = pd.Timestamp(window.scheduled_at)
        last = max(at for at in trainings if at < as_of)
        reasons = json.loads(window.reasons)
        if as_of - last < timedelta(days=present(declared.schedule_days)):
            assert (window.decision, codes(reasons)) == ("none", ["no_cause"]), window.end
            assert pd.isna(window.trigger), window.end
        else:
            assert window.trigger == "schedule", window.end
            assert codes(reasons)[0] == "schedule", window.end
            held_back = [] if pd.isna(window.held_back_by) else [window.held_back_by]
            assert codes(reasons)[1:] == held_back, window.end
            assert window.decision == ("held_back" if held_back else "retrain"), window.end
        if window.decision == "retrain":
            asked_for.append((as_of, reasons[0]["sentence"]))
    assert asked_for == [(pd.Timestamp(r["at"]), r["reason"]) for r in told["retrainings"]]


def cells(feature: FeatureReference, values: Any) -> list[int]:
    """How often each bin occurs, and what is missing, last."""
    return list(count(feature.bins, values).cells)


def in_profile(document: str, name: str) -> list[int]:
    profile = json.loads(document)
    numbers: list[int] = profile["score"] if name == SCORE else profile["features"][name]
    return numbers


def stability_index(before: np.ndarray, after: np.ndarray) -> float:
    """The population stability index, half a row added to every cell."""
    p, q = ((n + 0.5) / (n + 0.5).sum() for n in (before, after))
    return float(((p - q) * np.log(p / q)).sum())


def codes(reasons: Sequence[dict[str, str]]) -> list[str]:
    return [reason["code"] for reason in reasons]


def test_the_retraining_that_was_due_was_carried_out(loop: Loop, told: dict[str, Any]) -> None:
    (retraining,) = told["retrainings"]
    assert retraining["trigger"] == "schedule"
    assert retraining["status"] == "succeeded", retraining["reasons"]
    assert [p["version"] for p in told["promotions"]] == [1, 2]
    assert told["champions_at_once"] == 1
    assert told["rollbacks"] == []
    assert loop.store.versions.get(1).state == State.RETIRED


def test_what_served_had_learned_from_the_test_days_and_its_sibling_stands_beside_it(
    loop: Loop, told: dict[str, Any]
) -> None:
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket

    def read(version: int, name: str) -> bytes:
        key = loop.store.versions.get(version).artifact_prefix + name
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    for number in (1, 2):
        found = trace(loop.store, number)
        snapshot = present(found.snapshot).document
        assert found.version.serves_refit, found.version.refit
        assert all(reason["passed"] for reason in found.version.refit["reasons"])
        record, before = (json.loads(read(number, name)) for name in ("training.json", "evaluated/training.json"))
        assert (record["refit"], before["refit"]) == (True, False)
        assert record["rows"]["train"] == snapshot["rows"]["train"] + snapshot["rows"]["test"]
        assert before["rows"]["train"] == snapshot["rows"]["train"]
        # The gate's report is about the sibling's bytes, and the manifest fixes both.
        report = json.loads(read(number, "report.json"))
        evaluated = hashlib.sha256(read(number, "evaluated/model.onnx")).hexdigest()
        assert report["files"]["model.onnx"] == evaluated == found.origin.evaluated_sha256
        assert hashlib.sha256(read(number, "model.onnx")).hexdigest() == found.origin.serving_sha256 != evaluated
        files = json.loads(read(number, "manifest.json"))["files"]
        assert files["evaluated/model.onnx"]["sha256"] == evaluated
        origin = found.origin
        assert (origin.learned_until, origin.evaluated_after) == (snapshot["time_range"][1], snapshot["boundary"])
    assert [one["serves"] for one in told["serving"]] == ["refit", "refit"]


def test_a_champion_was_compared_on_what_it_had_not_learned_from(loop: Loop) -> None:
    first, second = trace(loop.store, 1), trace(loop.store, 2)
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    key = second.version.artifact_prefix + "report.json"
    report = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert pd.Timestamp(report["champion_learned_until"]) == pd.Timestamp(present(first.origin.learned_until))
    assert 0 < report["champion_rows"] <= report["rows"]


def could_be_known(loop: Loop, record: WindowRecord, first_day: datetime) -> bool:
    """Whether all that the monitor had learned by a window could be known when the first compared day began.

    The gate counts a label as known at the end of a window, the monitor as soon as it is there: where a state waits
    for fewer windows than the gate does, its labels have to be so much older.
    """
    late = windows_late(loop.declaration)
    waits = timedelta(0) if present(present(record.recalibration)["state"])["delay"] == late else timedelta(days=late)
    return record.labelled_end <= first_day - waits


def test_a_champion_was_compared_as_it_was_served(loop: Loop) -> None:
    """By recalibrated scores, from the state that the monitor had recorded before the first compared day."""
    second = loop.store.versions.get(2)
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    report = json.loads(s3.get_object(Bucket=bucket, Key=second.artifact_prefix + "report.json")["Body"].read())
    served, how = report["as_served"], report["as_served"]["recalibrated"]
    learned_until = parse_instant(report["champion_learned_until"])
    later = {d["day"]: d["rows"] for d in report["quality_over_days"] if d["day"] > f"{learned_until:%Y-%m-%d}"}
    # The day that the champion learned some of counts where rows of it are left to compare on.
    whole = sum(later.values()) == report["champion_rows"]
    first_day = parse_instant(f"{min(later) if whole else f'{learned_until:%Y-%m-%d}'}T00:00:00Z")
    known = [
        w
        for w in loop.store.windows.newest_first()
        if w.record.recalibration and w.record.recalibration["state"] and could_be_known(loop, w.record, first_day)
    ]
    assert how["window_end"] == (instant_text(known[0].end) if known else None)
    assert how["window_sha256"] == (record_sha256(known[0]) if known else None)
    assert served["champion"] != report["champion"]
    judged = {r["code"]: r for r in second.gate["reasons"]}
    assert f"{report['paired']['champion']['difference']:+.4g}" in judged["champion_scores"]["sentence"]
    told = next(r for code, r in judged.items() if code.endswith("_than_champion"))
    assert (
        f", as served, the candidate's log_loss minus the champion's is {served['paired']['difference']:+.4g}"
        in (told["sentence"])
    )


def test_a_version_awaits_its_own_labels_until_a_window_holds_some(loop: Loop, windows: pd.DataFrame) -> None:
    own = trace(loop.store, 1).own_labels
    profiles = [(w.end, json.loads(w.profile)["outcomes"]["rows"]) for w in each_row(windows) if w.version == 1]
    counted = [(end, rows) for end, rows in profiles if rows]
    judged = ("judged", counted[0][0], sum(rows for _, rows in counted))
    assert (own.state, format_instant(present(own.since)), own.rows) == judged


def test_the_frozen_model_is_the_first_champion_as_it_served(loop: Loop, told: dict[str, Any]) -> None:
    first = trace(loop.store, 1)
    frozen = told["frozen_model"]
    assert (frozen["version"], frozen["kind"]) == (1, "refit")
    assert frozen["model_sha256"] == first.version.files["model.onnx"]["sha256"]
    # None of the rows it is held against had it learned from.
    assert pd.Timestamp(frozen["learned_until"]) < loop.data.stream["time"].min()


def test_the_canary_served_beside_the_champion(predictions: pd.DataFrame, told: dict[str, Any]) -> None:
    promoted = pd.Timestamp(told["promotions"][1]["at"])
    by_version = predictions.sort_values("time").groupby("version")["time"]
    first, last = by_version.min(), by_version.max()
    assert first[2] < promoted
    assert first[2] < last[1], "both versions answered while the traffic shifted"
    assert last[1] <= promoted + timedelta(hours=1)
    assert predictions["version"].isin([1, 2]).all()


def test_the_audit_chain_is_intact(loop: Loop, told: dict[str, Any]) -> None:
    assert told["audit"]["intact"]
    verdict = verify_audit(loop.store)
    assert verdict.sound, verdict.problems
    assert verdict.chain.records >= told["audit"]["records"]


def test_the_summary_follows_from_the_evidence_alone(
    told: dict[str, Any], predictions: pd.DataFrame, windows: pd.DataFrame
) -> None:
    whole = summary.quality(predictions, KIND)
    again = {
        "rows_served": len(predictions),
        "frozen": whole["frozen"],
        "raw": whole["raw"],
        "loop": whole["loop"],
        "months": summary.by_month(predictions, KIND),
        "drift_windows": summary.drift_windows(windows),
    }
    for name, value in again.items():
        assert json.loads(json.dumps(value)) == told[name], name
    assert told["predictions_captured"] == len(predictions)
    assert told["drift_windows"]["recorded"] == len(windows)


def test_the_memory_told_is_the_peak_of_the_cloud_and_of_the_replay(loop: Loop, told: dict[str, Any]) -> None:
    # Peaks only grow, so what they are by now is the most that can have been told.
    now = loop.cloud.running.memory()["peak_mb"] + own_peak_mb()
    assert 100 < told["peak_memory_mb"] <= now + 1
    assert now <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def test_the_set_up_told_is_what_the_set_up_recorded(told: dict[str, Any]) -> None:
    record = ROOT / ".venv" / "setup.json"
    recorded = json.loads(record.read_text(encoding="utf-8"))["seconds"] if record.is_file() else None
    assert told["setup_seconds"] == recorded, "a clone whose environment somebody else made has none to tell"
    assert recorded is None or recorded > 0
    assert 0 < told["wall_seconds"] < 3600


def test_the_quality_told_is_that_of_other_peoples_metrics(told: dict[str, Any], predictions: pd.DataFrame) -> None:
    known = predictions[predictions["label"].notna()]
    for model, column in (("loop", "probability"), ("raw", "raw_score"), ("frozen", "frozen_probability")):
        scores = known[column]
        assert told[model]["roc_auc"]["value"] == pytest.approx(roc_auc_score(known["label"], scores), abs=1e-9)
        assert told[model]["log_loss"]["value"] == pytest.approx(log_loss(known["label"], scores), abs=1e-9)


def test_the_frozen_model_is_the_first_champion(predictions: pd.DataFrame) -> None:
    apart = (predictions["raw_score"] - predictions["frozen_probability"]).abs()
    assert apart[predictions["version"] == 1].max() < 1e-9, "sums differ in their last bits with the batch"
    assert apart[predictions["version"] == 2].max() > 1e-3


def test_what_was_served_is_what_was_said_and_its_calibration(loop: Loop, predictions: pd.DataFrame) -> None:
    published = {c.name: c for number in (1, 2) for c in loop.store.calibrations.of(number)}
    assert published, "days of labels taught nothing"
    plain = predictions[predictions["calibration"].isna()]
    assert plain["raw_score"].tolist() == plain["probability"].tolist()
    served = predictions[predictions["calibration"].notna()]
    assert not served.empty
    for name, rows in served.groupby("calibration"):
        record = published[str(name)]
        assert set(rows["version"]) == {record.version}
        found = Calibration.from_text(record.calibration).apply(rows["raw_score"].to_numpy())
        assert rows["probability"].to_numpy() == pytest.approx(found, abs=1e-12)
        # Nothing was served before it was published.
        assert (rows["time"] >= pd.Timestamp(record.at)).all()


def test_the_picture_is_there(loop: Loop) -> None:
    assert (loop.evidence / evidence.PICTURE_FILE).read_bytes().startswith(b"\x89PNG")
