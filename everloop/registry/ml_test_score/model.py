"""Tests for model development."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.numbers_of import number_of
from everloop.registry.ml_test_score.facts import Facts, Finding, Test


def model_tests(facts: Facts) -> Iterator[Finding]:
    """Model 1 to 7."""
    yield _reviewed(Test("Model 1", "The model's specification is reviewed and in a repository."), facts)
    yield _online(Test("Model 2", "Offline metrics correlate with the online impact."), facts)
    yield _tuned(Test("Model 3", "All hyperparameters are tuned."), facts)
    yield _staleness(Test("Model 4", "What a stale model costs is known."), facts)
    yield _simpler(Test("Model 5", "A simpler model is not better."), facts)
    yield _slices(Test("Model 6", "Quality suffices on all important slices."), facts)
    yield _inclusion(Test("Model 7", "The model is tested for inclusion."), facts)


def _reviewed(test: Test, facts: Facts) -> Finding:
    if facts.version is None or not facts.checked_in:
        return test.not_done("commit the model's folder to Git; who reviewed it is not recorded")
    told = f"the folder is in Git as it is, the code has sha256 {facts.version.code_sha256[:12]}; no review is recorded"
    return test.by_hand(told, facts.trace_link)


def _online(test: Test, facts: Facts) -> Finding:
    measured = next((w.record for w in facts.answered if w.record.money is not None), None)
    if measured is None or measured.money is None or facts.report is None or facts.report.money is None:
        return test.not_done("send labels of answers: windows then count what decisions cost, as the report did")
    told = (
        f"the report and {measured.money['windows']} labelled windows say what 1,000 decisions cost, by the same prices"
    )
    return test.done(told, facts.status_link)


def _tuned(test: Test, facts: Facts) -> Finding:
    tuning = facts.tuning
    if tuning is None or facts.version is None:
        return test.not_done("declare training.tuning: each training then searches on validation data")
    scored = [trial for trial in tuning["trials"] if trial["value"] is not None]
    best = next((trial for trial in scored if trial["number"] == tuning["best"]), None)
    if best is None:
        return test.not_done("the search that is on record for this version has no trial that was scored")
    # A trial has all that its script was handed: what was searched is what differs between them.
    tried = best["parameters"].items()
    searched = sorted(
        name for name, value in tried if any(t["parameters"].get(name) != value for t in tuning["trials"])
    )
    named = f" ({', '.join(searched)})" if searched else ""
    told = (
        f"{number_of(len(scored), 'set')} of parameters{named} were compared on"
        f" {number_of(len(tuning['folds']), 'validation part')}; the best {tuning['metric']} is {best['value']:.4g}"
    )
    return test.done(told, f"everloop runs show {facts.model} {facts.version.run_id}")


def _staleness(test: Test, facts: Facts) -> Finding:
    if not facts.probes:
        return test.not_done("declare retraining.investment: fresh probes then measure what the champion's age costs")
    return test.done(f"{facts.probes} fresh probes measured it in recent windows", f"everloop retraining {facts.model}")


def _simpler(test: Test, facts: Facts) -> Finding:
    reason = facts.gate_reason("better_than_baseline")
    if reason is None or not reason.get("passed") or reason.get("waived"):
        return test.not_done("no version is shown to be better than its baseline")
    kind = facts.declaration.problem.baseline.kind
    return test.done(f"the gate compares each version with {kind}: {reason['sentence']}", facts.report_link)


def _slices(test: Test, facts: Facts) -> Finding:
    slices = facts.report.slices if facts.report else None
    if slices is None:
        return test.not_done("declare gate.slices")
    return test.done(f"{len(slices.judged)} slices were measured; the worst is {slices.worst}", facts.report_link)


def _inclusion(test: Test, facts: Facts) -> Finding:
    fairness = facts.report.fairness if facts.report else None
    if fairness is not None:
        told = f"groups were compared by {', '.join(by.feature for by in fairness.by)}"
        return test.done(told, facts.report_link)
    outside = facts.declaration.risk.done_outside.get("fairness")
    if outside:
        return test.by_hand(f"done outside, as declared: {outside}", f"everloop card {facts.model}")
    return test.not_done("declare gate.fairness, if answers decide about people")
