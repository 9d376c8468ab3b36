"""``everloop backtest`` trains a model's own program window by window and says which retrainings would have paid."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from everloop.cli.commands.backtest import backtest
from everloop.model_file.schema import ModelDeclaration
from tests.cli.test_try import people_s_columns
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.synthesis import write_model
from tests.training.scenes import CLASSIFIER, REGRESSOR, rows

# Its fixtures train; another worker would train once more.
pytestmark = pytest.mark.xdist_group("backtest")

VALUE = {"currency": "EUR", "false_positive_cost": 4, "false_negative_cost": 20, "true_positive_value": 12}


def changing(declaration: ModelDeclaration, change_day: int | None) -> pd.DataFrame:
    """A hundred rows a day for 60 days; from a day on, which line runs late turns over."""
    frame = rows(declaration, 6000, 0, 1)
    if change_day is not None:
        late = np.arange(len(frame)) >= 100 * change_day
        other = frame["line"].map({"north": "south", "south": "north"})
        frame["line"] = frame["line"].where(~late, other)
    return people_s_columns(frame, declaration)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    gate = {"policy": "not_worse", "margin": 0.05, "confidence": 0.8}
    write_model(folder, binary_document(problem={"value": VALUE}, gate=gate, retraining={"schedule_days": 15}))
    (folder / "late_train" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "history.csv"
    changing(declare(binary_document()), 35).to_csv(file, index=False)
    return file


def ran(models: Path, model: str, *arguments: Any) -> Result:
    return CliRunner().invoke(backtest, [model, *map(str, arguments), "--models-directory", str(models)])


@pytest.fixture(scope="module")
def found(models: Path, history: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The document and the page of one backtest."""
    html = tmp_path_factory.mktemp("page") / "page.html"
    knobs = ["--history-days", 15, "--window-days", 3, "--retraining-cost", 50, "--request-rows", 1]
    knobs += ["--html", html, "--json"]
    ended = ran(models, "late_train", "--data", history, *knobs)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout), html.read_text(encoding="utf-8")


def policy(document: dict[str, Any], name: str, recalibrated: bool = True) -> dict[str, Any]:
    return next(p for p in document["policies"] if (p["policy"], p["recalibrated"]) == (name, recalibrated))


def test_the_history_is_cut_as_asked(found: tuple[dict[str, Any], str]) -> None:
    document, _ = found
    shape = document["shape"]
    assert (shape["windows"], shape["window_days"], shape["history_days"]) == (15, 3, 15)
    assert (shape["rows"], shape["rows_taken"], shape["first_day"]) == (6000, 6000, "2013-01-01")
    assert {len(curve) for curve in document["curves"].values()} == {15}
    assert (document["unit"], document["retraining_cost"]) == ("EUR", 50)


def test_the_money_is_that_of_the_declaration(found: tuple[dict[str, Any], str]) -> None:
    document, _ = found
    frozen, always = policy(document, "never"), policy(document, "always")
    # THEN never costs what its predictions cost, and always also fourteen retrainings
    assert frozen["retrainings"] == 0
    assert always["retrainings"] == 14
    assert always["cost"] - always["excess"] == pytest.approx(frozen["cost"] - frozen["excess"])
    assert always["excess"] == pytest.approx(14 * 50)


def test_a_change_is_answered_and_hindsight_is_cheapest(found: tuple[dict[str, Any], str]) -> None:
    document, _ = found
    best = policy(document, "hindsight optimum")
    for p in document["policies"]:
        if p["recalibrated"] and p["policy"] not in ("investment", "hindsight optimum"):
            assert p["cost"] >= best["cost"] - 1e-6, p["policy"]
    ours, frozen = policy(document, "investment"), policy(document, "never")
    assert ours["retrainings"] >= 1
    assert ours["cost"] < frozen["cost"]
    assert ours["metric"] < frozen["metric"]


