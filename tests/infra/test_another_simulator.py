"""Every role's policies before a simulator of IAM that others wrote: it has to come to what ours comes to.

``@cloud-copilot/iam-simulate`` knows of each action the resources and condition keys that AWS documents, and answers
with an error where a question has others.
"""

from __future__ import annotations

import json
import subprocess
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
    questions: list[dict[str, Any]] = []
    ours: list[str] = []
    for statements in roles.values():
        policy = written_out(document(statements))
        for text in sorted(called):
            action, resource, context = json.loads(text)
            request = AccessRequest(action, resource, {key.lower(): (value,) for key, value in context.items()})
            ours.append("Allowed" if decide((policy,), request).allowed else "ImplicitlyDenied")
            asked = {"action": action, "resource": resource, "context": context}
            questions.append({"policy": json.loads(policy), **asked})
    theirs = simulated(questions, install_package(SIMULATOR, tmp_path) / MODULE)
    pairs = zip(questions, ours, theirs, strict=True)
    assert [(asked["action"], asked["resource"], our, their) for asked, our, their in pairs if our != their] == []
    assert min(ours.count("Allowed"), ours.count("ImplicitlyDenied")) > 300, (ours.count("Allowed"), len(ours))


def simulated(questions: list[dict[str, Any]], module: Path) -> list[str]:
    """What the other one answers, or the error that it finds in a question."""
    done = subprocess.run(
        ["node", SCRIPT, module], input=json.dumps(questions), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
