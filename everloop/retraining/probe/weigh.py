"""Weighs a retraining by the probes on record: the champion's regret and this model's ageing against the cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from everloop.documents.investment import InvestmentDocument, RegretDocument, RemedyDocument, WeighedProbe
from everloop.documents.probe import ProbeDocument
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.retraining.decision import OlderVersion
from everloop.retraining.investment import Ageing, Facts, Investment, Regret, invest
from everloop.retraining.probe.remedies import remedies
from everloop.retraining.probe.serving import Serving, own_rows
from everloop.retraining.probe.warm import reason_for_warm, warm_lead
from everloop.retraining.probe.worth import Worth, worth_of

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

MOST_WEIGHED = 40
"""Newest probes that are weighed: an older one counts next to nothing for ageing, and no champion is that old."""


@dataclass(frozen=True)
class Weighed:
    """The decision, and what is recorded of it; ``older`` is the version to bring back, None where there is none.

    ``warm`` is why a training is to be a warm start; None where it is to learn in full.
    """

    investment: Investment
    document: InvestmentDocument
    older: OlderVersion | None = None
    warm: Reason | None = None


def weigh(
    declaration: ModelDeclaration,
    probes: Sequence[tuple[ProbeDocument, str]],
    serving: Serving,
    *,
    as_of: datetime,
    raw_less_served: float | None = None,
) -> Weighed | None:
    """Whether a retraining pays now; None where none is declared an investment, or no probe is there yet.

    Parameters
    ----------
    probes : sequence of (ProbeDocument, str)
        In any order, each with the hash of its record. Those of another metric, or without money where money is
        weighed, are left out.
    raw_less_served : float, optional
        What a row lost less, on average, because its score was recalibrated; for the table of remedies.
    """
    investment = declaration.retraining.investment
    if investment is None:
        return None
    worth = worth_of(declaration, investment)
    known = sorted((p for p in probes if _fits(p[0], declaration, worth)), key=lambda p: p[0]["window_end"])
    if not known:
        return None
    documents = [document for document, _ in known]
    length = timedelta(days=investment.every_days)
    fresh = [worth.of_window(d["fresh"], d["rows"], d) for d in documents]
    staleness = _staleness(documents, fresh, worth)
    ageing = Ageing.seen(staleness)
    age = round((as_of - serving.trained_at) / length)
    less = _newest_less_probe(documents, serving.newest, worth)
    regret = Regret.of(less)
    cost = worth.cost(fresh)
    facts = Facts(age, ageing, regret, cost, worth.unit)
    decided = invest(facts) if cost > 0 else _nothing_lost()
    decided = replace(decided, reasons=tuple(_with_regret(reason, facts, serving.newest) for reason in decided.reasons))
    missing = round((as_of - documents[-1]["window_end"]) / length)
    table = remedies(declaration, worth, facts, decided, documents, raw_less_served, serving)
    document: InvestmentDocument = {
        "retrain": decided.retrain,
        "rule": decided.rule,
        "unit": worth.unit,
        "cost": cost,
        "every_days": investment.every_days,
        "age": age,
        "regret": {"total": regret.total, "error": regret.error, "windows": regret.windows},
        "forecast": forecast(regret, ageing, staleness, age=age, missing=missing),
        "next_regret": decided.next_regret,
        "rate": decided.rate,
        "best_age": decided.best_age,
        "ageing": [float(value) for value in ageing.regret],
        "ageing_windows": ageing.windows,
        "reasons": [reason.as_dict() for reason in decided.reasons],
        "newest_version": serving.newest,
        "remedies": table,
        "probes": [_weighed(d, sha256) for d, sha256 in known],
    }
    warm = None if declaration.training.warm_start is None else reason_for_warm(warm_lead(documents))
    return Weighed(decided, document, _to_bring_back(table), warm)


def _to_bring_back(table: Sequence[RemedyDocument]) -> OlderVersion | None:
    """Whether a training comes first is decided with all its causes, and with what holds it back."""
    found = next((r for r in table if r["remedy"] == "older_version"), None)
    return None if found is None or "version" not in found else OlderVersion(found["version"], found["reason"])


def forecast(regret: Regret, ageing: Ageing, staleness: np.ndarray, *, age: int, missing: int) -> RegretDocument:
    """The regret up to now where the labels of the last ``missing`` windows are out.

    What is expected of each is what probes of its age lost more than fresh ones before; how far they lay from that is
    the error.

    Parameters
    ----------
    age : int
        Of the champion, in windows; it was younger in those before.
    """
    ages = np.arange(max(age - max(missing, 0), 0), age)
    if not len(ages):
        return {"total": regret.total, "error": regret.error, "windows": regret.windows}
    places = np.arange(staleness.shape[1])
    apart = (staleness - ageing.at(places))[:, 1:]
    seen = apart[~np.isnan(apart)]
    spread = float(np.sqrt(np.mean(seen**2))) if len(seen) else 0.0
    return {
        "total": regret.total + float(ageing.at(ages).sum()),
        "error": math.sqrt(regret.error**2 + len(ages) * spread**2),
        "windows": regret.windows + len(ages),
    }


def _nothing_lost() -> Investment:
    """Where fresh probes lose nothing, a share of that is not a price, and there is nothing to save either."""
    sentence = "Fresh probes lost nothing in the labelled windows: a retraining could save nothing."
    return Investment(False, "none", 0.0, 0.0, 1, (Reason("investment_nothing_lost", sentence),))


def _fits(document: ProbeDocument, declaration: ModelDeclaration, worth: Worth) -> bool:
    measured = document["metric"] == declaration.gate.metric and sum(document["rows"]) > 0
    return measured and (document["fresh"]["money"] is not None or not worth.money)


def _staleness(documents: Sequence[ProbeDocument], fresh: Sequence[float], worth: Worth) -> np.ndarray:
    """What each kept probe lost more than the fresh one, by window and age; NaN where there was none of that age."""
    ages = [round(past["age"]) for d in documents for past in d["past"]]
    found = np.full((len(documents), 1 + max(ages, default=0)), np.nan)
    found[:, 0] = 0.0
    for window, document in enumerate(documents):
        for past in document["past"]:
            lost = worth.of_window(past["losses"], document["rows"], document)
            found[window, round(past["age"])] = lost - fresh[window]
    return found


def _newest_less_probe(documents: Sequence[ProbeDocument], newest: int, worth: Worth) -> list[float]:
    """By window, what the newest version lost more than the fresh probe on the rows that the champion answered.

    As it was served where it was the champion, else as it would have been: what a training would add to is what the
    newest version knows, whichever serves.
    """
    found = []
    for document in documents:
        own = document["champion"]
        if own is None or own_rows(document, own["version"]) is None:
            continue
        others = {v["version"]: v["losses"] for v in own["versions"]}
        losses = own["losses"] if own["version"] == newest else others.get(newest)
        if losses is not None:
            rows = own["rows"]
            found.append(worth.of_window(losses, rows, document) - worth.of_window(own["fresh"], rows, document))
    return found


def _with_regret(reason: Reason, facts: Facts, newest: int) -> Reason:
    sums = facts.regret
    if sums.windows < 2 or reason.code == "investment_paid_for":
        return reason
    told = (
        f" Since its training version {newest} lost {sums.total:.3g} {facts.unit} (standard error {sums.error:.2g}) "
        f"more than fresh probes, over {number_of(sums.windows, 'window')}."
    )
    return Reason(reason.code, reason.sentence + told)


def _weighed(document: ProbeDocument, sha256: str) -> WeighedProbe:
    return {"window_end": document["window_end"], "sha256": sha256}