def test_the_recommendation_was_chosen_before_the_part_that_is_held_back(found: tuple[dict[str, Any], str]) -> None:
    document, _ = found
    judged = document["judgement"]
    assert judged["first_held_back"] == 10
    assert judged["chosen"] == min(
        (p for p in judged["before"] if p != "hindsight optimum"), key=lambda p: judged["before"][p]["cost"]
    )
    advice = document["recommendation"]
    assert any("cost least until 2013-02-15" in reason for reason in advice["reasons"])
    assert any("95% interval" in reason for reason in advice["reasons"])
    assert any("a threshold of 0.11 costs least" in reason for reason in advice["reasons"])


def test_the_page_needs_nothing_beside_it(found: tuple[dict[str, Any], str]) -> None:
    document, html = found
    for word in ("<script", "http://", "https://", "src=", "<link"):
        assert word not in html
    pictures = [f"<svg{part.split('</svg>')[0]}</svg>" for part in html.split("<svg")[1:]]
    # THEN the curves and the costs, and between them what the probes of each investment said
    assert len(pictures) == 4
    curves, *weighed, bars = (ElementTree.fromstring(picture) for picture in pictures)
    for picture, loop in zip(weighed, document["deployed"][-2:], strict=True):
        assert [len(line.attrib["points"].split()) for line in picture.iter("polyline")] == [len(loop["weighed"])] * 2
    lines = [line.attrib["points"].split() for line in curves.iter("polyline")]
    assert [len(points) for points in lines] == [15, 15, 15, 15]
    # AND every policy has a bar with and without recalibration, the loop as deployed one
    assert len(list(bars.iter("rect"))) == len(document["policies"])
    for reason in document["recommendation"]["reasons"]:
        assert reason.split("(")[0].replace("'", "&#x27;") in html


def test_the_declaration_is_lived_through_as_it_is_deployed(found: tuple[dict[str, Any], str]) -> None:
    document, html = found
    this_one = document["deployed"][0]
    assert this_one["policy"] == "this one"
    first, *later = this_one["runs"]
    assert (first["at"], first["trigger"], first["version"]) == ("2013-01-16T00:00:00Z", "first", 1)
    assert first["promoted_at"] == first["at"]
    # THEN a training starts with the first window that is due, and the next as long after it
    assert [(run["at"][:10], run["trigger"]) for run in later] == [
        ("2013-01-31", "schedule"),
        ("2013-02-15", "schedule"),
    ]
    assert all("a training every 15 days is declared" in run["reason"] for run in later)
    assert {run["verdict"] for run in later} == {"pass", "fail"}
    for run in later:
        assert bool(run["against"]) == (run["verdict"] == "fail")
        assert run["at"][:10] in html
    # AND each training costs, whatever the gate says of it
    told = policy(document, "this one")
    assert told["retrainings"] == len(later)
    assert told["metric"] == this_one["metric"] < this_one["raw_metric"]
    assert len(this_one["curve"]) == 15
    assert any("Simulated as deployed" in reason for reason in document["recommendation"]["reasons"])
    # AND where the schedule does not pay as deployed, nothing of it is there to be pasted
    advice = document["recommendation"]
    assert advice["kept"] == (advice["lines"][-1] == "# retraining: keep it as it is")


def test_other_ways_to_retrain_are_lived_through_with_their_probes(found: tuple[dict[str, Any], str]) -> None:
    document, html = found
    loops = {loop["policy"]: loop for loop in document["deployed"]}
    assert list(loops)[-2:] == ["this one, as an investment", "this one, with training spans"]
    for name in list(loops)[-2:]:
        loop = loops[name]
        # THEN every window has its probe, but for the last ones, whose labels are out
        assert loop["probes"] in (13, 14)
        assert loop["probes_failed"] == []
        assert len(loop["weighed"]) == loop["probes"]
        assert all(each["unit"] == "EUR" and each["cost"] == 50 for each in loop["weighed"])
        assert all(run["trigger"] != "schedule" for run in loop["runs"])
        assert policy(document, name)["retrainings"] == len(loop["runs"]) - 1
        assert policy(document, name)["metric"] == loop["metric"]
        assert len(loop["curve"]) == 15
    chosen = [run["learned_from"] for run in loops["this one, with training spans"]["runs"]]
    assert chosen[0] == "All rows: no probe of a shorter span has been measured yet."
    assert not any(run["learned_from"] for run in loops["this one, as an investment"]["runs"])
    # AND what they would have saved is told, and that probes are not counted in euros
    assert sum("as an investment" in reason for reason in document["recommendation"]["reasons"]) >= 2
    assert any("What their jobs cost is not counted in EUR" in told for told in document["not_known"])
    assert "fresh probes measured" in html


