"""What decisions cost, in the money of the declaration, by what was decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from everloop.cli.output import Output
from everloop.cli.replay.money import money, money_saved
from everloop.cli.replay.picture import MoneySaved, draw_quality
from everloop.cli.replay.report import _money
from everloop.cli.replay.summary import Summary
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present

PRICES = {"currency": "EUR", "false_positive_cost": 4, "false_negative_cost": 20, "true_positive_value": 12}


def answers() -> pd.DataFrame:
    """A hit, a miss, a false alarm and one whose label never came, over two days; the frozen model acts on nothing."""
    times = ["2024-01-01T10:00Z", "2024-01-01T11:00Z", "2024-01-02T10:00Z", "2024-01-02T11:00Z"]
    return pd.DataFrame(
        {
            "time": pd.to_datetime(times),
            "probability": [0.8, 0.3, 0.6, 0.9],
            "raw_score": [0.8, 0.3, 0.4, 0.9],
            "frozen_probability": [0.2, 0.2, 0.2, 0.2],
            "label": [1.0, 1.0, 0.0, None],
        }
    )


@pytest.fixture
def declaration() -> Any:
    return declare(binary_document(problem={"value": PRICES}, serving={"threshold": 0.5}))


def test_each_decision_costs_what_the_declaration_says(declaration: Any) -> None:
    found = money(answers(), declaration)
    assert found is not None
    assert (found["currency"], found["rows"], found["threshold"]) == ("EUR", 3, 0.5)
    # a hit earns 12, a miss costs 20, a false alarm 4: of three rows, told for a thousand
    assert found["cost"] == {
        "frozen": pytest.approx(1000 * (20 + 20 + 0) / 3, abs=1e-4),
        "raw": pytest.approx(1000 * (-12 + 20 + 0) / 3, abs=1e-4),
        "loop": pytest.approx(1000 * (-12 + 20 + 4) / 3, abs=1e-4),
    }
    # AND from where acting pays on, all of them act on every row
    assert found["best_threshold"] == pytest.approx(4 / 36)
    assert set(present(found["cost_at_best"]).values()) == {round(1000 * (-12 - 12 + 4) / 3, 4)}


def test_what_was_saved_adds_up_by_day_to_the_difference(declaration: Any) -> None:
    found = money_saved(answers(), declaration)
    assert found is not None
    assert [str(day.date()) for day in found["date"]] == ["2024-01-01", "2024-01-02"]
    assert (found["raw"].tolist(), found["loop"].tolist()) == ([32.0, 32.0], [32.0, 28.0])


def test_a_regressions_errors_are_priced_by_their_size() -> None:
    frame = answers().assign(prediction=[1.0, 2.0, 3.0, 4.0], frozen_prediction=0.0)
    declaration = declare(regression_document(problem={"value": {"error_cost_per_unit": 2}}))
    found = money(frame, declaration)
    assert found is not None
    assert (found["threshold"], found["best_threshold"], found["cost_at_best"]) == (None, None, None)
    assert found["cost"]["frozen"] == pytest.approx(1000 * 2 * 2 / 3, abs=1e-4)
    assert found["cost"]["loop"] == pytest.approx(1000 * 2 * (0 + 1 + 3) / 3, abs=1e-4)


def test_where_nothing_is_labelled_there_is_no_money(declaration: Any) -> None:
    unlabelled = answers().assign(label=float("nan"))
    assert money(unlabelled, declaration) is None
    assert money_saved(unlabelled, declaration) is None


def test_it_is_drawn_and_told(
    declaration: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Workers of a parallel run say how wide a line is; the table is to be read in whole lines here.
    monkeypatch.delenv("COLUMNS", raising=False)
    found, days = money(answers(), declaration), money_saved(answers(), declaration)
    assert found is not None
    assert days is not None
    daily = pd.DataFrame({"date": days["date"], "loop": 0.7, "raw": 0.6, "frozen": 0.5, "rows": 2})
    words = {"metric": "m", "better": "higher", "loss": "l", "title": "t", "subtitle": "s"}
    with_money, without = tmp_path / "with.png", tmp_path / "without.png"
    drawn = MoneySaved(days, "$\\frac{$", found["cost"])
    draw_quality(daily, days, [], money=drawn, file=with_money, **words)
    draw_quality(daily, days, [], money=None, file=without, **words)
    assert with_money.read_bytes() != without.read_bytes()
    nothing: dict[str, Any] = dict.fromkeys(Summary.__dataclass_fields__)
    _money(Output(False), Summary(**nothing | {"money": found}))
    said = capsys.readouterr().out
    assert "what 1,000 decisions cost in EUR" in said
    assert "13,333.33" in said
    assert "from 0.111 , the best threshold for these prices" in said
