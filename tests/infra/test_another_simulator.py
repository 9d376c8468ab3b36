"""Every role's policies before a simulator of IAM that others wrote: it has to come to what ours comes to.

``@cloud-copilot/iam-simulate`` knows of each action the resources and condition keys that AWS documents, and answers
with an error where a question has others.
"""

from __future__ import annotations

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from localcloud.iam.policy import AccessRequest, decide
from support.npm import install_package
from tests.helpers.synthesis import ROOT, SECOND_STACK, Assembly
from tests.infra.test_roles import by_role
from tests.infra.test_validators import written_out
from tools.roles.simulation import document, needs_of

pytestmark = pytest.mark.slow

SIMULATOR, MODULE = "@cloud-copilot/iam-simulate@0.1.173", "@cloud-copilot/iam-simulate/dist/esm/index.js"
SCRIPT = ROOT / "tests" / "helpers" / "simulate.mjs"


def test_both_simulators_decide_alike(assembly: Assembly, tmp_path: Path) -> None:
    """Whatever a service calls under any role is asked of every role, so most of it is to be refused."""
    roles = by_role(assembly, SECOND_STACK)
    called = {
        written_out(json.dumps([action, need.resource, need.context], sort_keys=True))
        for role in roles
        for need, _ in needs_of(role)
        for action in need.actions
    }
    questions = [json.loads(text) for text in sorted(called)]
    policies = [written_out(document(statements)) for statements in roles.values()]
    ours: list[str] = []
    for policy in policies:
        for action, resource, context in questions:
            request = AccessRequest(action, resource, {key.lower(): (value,) for key, value in context.items()})
            ours.append("Allowed" if decide((policy,), request).allowed else "ImplicitlyDenied")
    asked = {"policies": list(map(json.loads, policies)), "questions": questions}
    theirs = simulated(asked, install_package(SIMULATOR, tmp_path) / MODULE)
    pairs = zip(product(roles, questions), ours, theirs, strict=True)
    assert [(role, asked[:2], our, their) for (role, asked), our, their in pairs if our != their] == []
    assert min(ours.count("Allowed"), ours.count("ImplicitlyDenied")) > 300, (ours.count("Allowed"), len(ours))


def simulated(asked: dict[str, Any], module: Path) -> list[str]:
    """What the other one answers to each question of each policy, or the error that it finds in it."""
    done = subprocess.run(
        ["node", SCRIPT, module], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
