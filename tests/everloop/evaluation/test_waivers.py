"""The gate's verdict with waivers: what may be waived passes and says so, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime

from everloop.evaluation.gate import Verdict
from everloop.evaluation.waivers import Waived, with_waivers
from everloop.reasons import Reason, checked

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
FINE = checked("probes", True, "all answered")
SLOW = checked("latency", False, "Scoring takes 9 ms.", 9.0, 5.0)
DIFFERS = checked("parity_flips", False, "Its decision differs in 3.", 3, 0)
NOT_SAID = checked("better_than_baseline", False, "The report has no comparison.")


def waived(*reasons: Reason, codes: tuple[str, ...]) -> Verdict:
    refused = Verdict(all(reason.passed for reason in reasons), reasons)
    return with_waivers(refused, [Waived(code, UNTIL, "bob", "we take the slower one") for code in codes])


def test_a_waived_reason_passes_and_says_who_let_it() -> None:
    found = waived(SLOW, FINE, codes=("latency",))
    assert found.passed
    told = found.reasons[0].as_dict()
    assert (told["code"], told["passed"], told["waived"], told["value"]) == ("latency", True, True, 9.0)
    assert told["sentence"] == (
        "Waived until 2026-03-01T00:00:00Z by bob: we take the slower one — Scoring takes 9 ms."
    )


def test_other_failed_reasons_still_refuse() -> None:
    found = waived(SLOW, DIFFERS, codes=("latency",))
    assert not found.passed
    assert [reason.passed for reason in found.reasons] == [False, True]


def test_what_nobody_may_waive_stays_refused_whatever_waivers_say() -> None:
    assert not waived(DIFFERS, codes=("parity_flips",)).passed
    assert not waived(NOT_SAID, codes=("better_than_baseline",)).passed, "a report without a figure is broken"


def test_without_waivers_the_verdict_is_what_it_was() -> None:
    found = waived(SLOW, FINE, codes=())
    assert (found.passed, found.reasons) == (False, (SLOW, FINE))
    assert "waived" not in SLOW.as_dict()
