"""Take each statement that was used away, really, and see what breaks: ``python -m tools.roles.ablation``.

One local cloud stands, in which the loop has run. For each statement its role's policy is put without it, the part of
the loop that the role belongs to is run, and the policy is put back. What the guard refused meanwhile, and how that
part ended, is kept in ``broken.json`` for the page. It takes an hour or so; ``--roles`` takes some, the others stay.
``--endpoint`` takes those that only a model on a SageMaker endpoint has, in a cloud with such a model; where a
statement has several such actions, or others too, each of them is taken away alone as well (``--actions``: only these).
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from click.testing import CliRunner

from everloop.cli.account import Account
from everloop.cli.main import everloop
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.local_cloud import LocalCloud
from everloop.cli.replay.stream import load
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import BAKERY
from tests.loop.standing_cloud import ACTIVE, Loop, standing_cloud
from tests.loop.test_endpoint import deployed
from tests.loop.test_investment import HISTORY_ENDS, declared, sales
from tests.loop.test_warm_start import SCRIPT
from tools.roles import endpoint_parts, evidence
from tools.roles.__main__ import BROKEN, EVIDENCE, broken
from tools.roles.parts import part_of
from tools.roles.statements import RoleStatement, statements_of

BEGIN = endpoint_parts.begin

RUNS_WITHIN_A_DAY = 8
"""Of those that break, fewer than the registry lets start."""


class Standing(Protocol):
    """A cloud whose roles lose statements."""

    cloud: LocalCloud
    account: Account


Where = TypeVar("Where", bound=Standing)


@dataclass(frozen=True)
class Placed:
    """A statement where it is deployed, or one action of it."""

    statement: RoleStatement
    role: str
    role_arn: str
    policy: str
    index: int
    action: str = ""

    @property
    def key(self) -> str:
        """What names it in the record of what broke."""
        return self.statement.action_key(self.action) if self.action else self.statement.key

    def taken_from(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A policy without it."""
        less = copy.deepcopy(dict(document))
        if not self.action:
            del less["Statement"][self.index]
            return less
        held = less["Statement"][self.index]
        held["Action"] = [action for action in held["Action"] if action != self.action]
        return less


def main(roles: str, *, endpoint: bool, actions: bool) -> int:
    """Take the statements of the roles that match away, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        if endpoint:
            with deployed(Path(scratch)) as cloud:
                found = [one for one in of_endpoint(cloud) if fnmatchcase(one.statement.role, roles)]
                wanted = [one for one in found if one.action or not actions]
                # A first version comes before any other: what makes and deletes the endpoint is taken away then.
                first = [one for one in wanted if endpoint_parts.part_of(one.statement, one.action) is BEGIN]
                take_away(cloud, first, endpoint_parts.part_of, lambda cloud, _: endpoint_parts.mend(cloud))
                print(endpoint_parts.roll_out(cloud), flush=True)
                others = [one for one in wanted if one not in first]
                take_away(cloud, others, endpoint_parts.part_of, lambda cloud, _: endpoint_parts.mend(cloud))
            return 0
        for loop in standing(Path(scratch)):
            wanted = [one for one in placed(loop) if fnmatchcase(one.statement.role, roles)]
            take_away(loop, wanted, lambda statement, _: part_of(statement), mend)
    return 0


def of_endpoint(cloud: Standing) -> list[Placed]:
    """The statements that only a model on an endpoint has, and each action that only such a model has."""
    found = placed(cloud)
    whole = [one for one in found if endpoint_parts.is_of_endpoint(one.statement)]
    held = evidence.read(EVIDENCE)
    alone = (
        replace(one, action=action)
        for one in found
        for action in endpoint_parts.own_actions(one.statement)
        if evidence.used(held, one.statement).get(action) == "alone"
    )
    return [*whole, *alone]


def take_away(
    loop: Where,
    wanted: list[Placed],
    part_of: Callable[[RoleStatement, str], Callable[[Where], str]],
    mend: Callable[[Where, int], None],
) -> None:
    """Take these statements away, one after the other; ``mend`` closes what broke, and is told how many came before."""
    usual: dict[Callable[[Where], str], str] = {}
    for number, one in enumerate(wanted):
        began, part = time.monotonic(), part_of(one.statement, one.action)
        if part not in usual:
            usual[part] = part(loop)
            print(f"with everything: {usual[part]}", flush=True)
            mend(loop, number)
        said = without(loop, one, part, usual[part])
        mend(loop, number)
        keep(one, said)
        took = f"{time.monotonic() - began:.0f} s"
        what = one.action or one.statement.actions
        print(f"{one.statement.role} {what}: {said or 'not reached'} ({took})", flush=True)


def keep(one: Placed, said: str | None) -> None:
    """Record what broke; what was not reached has nothing to tell, and what was told of it before stays."""
    if said is not None:
        kept = broken() | {one.key: said}
        BROKEN.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")


def standing(folder: Path) -> Iterator[Loop]:
    """A cloud after a replay of a model that declares all that adds a role, in a world that stays as it is.

    There most trainings fail the gate: the steps behind it are taken in ways of their own (:mod:`tools.roles.parts`).
    """
    models = declared(folder / "models")
    file = models / BAKERY / "model.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["retraining"]["quota"] = {"runs": 500, "days": 60}
    document["cost"]["monthly_budget_usd"] = 500
    # A version that is continued may have learned from any row, so none is left to stand aside.
    document["gate"].pop("standing", None)
    document["training"] = {
        "seed": 3,
        "parameters": {"max_iter": 40},
        "warm_start": {"added_trees": 15, "max_trees": 400},
    }
    (file.parent / "train.py").write_text(SCRIPT, encoding="utf-8")
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    declaration = find_declaration(BAKERY, models)
    data = load(
        sales(folder / "sales.csv", turns=False), declaration, datetime.fromisoformat(HISTORY_ENDS).replace(tzinfo=UTC)
    )
    assembly = synthesize_models(models, folder)
    with standing_cloud(folder, declaration, data, assembly, quiet=True) as loop:
        yield loop


def placed(loop: Standing) -> list[Placed]:
    """The statements of the model's roles that were used alone, where they are deployed."""
    used, found = evidence.read(EVIDENCE), []
    for file in sorted((loop.cloud.running.state_directory / "stacks").glob("EverloopModel-*.json")):
        stack = json.loads(file.read_text(encoding="utf-8"))
        resources = stack["resources"]
        for policy, index, statement in statements_of(json.loads(stack["request"]["template"]), stack["name"]):
            if "alone" not in evidence.used(used, statement).values():
                continue
            properties = resources[policy]["properties"]
            role = properties["Roles"][0]
            arn = next(r["attributes"]["Arn"] for r in resources.values() if r["physical_id"] == role)
            found.append(Placed(statement, role, arn, properties["PolicyName"], index))
    return found


