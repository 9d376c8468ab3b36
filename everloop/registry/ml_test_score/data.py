"""Tests for features and data."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.registry.ml_test_score.facts import Facts, Finding, Test


def data_tests(facts: Facts) -> Iterator[Finding]:
    """Data 1 to 7."""
    yield _schema(Test("Data 1", "Expectations of features are in a schema."), facts)
    yield _beneficial(Test("Data 2", "Every feature is beneficial."), facts)
    yield Test("Data 3", "No feature costs too much.").not_done(
        "latency and memory are measured for the whole model (gate.max_latency_ms), not by feature"
    )
    yield _requirements(Test("Data 4", "Features adhere to requirements of a higher level."), facts)
    yield _privacy(Test("Data 5", "The data pipeline has privacy controls."), facts)
    yield Test("Data 6", "New features can be added quickly.").not_done(
        "how long a feature took from its declaration to serving is not on record"
    )
    yield _feature_code(Test("Data 7", "All code of input features is tested."), facts)


def _schema(test: Test, facts: Facts) -> Finding:
    if facts.snapshot is None:
        return test.not_done("train once: the training set is checked against the contract, and recorded")
    features = len(facts.declaration.data.features)
    found = facts.snapshot.snapshot_hash[:12]
    told = f"the contract of {features} features was checked for snapshot {found}, and is for each request"
    return test.done(told, facts.trace_link)


def _beneficial(test: Test, facts: Facts) -> Finding:
    errors = facts.report.errors if facts.report else None
    if errors is None or not errors.importance:
        return test.not_done("train once: the report then says of each feature how much worse answers are without it")
    sure = sum(one.low is not None and one.low > 0 for one in errors.importance)
    told = f"{sure} of {len(errors.importance)} features are shown to help: permutation importance, with intervals"
    return test.done(told, facts.report_link)


def _requirements(test: Test, facts: Facts) -> Finding:
    sources = facts.declaration.data.sources
    if not sources:
        return test.not_done("declare data.sources with their licences")
    if facts.snapshot is None:
        return test.not_done("train once: jobs then read the declared columns and no others")
    told = f"{len(sources)} sources with licences are declared; jobs read the declared columns and no others"
    return test.done(told, f"everloop card {facts.model}")


def _privacy(test: Test, facts: Facts) -> Finding:
    done = facts.declaration.risk.done_outside
    if "retention" in done:
        return test.by_hand(f"done outside, as declared: {done['retention']}", f"everloop card {facts.model}")
    return test.not_done("say under risk.done_outside.retention who deletes personal data, and when")


def _feature_code(test: Test, facts: Facts) -> Finding:
    report = facts.report
    if report is None or report.parity is None or report.probes is None:
        return test.not_done("train once: parity and probes run the model's own transformations")
    told = (
        f"transformations are in the artefact: {report.parity.rows:,} test rows answered as in training, and"
        f" {report.probes.possibilities:,} kinds of rows that the contract allows were answered"
    )
    return test.done(told, facts.report_link)
