"""Tests for the infrastructure of machine learning."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.registry.drills import PASSED
from everloop.registry.maturity import MANUAL
from everloop.registry.ml_test_score.facts import Facts, Finding, Test


def infra_tests(facts: Facts) -> Iterator[Finding]:
    """Infra 1 to 7."""
    yield _reproduced(Test("Infra 1", "Training is reproducible."), facts)
    yield _unit_tested(Test("Infra 2", "The model's specification is unit tested."), facts)
    yield _integrated(Test("Infra 3", "The whole pipeline is integration tested."), facts)
    yield _validated(Test("Infra 4", "Quality is validated before a model serves."), facts)
    yield Test("Infra 5", "One example can be followed step by step.").not_done(
        "no command shows what each step of the model makes of one row"
    )
    yield _canary(Test("Infra 6", "Models pass a canary before they serve."), facts)
    yield _rolled_back(Test("Infra 7", "Models can be rolled back quickly and safely."), facts)


def _reproduced(test: Test, facts: Facts) -> Finding:
    found, version = facts.reproduced, facts.version
    if found is None or version is None:
        number = 1 if version is None else version.version
        return test.not_done(
            f"train it again and keep what comes out: everloop reproduce {facts.model} {number} --record"
        )
    told = f"{found.actor} trained version {version.version} again at {instant_text(found.at)}: {found.reason}"
    return test.by_hand(told, facts.trace_link) if found.details.get("identical") is True else test.not_done(told)


def _unit_tested(test: Test, facts: Facts) -> Finding:
    if not facts.test_files:
        return test.not_done(f"add tests: tests/models/test_{facts.model}.py, or test_*.py in the model's folder")
    return test.by_hand("there are tests of its code; whether they ran is not recorded", ", ".join(facts.test_files))


def _integrated(test: Test, facts: Facts) -> Finding:
    by_rule = [run for run in facts.runs if run.kind == "train" and run.verdict and _by_a_rule(run.trigger.get("kind"))]
    if by_rule:
        told = f"{number_of(len(by_rule), 'run')} that a rule started went through the whole pipeline to a verdict"
        return test.done(told, f"everloop runs list {facts.model}")
    whole = [run for run in facts.runs if run.status in ("smoke_passed", "succeeded", "rejected")]
    if whole:
        told = f"run {whole[0].run_id}, which a person started, went through the pipeline"
        return test.by_hand(told, f"everloop runs list {facts.model}")
    return test.not_done(f"everloop train {facts.model} --smoke")


def _by_a_rule(kind: object) -> bool:
    return kind is not None and kind != MANUAL


def _validated(test: Test, facts: Facts) -> Finding:
    champion, version = facts.status.champion, facts.version
    if champion is None or version is None or version.gate.get("verdict") != "pass":
        return test.not_done("no version serves that passed the gate")
    sha256 = str(version.gate.get("report_sha256"))[:12]
    return test.done(f"the gate passed version {version.version} by the report with sha256 {sha256}", facts.trace_link)


def _canary(test: Test, facts: Facts) -> Finding:
    steps = facts.declaration.rollout.steps
    watched = [r for r in facts.rollouts if r.kind == "version" and r.previous_version is not None and r.last_check]
    if not steps or not watched:
        return test.not_done("declare rollout.steps; the second version then begins with a part of the requests")
    told = f"the rollout of version {watched[0].version} had {number_of(len(steps), 'step')} under the guardrail"
    return test.done(told, f"everloop rollout status {facts.model}")


def _rolled_back(test: Test, facts: Facts) -> Finding:
    drill = facts.status.drill
    if drill is not None and drill.status == PASSED and drill.back_seconds is not None:
        took = f"in {drill.back_seconds:.1f} s, and forward again"
        told = f"a drill at {instant_text(drill.begun_at)} rolled version {drill.version} back {took}"
        return test.done(told, f"everloop status {facts.model}")
    back = [one for one in facts.rollouts if one.status == "rolled_back"]
    if not back:
        return test.not_done(f"no rollback is on record; try one: everloop drill {facts.model}")
    by_guardrail = next((one for one in back if one.last_check.get("decision") == "rollback"), None)
    link = f"everloop rollout status {facts.model}"
    if by_guardrail is not None:
        return test.done(f"the guardrail rolled version {by_guardrail.version} back", link)
    return test.by_hand(f"version {back[0].version} was rolled back by hand", link)