def test_what_is_recommended_can_be_pasted(found: tuple[dict[str, Any], str]) -> None:
    document, _ = found
    gate = {"policy": "not_worse", "margin": 0.05, "confidence": 0.8}
    declared = binary_document(problem={"value": VALUE}, gate=gate, retraining={"schedule_days": 15})
    pasted = yaml.safe_load("\n".join(document["recommendation"]["lines"]))
    for section, settings in (pasted or {}).items():
        declared[section] = {**declared[section], **(settings or {})}
    declare(declared)
    # Windows are of three days, and a test part of seven.
    assert document["recommendation"]["settings"]["schedule_days"] >= 9
    assert document["recommendation"]["kept"] or pasted["retraining"]["schedule_days"] >= 9
    assert any("Of all schedules of 7 days or more" in reason for reason in document["recommendation"]["reasons"])


def test_training_windows_are_compared_with_all_rows(found: tuple[dict[str, Any], str]) -> None:
    document, html = found
    told = document["training_days"]
    assert [(c["days"], c["declared"]) for c in told["choices"]] == [(0, True), (12, False), (24, False)]
    everything, *others = told["choices"]
    assert everything["saves"] is None
    for choice in others:
        # What is saved in the part that was held back is the difference of the means there.
        assert choice["saves"]["mean"] == pytest.approx(everything["after"] - choice["after"])
        assert f"the newest {choice['days']} days" in html
    assert told["chosen"] == min(told["choices"], key=lambda c: c["before"])["days"]
    assert told["reason"] in document["recommendation"]["reasons"]
    assert (document["recommendation"]["lines"][0] == "data:") == bool(told["lines"])


