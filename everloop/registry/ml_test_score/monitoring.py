"""Tests for monitoring."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.numbers_of import number_of
from everloop.registry.ml_test_score.facts import Facts, Finding, Test


def monitoring_tests(facts: Facts) -> Iterator[Finding]:
    """Monitor 1 to 7."""
    yield _dependencies(Test("Monitor 1", "Changes of dependencies are noticed."), facts)
    yield _invariants(Test("Monitor 2", "Invariants of the data hold in training and serving."), facts)
    yield _skew(Test("Monitor 3", "Training and serving compute the same."), facts)
    yield _stale(Test("Monitor 4", "Models are not too stale."), facts)
    yield _stable(Test("Monitor 5", "The model is numerically stable."), facts)
    yield _speed(Test("Monitor 6", "Speed, latency and memory have not regressed."), facts)
    yield _quality(Test("Monitor 7", "The quality of predictions has not regressed."), facts)


def _dependencies(test: Test, facts: Facts) -> Finding:
    environment = facts.report.environment if facts.report else None
    if environment is None:
        return test.not_done("train once: each run compares its packages with the lock")
    told = f"{environment.packages} packages were compared with the lock {environment.lock_sha256[:12]}"
    return test.done(told, facts.report_link)


def _invariants(test: Test, facts: Facts) -> Finding:
    if facts.snapshot is None or not facts.answered:
        return test.not_done("no window with answers is on record")
    windows = number_of(len(facts.answered), "recent window")
    return test.done(f"{windows} of answers were held against the training set's profile", facts.status_link)


def _skew(test: Test, facts: Facts) -> Finding:
    parity = facts.report.parity if facts.report else None
    if parity is None or not parity.rows or not facts.answered:
        return test.not_done("train and serve: parity and the windows' profiles are on record then")
    told = f"one artefact does both; it differed in {parity.label_flips} of {parity.rows:,} test rows"
    return test.done(told, facts.report_link)


def _stale(test: Test, facts: Facts) -> Finding:
    if not facts.answered:
        return test.not_done("no window has decided whether to train again")
    decision = facts.answered[0].record.decision
    return test.done(f"each window decides whether to train again; the last one: {decision}", facts.status_link)


def _stable(test: Test, facts: Facts) -> Finding:
    probes = facts.report.probes if facts.report else None
    if probes is None or probes.possibilities != probes.admitted:
        return test.not_done("no version is known to answer all that its contract allows with numbers")
    told = f"all {probes.admitted:,} kinds of rows that the contract allows were answered with finite scores"
    return test.done(told, facts.report_link)


def _speed(test: Test, facts: Facts) -> Finding:
    latency = facts.report.latency_ms if facts.report else None
    if latency is None or facts.declaration.gate.max_latency_ms is None:
        return test.not_done("declare gate.max_latency_ms")
    told = (
        f"one row takes {latency.p99:.3g} ms at the 99th percentile, within the gate's limit; training time and memory"
        " are not compared"
    )
    return test.by_hand(told, facts.report_link)


def _quality(test: Test, facts: Facts) -> Finding:
    judged = [w.record for w in facts.answered if w.record.labelled_rows]
    if not judged:
        return test.not_done("send labels of answers: windows then measure the champion's quality")
    rows = sum(record.labelled_rows for record in judged)
    return test.done(
        f"{number_of(rows, 'labelled row')} in {number_of(len(judged), 'recent window')}", facts.status_link
    )