def without(loop: Where, one: Placed, part: Callable[[Where], str], usual: str) -> str | None:
    """What breaks without it, as a sentence; None where nothing was refused: the part does not come to it."""
    before = denied(loop, one.role_arn)
    with taken_away(loop, one):
        outcome = part(loop)
    refused = sorted(action for action, calls in denied(loop, one.role_arn).items() if calls > before.get(action, 0))
    if not refused:
        return None
    return f"{', '.join(refused)} refused; {outcome if outcome != usual else 'the rest goes on'}"


def denied(loop: Standing, role_arn: str) -> dict[str, int]:
    """How often each action was refused to a role."""
    # Not from the file: it is written at the first refusal of a kind, and these are often the second.
    return {
        entry["action"]: entry["calls"] for entry in loop.cloud.running.usage()["denied"] if entry["role"] == role_arn
    }


@contextmanager
def taken_away(loop: Standing, one: Placed) -> Iterator[None]:
    """The role's policy without it."""
    iam = loop.account.client("iam")
    document = iam.get_role_policy(RoleName=one.role, PolicyName=one.policy)["PolicyDocument"]
    less = json.dumps(one.taken_from(document))
    iam.put_role_policy(RoleName=one.role, PolicyName=one.policy, PolicyDocument=less)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=one.role, PolicyName=one.policy, PolicyDocument=json.dumps(document))


def mend(loop: Loop, number: int) -> None:
    """Close what broke, and let a day go by now and then: so many runs may break within one."""
    active = loop.store.runs.active()
    if active is not None:
        _end(loop, active.run_id)
    if number % RUNS_WITHIN_A_DAY == RUNS_WITHIN_A_DAY - 1:
        loop.advance(hours=25)


def _end(loop: Loop, run_id: str) -> None:
    arn: Any = f"{loop.model.state_machine_arn.replace(':stateMachine:', ':execution:')}:{run_id}"
    client = loop.account.client("stepfunctions")
    if client.describe_execution(executionArn=arn)["status"] == ACTIVE:
        client.stop_execution(executionArn=arn)
    released = CliRunner().invoke(everloop, ["runs", "release", loop.name, run_id, "--reason", "ablation"])
    if released.exit_code:
        print(f"{run_id} is not released: {released.output}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roles", default="*", help="a pattern, such as Functions/*")
    parser.add_argument("--endpoint", action="store_true", help="what only a model on a SageMaker endpoint has")
    parser.add_argument("--actions", action="store_true", help="with --endpoint: single actions, and no statements")
    arguments = parser.parse_args()
    sys.exit(main(arguments.roles, endpoint=arguments.endpoint, actions=arguments.actions))
