"""The roles against what services call under them, what the CDK would grant, and the page about them."""

from __future__ import annotations

import pytest

from tests.helpers.synthesis import MODEL_STACK, ROOT, SECOND_STACK, Assembly
from tools.roles import cdk_own, endpoint_parts, evidence
from tools.roles.__main__ import EVIDENCE, PAGE, WITH_EVERYTHING, broken, statements_in
from tools.roles.implied import IMPLIED
from tools.roles.kept import KEPT
from tools.roles.page import COMMAND, page, reasons
from tools.roles.simulation import needs_of, refused
from tools.roles.statements import RoleStatement, statements_of


def by_role(assembly: Assembly, stack: str) -> dict[str, list[RoleStatement]]:
    found: dict[str, list[RoleStatement]] = {}
    for _, _, one in statements_of(assembly.templates[stack], stack):
        found.setdefault(one.role, []).append(one)
    return found


@pytest.mark.parametrize("stack", [MODEL_STACK, SECOND_STACK])
def test_each_role_may_do_what_services_call_under_it(assembly: Assembly, stack: str) -> None:
    roles = by_role(assembly, stack)
    assert [line for role, statements in roles.items() for line in refused(role, statements)] == []


def test_the_simulation_does_look(assembly: Assembly) -> None:
    """Without any one of its statements, a role is refused something that a service calls, or none needs it."""
    roles = by_role(assembly, SECOND_STACK)
    found = {
        role: [one for one in statements if refused(role, [s for s in statements if s is not one])]
        for role, statements in roles.items()
    }
    assert {role for role, without in found.items() if without} == {role for role in roles if list(needs_of(role))}
    assert sum(map(len, found.values())) > 80


def test_every_line_about_services_is_of_some_role(assembly: Assembly) -> None:
    roles = by_role(assembly, SECOND_STACK)
    assert [one.when for one in IMPLIED if not any(one.is_of(role) for role in roles)] == []
    assert all(one.source.startswith("https://") for one in IMPLIED)


def test_what_the_cdk_would_grant_beyond_has_its_reason(assembly: Assembly) -> None:
    ours = cdk_own.actions_by_role([one for its in by_role(assembly, SECOND_STACK).values() for one in its])
    own = cdk_own.own_actions()
    assert {name: cdk_own.unexplained(name, actions, ours) for name, actions in own.items()} == {n: set() for n in own}
    assert {name: cdk_own.outdated(name, actions, ours) for name, actions in own.items()} == {n: set() for n in own}


def test_every_action_was_used_or_has_its_reason(assembly: Assembly) -> None:
    held = evidence.read(EVIDENCE)
    statements = statements_in(assembly.templates[WITH_EVERYTHING])
    without = [(one.role, *reasons(one, held).get("", [])) for one in statements if "" in reasons(one, held)]
    assert without == [], f"take them away, or run the tests and type {COMMAND} with the folders of their clouds"


def test_no_reason_is_left_of_what_is_gone_or_used(assembly: Assembly) -> None:
    held = evidence.read(EVIDENCE)
    statements = statements_in(assembly.templates[WITH_EVERYTHING])
    idle = [
        reason
        for reason in KEPT
        if not any(
            reason.covers(one, action) and action not in evidence.used(held, one)
            for one in statements
            for action in one.actions
        )
    ]
    assert idle == []
    assert [reason.test for reason in KEPT if reason.test and not (ROOT / reason.test).is_file()] == []


def test_every_statement_that_was_used_was_really_taken_away(assembly: Assembly) -> None:
    held, told = evidence.read(EVIDENCE), broken()
    statements = statements_in(assembly.templates[WITH_EVERYTHING])
    used = {one.key for one in statements if "alone" in evidence.used(held, one).values()}
    assert len(used) > 80
    of_endpoint = [
        one.action_key(action)
        for one in statements
        for action in endpoint_parts.own_actions(one)
        if evidence.used(held, one).get(action) == "alone"
    ]
    assert len(of_endpoint) > 12
    assert set(of_endpoint) - set(told) == set(), "type python -m tools.roles.ablation --endpoint"
    assert used - set(told) == set(), "type python -m tools.roles.ablation --roles ROLE"
    keys = {key for one in statements for key in (one.key, *map(one.action_key, one.actions))}
    assert set(told) - keys == set(), "these are in no template: take them out of the file"
    assert [said for said in told.values() if "refused; " not in said] == [], "what broke is not said"


def test_the_page_is_what_the_templates_say(assembly: Assembly) -> None:
    text = page(statements_in(assembly.templates[WITH_EVERYTHING]), evidence.read(EVIDENCE), broken())
    assert PAGE.read_text(encoding="utf-8") == text, f"type {COMMAND}"