def test_models_of_policies_learn_from_the_span_that_evidence_chose(tmp_path: Path) -> None:
    retraining = {"investment": {}, "cooldown_days": 15, "quota": {"runs": 4, "days": 60}}
    data = {"training_spans": [9], "minimum_rows": 500}
    document = binary_document(problem={"value": VALUE}, retraining=retraining, data=data)
    write_model(tmp_path, document)
    (tmp_path / "late_train" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    # From a day on, what was late is in time.
    frame = changing(declare(document), None)
    turned = np.arange(len(frame)) >= 3500
    frame["late"] = np.where(turned, 1 - frame["late"], frame["late"])
    frame.to_csv(tmp_path / "history.csv", index=False)
    knobs = ["--history-days", 15, "--window-days", 3, "--retraining-cost", 50, "--no-deployed", "--json"]
    ended = ran(tmp_path, "late_train", "--data", tmp_path / "history.csv", *knobs)
    assert ended.exit_code == 0, ended.output
    told = [line.strip() for line in ended.stderr.splitlines() if "begin with a training on" in line]
    assert [line.split(" training on ")[1] for line in told] == ["all rows", "the newest 9 days"]
    assert json.loads(ended.stdout)["training_days"] is None


def test_a_first_candidate_that_does_not_serve_is_told(tmp_path: Path, history: Path) -> None:
    write_model(tmp_path, binary_document(data={"minimum_rows": 3000}))
    (tmp_path / "late_train" / "train.py").write_text(CLASSIFIER, encoding="utf-8")
    ended = ran(tmp_path, "late_train", "--data", history, "--history-days", 20, "--window-days", 10, "--json")
    assert ended.exit_code == 0, ended.output
    document = json.loads(ended.stdout)
    assert document["deployed"] == []
    told = document["not_known"][0]
    assert told.startswith(
        "What this one would have done can't be simulated: the first candidate of 2013-01-21 does not serve"
    )
    assert "at least 3000 are required" in told
    assert "--history-days" in told


def test_what_nobody_could_declare_is_told_and_not_lived_through(models: Path, history: Path) -> None:
    knobs = ["--history-days", 20, "--window-days", 10, "--rows", 2000, "--cooldown-days", 3, "--json"]
    ended = ran(models, "late_train", "--data", history, *knobs)
    assert ended.exit_code == 0, ended.output
    document = json.loads(ended.stdout)
    assert document["deployed"] == []
    assert "it could not be declared: retraining.cooldown_days has to be at least 7" in document["not_known"][0]


def test_people_get_tables_and_the_reasons(models: Path, history: Path) -> None:
    knobs = ["--history-days", 20, "--window-days", 8, "--rows", 2000, "--probe-rows", 300, "--no-deployed"]
    ended = ran(models, "late_train", "--data", history, *knobs)
    assert ended.exit_code == 0, ended.output
    assert "5 windows of 8 days" in ended.output
    assert "For model.yaml:" in ended.output
    assert "Models learned from 2,000 of 6,000 rows" in ended.output
    assert "probe 5 of 5" in ended.output


def test_a_regression_is_counted_in_the_money_of_its_error(tmp_path: Path) -> None:
    document = regression_document()
    write_model(tmp_path, document)
    (tmp_path / document["model"] / "train.py").write_text(REGRESSOR, encoding="utf-8")
    declaration = declare(document)
    frame = changing(declaration, 35)
    file = tmp_path / "history.parquet"
    frame.to_parquet(file, index=False)
    knobs = ["--history-days", 20, "--window-days", 5, "--no-recalibration", "--no-investment"]
    knobs += ["--training-days", 10, "--json"]
    ended = ran(tmp_path, document["model"], "--data", file, *knobs)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found["unit"] == "USD"
    assert not any(p["policy"].startswith("ADWIN") for p in found["policies"])
    assert policy(found, "investment")["metric"] <= policy(found, "never")["metric"]
    assert [c["days"] for c in found["training_days"]["choices"]] == [0, 10]
    # AND the loop is lived through without recalibration, as asked
    this_one = found["deployed"][0]
    assert this_one["calibrations"] == 0
    assert this_one["metric"] == this_one["raw_metric"] == policy(found, "this one", False)["metric"]


def test_the_threshold_that_costs_least_is_tried_with_an_option(models: Path, history: Path) -> None:
    costs, notes = [], []
    for threshold in (0.5, 0.11):
        knobs = ["--history-days", 20, "--window-days", 8, "--threshold", threshold, "--no-deployed", "--json"]
        ended = ran(models, "late_train", "--data", history, *knobs)
        assert ended.exit_code == 0, ended.output
        document = json.loads(ended.stdout)
        costs.append(policy(document, "always")["cost"])
        notes += [reason for reason in document["recommendation"]["reasons"] if "--threshold" in reason]
    assert costs[1] < costs[0]
    assert len(notes) == 1


def test_a_short_history_says_what_it_needs(models: Path, history: Path) -> None:
    ended = ran(models, "late_train", "--data", history, "--history-days", 55, "--window-days", 7)
    assert ended.exit_code != 0
    assert "60 days" in str(ended.exception)
    assert "4 are required" in str(ended.exception)


def test_a_program_that_fails_is_told_with_its_line(models: Path, history: Path, tmp_path: Path) -> None:
    write_model(tmp_path, binary_document())
    (tmp_path / "late_train" / "train.py").write_text(
        "def train(features, target, *, seed, parameters):\n    raise ValueError('no luck')\n", encoding="utf-8"
    )
    ended = ran(tmp_path, "late_train", "--data", history, "--history-days", 20, "--window-days", 8, "--no-deployed")
    assert ended.exit_code != 0
    assert "train.py line 2: ValueError: no luck" in str(ended.exception)
