"""What probes on record say of a retraining."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from everloop.documents.investment import REMEDIES, InvestmentDocument
from everloop.documents.probe import ProbeDocument
from everloop.retraining.investment import Ageing, Regret
from everloop.retraining.probe.serving import Serving
from everloop.retraining.probe.weigh import Weighed, forecast, weigh
from everloop.retraining.probe.worth import worth_of
from everloop.typed_json import as_json, read_as
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document

LENGTH = timedelta(days=EVERY_DAYS)
SERVING = Serving(1, 1, FIRST + timedelta(days=1), frozenset({2, 3}))


def weighed(
    documents: list[ProbeDocument], *, windows: float | None = None, serving: Serving = SERVING, **changes: Any
) -> Weighed:
    """Weighed a day and a half after the newest window, or ``windows`` after the first one began."""
    found = weigh(
        declaration(**changes),
        [(document, f"sha-{i}") for i, document in enumerate(documents)],
        serving,
        as_of=FIRST + (len(documents) if windows is None else windows) * LENGTH + timedelta(hours=30),
    )
    assert found is not None
    return found


def declaration(*, recalibration: object = None, value: dict[str, Any] | None = None, **investment: Any) -> Any:
    retraining = {
        "investment": {"every_days": EVERY_DAYS, **({"cost_share": 0.1} | investment if value is None else investment)},
        "cooldown_days": 14,
        "quota": {"runs": 4, "days": 60},
    }
    document = binary_document(
        retraining=retraining, **({} if recalibration is None else {"recalibration": recalibration})
    )
    if value is not None:
        document["problem"]["value"] = value
    return declare(document)


def ageing_by(step: float, windows: int = 5) -> list[ProbeDocument]:
    """Probes of which each window of age costs ``step``, and a champion that ages alike."""
    return [
        probe_document(w, past={age: 0.5 + age * step for age in range(1, w + 1)}, champion=0.5 + w * step)
        for w in range(windows)
    ]


def remedy(document: InvestmentDocument, name: str) -> Any:
    (found,) = [r for r in document["remedies"] if r["remedy"] == name]
    return found


def test_what_ages_is_trained_again_and_what_does_not_is_kept() -> None:
    ages, stays = weighed(ageing_by(0.03)), weighed(ageing_by(0.0))
    assert ages.investment.retrain
    assert not stays.investment.retrain
    found = ages.document
    assert found["ageing"] == pytest.approx([0, 0.03, 0.06, 0.09, 0.12])
    assert (found["age"], found["unit"]) == (5, "log_loss of a window")
    assert found["cost"] == pytest.approx(0.05)
    assert found["regret"]["total"] == pytest.approx(0.03 + 0.06 + 0.09 + 0.12)
    assert found["regret"]["windows"] == 5
    assert remedy(found, "retrain")["proposed"]
    assert "Since its training version 1 lost 0.3 log_loss of a window" in found["reasons"][0]["sentence"]
    assert not remedy(stays.document, "retrain")["proposed"]


def test_the_document_is_what_its_reader_takes_and_names_what_it_rests_on() -> None:
    found = weighed(ageing_by(0.03)).document
    assert read_as(InvestmentDocument, as_json(found), "investment", "none") == found
    assert [p["sha256"] for p in found["probes"]] == ["sha-0", "sha-1", "sha-2", "sha-3", "sha-4"]
    assert [r["remedy"] for r in found["remedies"]] == list(REMEDIES)


def test_that_probes_know_no_groups_is_told_where_some_are_declared() -> None:
    plain, apart = weighed(ageing_by(0.03)), weighed(ageing_by(0.03), recalibration={"by": "line"})
    told = "The champion's is by line. Probes and older versions are recalibrated for all rows together"
    assert told in remedy(apart.document, "recalibrate")["reason"]
    assert told not in remedy(plain.document, "recalibrate")["reason"]


def test_windows_that_another_version_answered_are_no_regret_of_the_champion() -> None:
    documents = [
        probe_document(0, champion=0.9, version=0),
        probe_document(1, champion=0.9, own=0.4),
        probe_document(2, champion=0.5),
        probe_document(3, champion=0.52),
    ]
    regret = weighed(documents).document["regret"]
    assert regret["total"] == pytest.approx(0.02)
    assert regret["windows"] == 2


def test_a_champion_that_is_cheaper_than_a_probe_is_put_level_with_it() -> None:
    documents = [probe_document(w, champion=0.4 + 0.01 * w) for w in range(3)]
    assert weighed(documents).document["regret"]["total"] == pytest.approx(0.03)


def test_while_labels_are_out_the_regret_is_forecast_and_less_certain() -> None:
    documents = ageing_by(0.01)
    known, late = weighed(documents).document, weighed(documents, windows=8).document
    assert known["forecast"] == known["regret"]
    assert late["age"] == 8
    # Three windows without labels, in which it was 5, 6 and 7 windows old.
    assert late["forecast"]["total"] == pytest.approx(late["regret"]["total"] + 0.05 + 0.06 + 0.07)
    assert late["forecast"]["windows"] == late["regret"]["windows"] + 3
    assert late["next_regret"] == pytest.approx(0.08)


def test_the_error_of_a_forecast_is_how_far_probes_lay_from_their_ageing() -> None:
    staleness = np.array([[0, np.nan], [0, 0.1], [0, 0.3]])
    told = forecast(Regret(1.0, 0.0, 3), Ageing(np.array([0, 0.2]), 3), staleness, age=2, missing=1)
    assert told == {"total": pytest.approx(1.2), "error": pytest.approx(0.1), "windows": 4}


def test_a_single_probe_says_too_little() -> None:
    found = weighed(ageing_by(0.5, windows=1))
    assert not found.investment.retrain
    assert found.investment.reasons[0].code == "investment_unknown"


def test_without_probes_or_with_none_that_fits_nothing_is_weighed() -> None:
    others = [probe_document(0, metric="brier"), probe_document(1, rows=[0] * EVERY_DAYS)]
    for documents in ([], others):
        pairs = [(document, "sha") for document in documents]
        assert weigh(declaration(), pairs, SERVING, as_of=FIRST + LENGTH) is None
    assert weigh(declare(binary_document()), [(probe_document(0), "sha")], SERVING, as_of=FIRST + LENGTH) is None


def test_with_prices_it_is_weighed_in_money_over_all_rows() -> None:
    prices = {"currency": "EUR", "false_positive_cost": 1.0, "false_negative_cost": 3.0}
    documents = [
        probe_document(w, past={1: 0.52} if w else {}, champion=0.5, money=True, window_rows=1400) for w in range(3)
    ]
    found = weighed(documents, value=prices, cost=30.0).document
    assert (found["unit"], found["cost"]) == ("EUR", 30.0)
    # 1,400 rows, ten a unit of loss.
    assert found["ageing"][1] == pytest.approx(0.02 * 10 * 1400)
    threshold = remedy(found, "threshold")
    assert threshold["gain"] == pytest.approx((0.5 - 0.4) * 10 * 1400)
    assert threshold["proposed"]
    assert "a threshold of 0.25 costs least" in threshold["reason"]


@pytest.mark.parametrize(
    ("value", "investment", "money", "price"),
    [
        ({"false_positive_cost": 1.0, "false_negative_cost": 2.0}, {}, True, 2.0),
        ({"false_positive_cost": 1.0, "false_negative_cost": 2.0, "currency": "EUR"}, {}, False, 0.1),
        ({"false_positive_cost": 1.0, "false_negative_cost": 2.0}, {"cost": 7.0}, True, 7.0),
        ({"false_positive_cost": 1.0, "false_negative_cost": 2.0}, {"cost_share": 0.3}, False, 0.3),
    ],
)
def test_what_a_retraining_costs(value: dict[str, Any], investment: dict[str, Any], money: bool, price: float) -> None:
    declared = declaration(value=value, **investment)
    found = worth_of(declared, declared.retraining.investment)
    assert (found.money, found.price) == (money, price)


def test_an_older_version_that_clearly_lost_less_is_proposed_before_a_training() -> None:
    newest: dict[str, Any] = {"champion": [0.6, 0.61, 0.59, 0.6, 0.62, 0.6, 0.6], "versions": {3: 0.62, 2: 0.5}}
    documents = [*[probe_document(w, champion=0.6) for w in range(2)], probe_document(2, fresh=0.6, **newest)]
    found = remedy(weighed(documents).document, "older_version")
    assert found["proposed"]
    assert found["gain"] == pytest.approx(np.mean(newest["champion"]) - 0.5)
    assert "Version 2 would have lost 0.103" in found["reason"]


def test_an_older_version_whose_lead_may_be_chance_is_not() -> None:
    newest: dict[str, Any] = {"champion": [0.6, 0.4, 0.7, 0.3, 0.6, 0.4, 0.6], "versions": {2: 0.5}}
    found = remedy(weighed([probe_document(0, **newest)]).document, "older_version")
    assert not found["proposed"]
    assert "which may be chance" in found["reason"]


def test_a_version_that_may_not_come_back_is_not_proposed() -> None:
    newest = probe_document(2, fresh=0.6, champion=0.6, versions={3: 0.62, 2: 0.5, 4: 0.4})
    documents = [*[probe_document(w, champion=0.6) for w in range(2)], newest]
    older = weighed(documents).older
    assert older is not None
    assert older.version == 2
    found = weighed(documents, serving=replace(SERVING, restorable=frozenset()))
    assert found.older is None
    told = remedy(found.document, "older_version")["reason"]
    assert told.startswith("No other version that has served, and may come back")


def test_what_another_champion_answered_says_nothing_of_this_one() -> None:
    """GIVEN a window that version 1 answered, and version 2 serves since."""
    documents = [probe_document(w, champion=0.9, versions={3: 0.5}) for w in range(3)]
    found = weighed(documents, serving=replace(SERVING, version=2, newest=2, restorable=frozenset({1, 3})))
    assert found.older is None
    told = remedy(found.document, "older_version")["reason"]
    assert told == "Version 2 answered less than half of the newest window."


def test_where_an_older_version_serves_again_the_newest_one_has_age_and_regret() -> None:
    """GIVEN version 2, the newest, which ages; AND version 1, which is back and answers as well as a fresh probe."""
    documents = [
        probe_document(0, champion=0.5, version=2, versions={1: 0.9}),
        probe_document(1, champion=0.55, version=2, versions={1: 0.9}),
        probe_document(2, champion=0.5, version=1, versions={2: 0.58}),
        probe_document(3, champion=0.5, version=1, versions={2: 0.61}),
    ]
    found = weighed(documents, serving=Serving(1, 2, FIRST + timedelta(days=1), frozenset({2})))
    assert (found.document["newest_version"], found.document["age"]) == (2, 4)
    assert found.document["regret"]["windows"] == 4
    assert found.document["regret"]["total"] == pytest.approx(0.05 + 0.08 + 0.11)
    # What serves is held against the others, the newest among them.
    assert "Version 2 would have lost 0.11" in remedy(found.document, "older_version")["reason"]
    assert found.older is None


def test_the_newest_version_may_come_back_too() -> None:
    newest: dict[str, Any] = {"champion": [0.6, 0.61, 0.59, 0.6, 0.62, 0.6, 0.6], "version": 1, "versions": {2: 0.5}}
    back = Serving(1, 2, FIRST + timedelta(days=1), frozenset({2}))
    found = weighed([probe_document(w, fresh=0.6, **newest) for w in range(2)], serving=back)
    assert found.older is not None
    assert found.older.version == 2


def test_where_nothing_is_lost_nothing_can_be_saved() -> None:
    """A tenth of nothing is no price, and the monitor goes on."""
    found = weighed([probe_document(w, fresh=0.0, champion=0.0) for w in range(4)])
    assert not found.investment.retrain
    assert found.document["reasons"][0]["code"] == "investment_nothing_lost"


def test_a_shorter_memory_is_proposed_where_it_clearly_lost_less_over_several_windows() -> None:
    def of(documents: list[ProbeDocument]) -> Any:
        return remedy(weighed(documents, recent_days=30).document, "retrain_on_window")

    better = of([probe_document(w, spans={30: [0.45, 0.46, 0.44, 0.45, 0.45, 0.46, 0.44]}) for w in range(6)])
    assert better["proposed"]
    assert better["gain"] == pytest.approx(0.05)
    assert "over 4 windows, significantly: declare data.training_window_days" in better["reason"]
    chance = of([probe_document(w, spans={30: [0.3, 0.7, 0.4, 0.6, 0.5, 0.45, 0.54]}) for w in range(6)])
    assert not chance["proposed"]
    assert "significantly" not in chance["reason"]
    assert "has been measured yet" in of([probe_document(0)])["reason"]
    undeclared = remedy(weighed([probe_document(0)]).document, "retrain_on_window")
    assert "recent_days has probes trained that tell" in undeclared["reason"]
