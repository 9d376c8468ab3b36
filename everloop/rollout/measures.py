"""What a rollout is judged by: each measure finds its limit broken, or nothing, or says that it can't judge.

Failures and slow requests are counted and held against a declared limit. ``max_p99_latency_ms`` allows one request in a
hundred to take longer: the 99th percentile of few requests would be no evidence, as of five it is the slowest. It is
Lambda's metric Duration, which does not contain the initialisation of a cold start. Cold starts are judged by
themselves, where ``max_cold_start_ms`` is declared: one in a hundred of them may take longer. Held against all
requests they would tell of the traffic and not of the version: a candidate's first requests meet most of its cold
starts, however quick those are.

Failures and refused requests are also held against the version before, in the same minutes of a step: the alias sends
each request to either at random, so both see the same callers, and what both fail says nothing against either. In the
bake nothing is sent to the version before. Refused requests are compared with what it refused before the rollout then,
which takes callers to be the same; failures are not compared.

A request that one version's contract refuses and another's takes is an outage for its caller, although nothing failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.rollout.looks import Look
from everloop.rollout.version_metrics import VersionMetrics
from everloop.statistics.added_rate import Block, added, is_above_by
from everloop.statistics.binomial import at_least, exact_lower_bound
from everloop.statistics.evidence import Evidence, above, gathered

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail

UNCOUNTED = "a cold start's initialisation is not counted"
"""What is said beside a latency that begins when a worker is ready."""

SLOW_SHARE = 0.01
"""The share of requests, and of cold starts, that may take longer than the 99th percentile is allowed to."""

NOT_JUDGED = "not_judged"
"""The code of a reason that says that a measure could not be judged."""


@dataclass(frozen=True)
class Seen:
    """What one look sees: the version, and beside it the one before, where there is one."""

    guardrail: Guardrail
    look: Look
    metrics: VersionMetrics
    before: VersionMetrics | None = None


@dataclass(frozen=True)
class Share:
    """So many of so many requests."""

    count: int
    of: int

    @property
    def rate(self) -> float:
        """0 without requests."""
        return self.count / self.of if self.of else 0.0


def error_rate(seen: Seen) -> Reason | None:
    """Failures against ``max_error_rate``."""
    limit = seen.guardrail.max_error_rate
    found = _above(seen, "error_rate", [Share(b.errors, b.requests) for b in seen.metrics.blocks], limit)
    if isinstance(found, Reason) or found is None:
        return found
    share, chance = found
    return Reason(
        "error_rate",
        f"{share.count:,} of {number_of(share.of, 'request')} failed, allowed is {limit:.2%}: {chance}",
        share.rate,
        limit,
    )


def p99_latency(seen: Seen) -> Reason | None:
    """Slow requests against one in a hundred; from ``minimum_requests`` on."""
    guardrail, metrics = seen.guardrail, seen.metrics
    if metrics.requests < guardrail.minimum_requests:
        sentence = (
            f"p99_latency can't be judged: {number_of(metrics.requests, 'request')} came, and"
            f" {guardrail.minimum_requests} are required (rollout.guardrail.minimum_requests)"
        )
        return Reason(NOT_JUDGED, sentence, float(metrics.requests), float(guardrail.minimum_requests))
    found = _above(seen, "p99_latency", [Share(b.slow, b.timed) for b in metrics.blocks], SLOW_SHARE)
    if isinstance(found, Reason) or found is None:
        return found
    share, chance = found
    p99 = "" if metrics.p99_ms is None else f"; the 99th percentile was {metrics.p99_ms:.0f} ms"
    return Reason(
        "p99_latency",
        f"{share.count:,} of {number_of(share.of, 'request')} took longer than {guardrail.max_p99_latency_ms:.0f} ms"
        f" ({UNCOUNTED}), allowed is {SLOW_SHARE:.0%}: {chance}{p99}",
        share.rate,
        SLOW_SHARE,
    )


def cold_start_latency(seen: Seen) -> Reason | None:
    """Slow cold starts against one in a hundred, where a limit is declared."""
    limit, name = seen.guardrail.max_cold_start_ms, "cold_start_latency"
    if limit is None:
        return None
    found = _above(seen, name, [Share(b.slow_cold, b.cold) for b in seen.metrics.blocks], SLOW_SHARE, unit="cold start")
    if isinstance(found, Reason) or found is None:
        return found
    share, chance = found
    return Reason(
        name,
        f"{share.count:,} of {number_of(share.of, 'cold start')} took longer than {limit:.0f} ms from the process's"
        f" beginning to its first answer, allowed is {SLOW_SHARE:.0%}: {chance}",
        share.rate,
        SLOW_SHARE,
    )


def added_errors(seen: Seen) -> Reason | None:
    """Failures against those of the version before in the same minutes."""
    allowed = seen.guardrail.max_added_error_rate
    found = _beyond(seen, "added_errors", lambda b: Share(b.errors, b.requests), allowed)
    if isinstance(found, Reason) or found is None:
        return found
    ours, theirs, chance = found
    return Reason(
        "added_errors",
        f"{ours.count:,} of {number_of(ours.of, 'request')} failed, and of those to the version before in the same"
        f" minutes {theirs.count:,} of {theirs.of:,}; {allowed:.2%} more are allowed: {chance}",
        ours.rate - theirs.rate,
        allowed,
    )


def refused_requests(seen: Seen) -> Reason | None:
    """Refused requests against those of the version before in the same minutes."""
    allowed = seen.guardrail.max_error_rate
    found = _beyond(seen, "refused_requests", lambda b: Share(b.refused, b.requests), allowed)
    return _refused(*found, allowed) if isinstance(found, tuple) else found


def refused_since(seen: Seen) -> Reason | None:
    """Refused requests against those of the version before, before the rollout."""
    metrics, before, look = seen.metrics, seen.before, seen.look
    allowed, name = seen.guardrail.max_error_rate, "refused_requests"
    if before is None or not before.requests or not metrics.requests:
        return _unable(name, Share(0, metrics.requests), Share(0, before.requests if before else 0))
    theirs = Share(before.refused, before.requests)
    # What it refused is known from so many requests: half of the share is for the bound on its rate.
    half = look.watching(name) / 2
    highest = 1 - exact_lower_bound(theirs.of - theirs.count, theirs.of, 1 - half)
    blocks = [Share(b.refused, b.requests) for b in metrics.blocks]
    evidence = gathered(above(b.count, b.of, highest + allowed) for b in blocks)
    whole, ending = _total(blocks), look.ending(name)
    if is_above_by(_block(whole, theirs), allowed, ending):
        return _refused(whole, theirs, _odds(1 / ending), allowed)
    if evidence.is_enough(half):
        return _refused(_total(blocks[evidence.begin : evidence.end]), theirs, _odds(evidence.to_one), allowed)
    return None


def _refused(ours: Share, theirs: Share, chance: str, allowed: float) -> Reason:
    return Reason(
        "refused_requests",
        f"{ours.count:,} of {number_of(ours.of, 'request')} were refused with 4xx, and by the version before"
        f" {theirs.count:,} of {theirs.of:,}: callers send requests that this version's contract refuses; {chance}. The"
        " metric ClientErrors counts the causes by lambda_version",
        ours.rate - theirs.rate,
        allowed,
    )


Measure = Callable[[Seen], Reason | None]
"""A reason with the code of the measure where its limit is broken, or with ``not_judged``; None where it is kept."""

IN_A_STEP: tuple[Measure, ...] = (error_rate, p99_latency, cold_start_latency, refused_requests, added_errors)
IN_THE_BAKE: tuple[Measure, ...] = (error_rate, p99_latency, cold_start_latency, refused_since)


def _above(
    seen: Seen, name: str, blocks: Sequence[Share], limit: float, *, unit: str = "request"
) -> tuple[Share, str] | Reason | None:
    """What is above the limit beyond chance, and how far beyond."""
    look, whole = seen.look, _total(blocks)
    evidence = gathered(above(b.count, b.of, limit) for b in blocks)
    chance = at_least(whole.count, whole.of, limit)
    if whole.count and chance < look.ending(name):
        return whole, _odds(1 / chance if chance else 1e12)
    if evidence.is_enough(look.watching(name)):
        return _total(blocks[evidence.begin : evidence.end]), _odds(evidence.to_one)
    worst = gathered([above(whole.of, whole.of, limit)]).is_enough(look.watching(name))
    if not worst and (not whole.of or limit**whole.of >= look.ending(name)):
        return _unable(name, whole, unit=unit)
    return None


def _beyond(
    seen: Seen, name: str, share: Callable[..., Share], allowed: float
) -> tuple[Share, Share, str] | Reason | None:
    """What goes beyond the version before by more than is allowed, and beyond chance."""
    look, before = seen.look, seen.before
    pairs = [] if before is None else [(share(a), share(b)) for a, b in seen.metrics.beside(before)]
    pairs = [(a, b) for a, b in pairs if a.of and b.of]
    evidence = gathered(added((_block(a, b) for a, b in pairs), allowed))
    ours, theirs = _totals(pairs, Evidence(0.0, 0, len(pairs)))
    if not _could_tell(look, name, ours.of, theirs.of, allowed):
        return _unable(name, ours, theirs)
    ending = look.ending(name)
    if is_above_by(_block(ours, theirs), allowed, ending):
        return ours, theirs, _odds(1 / ending)
    if evidence.is_enough(look.watching(name)):
        return *_totals(pairs, evidence), _odds(evidence.to_one)
    return None


def _could_tell(look: Look, name: str, ours: int, theirs: int, allowed: float) -> bool:
    """Whether it would be evidence if everything failed here, and nothing there."""
    worst = (ours, ours, 0, theirs)
    return gathered(added([worst], allowed)).is_enough(look.watching(name)) or is_above_by(
        worst, allowed, look.ending(name)
    )


def _block(ours: Share, theirs: Share) -> Block:
    return ours.count, ours.of, theirs.count, theirs.of


def _unable(name: str, ours: Share, theirs: Share | None = None, *, unit: str = "request") -> Reason:
    beside = "" if theirs is None else f" beside {theirs.of:,} to the version before"
    sentence = (
        f"{name} can't be judged: {number_of(ours.of, unit)}{beside} would be no evidence even if all of them were bad"
    )
    return Reason(NOT_JUDGED, sentence, float(ours.of))


def _odds(to_one: float) -> str:
    return f"chance alone does that to fewer than 1 in {to_one:,.0f} versions that keep the limit"


def _total(shares: Sequence[Share]) -> Share:
    return Share(sum(s.count for s in shares), sum(s.of for s in shares))


def _totals(pairs: Sequence[tuple[Share, Share]], stretch: Evidence) -> tuple[Share, Share]:
    chosen = pairs[stretch.begin : stretch.end]
    return _total([a for a, _ in chosen]), _total([b for _, b in chosen])
