"""Whether what served, continued, did better than new models, beyond chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from everloop.documents.probe import ProbeDocument
from everloop.retraining.probe.serving import Serving
from everloop.retraining.probe.warm import reason_for_warm, warm_lead
from everloop.retraining.probe.weigh import weigh
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document

BETTER = [0.45, 0.46, 0.44, 0.45, 0.45, 0.46, 0.44]
CHANCE = [0.3, 0.7, 0.4, 0.6, 0.5, 0.45, 0.54]
WORSE = [0.55, 0.56, 0.54, 0.55, 0.55, 0.56, 0.54]


def weighed(documents: list[ProbeDocument], **training: Any) -> Any:
    retraining = {
        "investment": {"every_days": EVERY_DAYS, "cost_share": 0.1},
        "cooldown_days": 14,
        "quota": {"runs": 4, "days": 60},
    }
    declaration = declare(binary_document(retraining=retraining, training=training or {"warm_start": {}}))
    found = weigh(
        declaration, [(d, f"sha-{i}") for i, d in enumerate(documents)], Serving(1, 1, FIRST),
        as_of=documents[-1]["as_of"],
    )  # fmt: skip
    assert found is not None
    (remedy,) = [r for r in found.document["remedies"] if r["remedy"] == "warm_start"]
    return found, remedy


def served(window: int, **given: Any) -> ProbeDocument:
    """A window in which what served lost a fifth of a window more than a new model, and more with each."""
    return probe_document(window, champion=0.7 + 0.05 * window, **given)


def test_where_it_did_better_beyond_chance_the_training_is_a_warm_start() -> None:
    found, remedy = weighed([served(w, warm=BETTER) for w in range(4)])
    assert found.warm is not None
    assert found.warm.code == "warm_start_leads"
    assert "their probes lost 0.05 loss less a row" in found.warm.sentence
    assert found.investment.retrain
    assert remedy["proposed"]
    # THEN it saves what a training does, and what it did better
    assert remedy["gain"] == pytest.approx(found.investment.next_regret + 0.05)
    assert remedy["cost"] == found.document["cost"]
    assert "0.05 log_loss of a window less than a new model, on average over 4 windows" in remedy["reason"]
    assert "beyond chance: trainings are warm starts" in remedy["reason"]


@pytest.mark.parametrize("warm", [CHANCE, WORSE])
def test_where_that_may_be_chance_or_it_did_worse_it_is_none(warm: list[float]) -> None:
    found, remedy = weighed([served(w, warm=warm) for w in range(4)])
    assert found.warm is None
    assert not remedy["proposed"]
    assert remedy["gain"] is not None


def test_what_older_windows_said_does_not_hide_that_the_newest_one_was_left_out() -> None:
    sampled = {"warm start of version 1": "the fresh probe learned from a sample, and that version from all rows"}
    found, remedy = weighed([*(served(w, warm=BETTER) for w in range(4)), served(4, left_out=sampled)])
    assert found.warm is not None
    assert "on average over 4 windows" in remedy["reason"]
    assert remedy["reason"].endswith(f"Not measured in the newest window: {sampled['warm start of version 1']}.")


def test_a_training_that_does_not_pay_is_not_proposed_as_a_warm_start() -> None:
    found, remedy = weighed([probe_document(w, warm=BETTER, champion=0.5) for w in range(4)])
    assert not found.investment.retrain
    assert not remedy["proposed"]


def test_why_it_is_not_known_is_said() -> None:
    assert weighed([served(0)])[1]["reason"] == "No warm start has been measured yet."
    left_out = {"warm start of version 1": "it is too late."}
    assert weighed([served(0, left_out=left_out)])[1]["reason"].endswith("it is too late.")
    undeclared = weighed([served(0, warm=BETTER)], seed=3)
    assert (undeclared[0].warm, undeclared[1]["gain"]) == (None, None)
    assert "training.warm_start declares it" in undeclared[1]["reason"]


@pytest.mark.slow
def test_chance_alone_is_hardly_ever_taken_for_a_lead() -> None:
    """Over six windows in which both lose alike, with days that differ as days do."""
    rng = np.random.default_rng(11)
    taken = 0
    for _ in range(400):
        days = rng.normal(0.5, 0.03, (6, EVERY_DAYS))
        documents = [probe_document(w, warm=[float(x) for x in days[w]]) for w in range(6)]
        taken += reason_for_warm(warm_lead(documents)) is not None
    assert taken <= 0.05 * 400
