"""No role but the registry function's writes state or audit: tried with the credentials of every deployed role.

Roles are those of the deployed templates, and kinds of records those that stand in the table after the loop has run:
a new one of either is covered by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import filter as filter_names
from functools import cache, partial
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from everloop.cli.operations.locked_records import verify_locked
from everloop.registry.commands import MAY_SEND
from everloop.registry.remote import RemoteRegistry, invoking
from localcloud.cloudformation.state import StateDirectory
from tests.helpers.present import present
from tests.loop.models import BAKERY
from tests.loop.registry_attempts import (
    ATTEMPTS,
    TABLE_ATTEMPTS,
    Item,
    function_attempts,
    locked_attempts,
    outcome,
)
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

ROLE = "AWS::IAM::Role"
PUTS = {"PutItem", "Transaction Put"}
OF_ITEMS = PUTS | {"BatchWriteItem Put"}
"""Ways in which the whole record goes: a policy may ask for its attributes. Of the others' it sees the partition."""

PARTITIONS = {"MODEL": "registry", "WINDOWS": "monitor", "SNAPSHOTS": "snapshot"}
"""The beginnings of the table's partitions, and the function that may put items there: of the same model, no more."""


@dataclass(frozen=True)
class Role:
    """A deployed role: its stack, its logical id in the template, its ARN."""

    stack: str
    logical_id: str
    arn: str

    def is_of(self, model: str, function: str) -> bool:
        stack = f"EverloopModel-{model.replace('_', '-')}"
        return self.stack == stack and self.logical_id.startswith(f"Functions{function.capitalize()}Role")


ClientOf = Callable[[Role, str], Any]

WRITES = {
    *(f"dynamodb:{verb}Item" for verb in ("Put", "Update", "Delete", "BatchWrite", "TransactWrite")),
    *(f"dynamodb:PartiQL{verb}" for verb in ("Insert", "Update", "Delete")),
}
"""The actions of the attempts."""


def may_write_somewhere(loop: Loop, role: Role) -> bool:
    """Whether a policy of the role allows such an action on anything. Where none does, all records are alike to it."""
    iam, name = loop.account.client("iam"), role.arn.rsplit("/", 1)[1]
    if iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        return True
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        for statement in iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]:
            given = statement.get("Action", ["*"])
            patterns = [given] if isinstance(given, str) else given
            if statement["Effect"] == "Allow" and any(filter_names(WRITES, pattern) for pattern in patterns):
                return True
    return False


@pytest.fixture(scope="module")
def roles(loop: Loop) -> list[Role]:
    """Every role that the templates declare."""
    stacks = StateDirectory(loop.cloud.running.state_directory / "stacks").load_all()
    found = [
        Role(stack.name, name, resource.attributes["Arn"])
        for stack in stacks
        for name, resource in stack.resources.items()
        if resource.type == ROLE
    ]
    listed = loop.account.client("iam").get_paginator("list_roles").paginate()
    assert {role["Arn"] for page in listed for role in page["Roles"]} == {role.arn for role in found}
    return found


@pytest.fixture(scope="module")
def records(loop: Loop) -> dict[tuple[str, str], Item]:
    """One record of each kind, by partition and kind; of the other model, which never ran, where they would be."""
    pages = loop.account.client("dynamodb").get_paginator("scan").paginate(TableName=loop.account.platform.table)
    found: dict[tuple[str, str], Item] = {}
    for page in pages:
        for item in page["Items"]:
            found.setdefault((item["pk"]["S"], item["sk"]["S"].split("#")[0]), item)
    for sort_key in ("AUDIT#000000000001", "AUDIT_HEAD", "CHAMPION"):
        place = {"pk": {"S": f"MODEL#{BAKERY}"}, "sk": {"S": sort_key}}
        found.setdefault((place["pk"]["S"], sort_key.split("#")[0]), place)
    own = {kind for partition, kind in found if partition.endswith(f"#{loop.name}")}
    assert own >= {"VERSION", "RUN", "ACTIVE_RUN", "AUDIT", "AUDIT_HEAD", "CHAMPION", "COUNTER", "ROLLOUT", "OPERATION"}
    assert own >= {"PLACE", "WINDOW", "SNAPSHOT"}
    return found


@pytest.fixture(scope="module")
def client_of(loop: Loop) -> ClientOf:
    """Gives a client of a service with a role's credentials, without retries; each is made once."""

    @cache
    def credentials(role: Role) -> dict[str, str]:
        given = loop.account.client("sts").assume_role(RoleArn=role.arn, RoleSessionName="forger")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    @cache
    def client(role: Role, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1})
        session: Any = loop.account.session
        return session.client(service, config=config, **credentials(role))

    return client


def test_the_attempts_are_such_as_the_table_takes(loop: Loop) -> None:
    """Whoever may do everything is not refused for how an attempt is made; tried in a partition that is nobody's."""
    client, table = loop.account.client("dynamodb"), loop.account.platform.table
    item = {"pk": {"S": "NOBODY#"}, "sk": {"S": "CHAMPION"}, "version": {"N": "2"}}
    client.put_item(TableName=table, Item=item)
    said = {name: outcome(partial(attempt, client, table, item)) for name, attempt in ATTEMPTS.items()}
    assert set(said.values()) == {"done", "ConditionalCheckFailedException", "TransactionCanceledException"}, said
    assert client.get_item(TableName=table, Key={n: item[n] for n in ("pk", "sk")})["Item"] == item
    for sort_key in ("CHAMPION", "CHAMPION~nobody"):
        client.delete_item(TableName=table, Key={"pk": item["pk"], "sk": {"S": sort_key}})


def test_state_and_audit_have_one_writer_and_nobody_updates_or_deletes(
    loop: Loop, roles: list[Role], client_of: ClientOf, records: dict[tuple[str, str], Item]
) -> None:
    table, may, tried = loop.account.platform.table, set(), 0
    expected, one = set(), next(iter(records))
    for role in roles:
        client, writes = client_of(role, "dynamodb"), may_write_somewhere(loop, role)
        for (partition, kind), item in records.items():
            begins, model = partition.split("#", 1)
            if role.is_of(model, PARTITIONS[begins]):
                expected |= {(role, partition, kind, put) for put in PUTS}
            if not writes and (partition, kind) != one:
                continue
            first = next(other for within, other in records if within == partition)
            for name, attempt in ATTEMPTS.items():
                if name not in OF_ITEMS and kind != first:
                    continue
                tried += 1
                if outcome(partial(attempt, client, table, item)) != "denied":
                    may.add((role, partition, kind, name))
    print(
        f"{len(roles)} roles, {len(records)} kinds of records, {len(ATTEMPTS)} ways: {tried} tried, {len(may)} allowed"
    )
    assert may == expected


def test_nobody_changes_or_deletes_a_locked_audit_record(loop: Loop, roles: list[Role], client_of: ClientOf) -> None:
    """The registry function may put records, and is refused where one stands; nobody else may even that."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.audit_bucket
    before = loop.account.locked_audit(loop.name).stored()
    key = loop.account.locked_audit(loop.name).key(before[0].sequence)
    (version,) = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    attempts = locked_attempts(key, version["VersionId"])
    said = {
        (role.stack, role.logical_id, name): outcome(partial(attempt, client, bucket))
        for role in roles
        for client in [client_of(role, "s3")]
        for name, attempt in attempts.items()
    }
    print(f"{len(roles)} roles, {len(attempts)} ways: {len(said)} tried")
    registry = next(role for role in roles if role.is_of(loop.name, "registry"))
    only = (registry.stack, registry.logical_id, "PutObject, if there is none")
    assert {place: what for place, what in said.items() if what != "denied"} == {only: "PreconditionFailed"}
    assert loop.account.locked_audit(loop.name).stored() == before


def test_the_lock_itself_holds_where_the_policy_is_taken_away(loop: Loop) -> None:
    """The operator may everything here, and no policy stops it: Object Lock does."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.audit_bucket
    locked = loop.account.locked_audit(loop.name)
    first = locked.stored()[0]
    (version,) = s3.list_object_versions(Bucket=bucket, Prefix=locked.key(first.sequence))["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=locked.key(first.sequence), VersionId=version["VersionId"])
    assert locked.stored()[0] == first


def test_every_record_of_the_loop_is_locked(loop: Loop) -> None:
    found = verify_locked(loop.account, loop.name)
    assert (found.locked, found.problems) == (present(loop.store.ledger.audit_head()).sequence, ())


def test_no_role_reads_another_models_records(loop: Loop, roles: list[Role], client_of: ClientOf) -> None:
    table, may = loop.account.platform.table, set()
    for role in roles:
        client = client_of(role, "dynamodb")
        for model in (loop.name, BAKERY):
            key = {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": "CHAMPION"}}
            if outcome(partial(client.get_item, TableName=table, Key=key)) != "denied":
                may.add((role.stack, model))
    assert may == {(f"EverloopModel-{model.replace('_', '-')}", model) for model in (loop.name, BAKERY)}


def test_nobody_touches_the_table_itself(loop: Loop, roles: list[Role], client_of: ClientOf) -> None:
    table = loop.account.platform.table
    may = {
        (role, name)
        for role in roles
        for client in [client_of(role, "dynamodb")]
        for name, attempt in TABLE_ATTEMPTS.items()
        if outcome(partial(attempt, client, table)) != "denied"
    }
    assert may == set()


def test_each_caller_invokes_its_own_alias_alone(loop: Loop, roles: list[Role], client_of: ClientOf) -> None:
    may, expected = set(), set()
    for role in roles:
        client = client_of(role, "lambda")
        for model in (loop.name, BAKERY):
            for alias in (None, "$LATEST", *MAY_SEND):
                given = {"Qualifier": alias} if alias else {}
                name = f"everloop-{model}-registry"
                called = outcome(partial(client.invoke, FunctionName=name, InvocationType="DryRun", **given))
                if called != "denied":
                    may.add((role, model, alias))
                if alias and role.is_of(model, alias):
                    expected.add((role, model, alias))
    assert len(expected) == 6, "run, register and rollout, of two models"
    assert may == expected


def test_nobody_gets_hold_of_the_registry_function_or_its_role(
    loop: Loop, roles: list[Role], client_of: ClientOf
) -> None:
    may = set()
    for model in (loop.name, BAKERY):
        registry = next(role for role in roles if role.is_of(model, "registry"))
        attempts = function_attempts(f"everloop-{model}-registry", registry.arn, f"everloop-{model}-predict")
        for role in roles:
            may |= {
                (role, name)
                for name, (service, call) in attempts.items()
                if outcome(partial(call, client_of(role, service))) != "denied"
            }
    assert may == set()


@pytest.mark.parametrize(
    ("function", "command"),
    [
        ("run", {"command": "Promote", "rollout_id": "r", "at": "2013-03-12T00:00:00Z", "actor": "forger"}),
        ("register", {"command": "OpenRun", "run_id": "r", "at": "2013-03-12T00:00:00Z", "actor": "forger"}),
        ("rollout", {"command": "ReleaseStaleRun", "run_id": "r", "reason": "x", "at": "t", "actor": "forger"}),
    ],
)
def test_the_registry_function_refuses_what_a_caller_may_not(
    loop: Loop, roles: list[Role], client_of: ClientOf, function: str, command: dict[str, Any]
) -> None:
    role = next(role for role in roles if role.is_of(loop.name, function))
    before = loop.store.ledger.audit_head()
    send = invoking(client_of(role, "lambda"), f"everloop-{loop.name}-registry:{function}")
    refused = send(command)["refused"]
    assert refused["error"] == "CommandRefusedError"
    assert f"the caller {function} may send" in refused["message"], json.dumps(refused)
    assert loop.store.ledger.audit_head() == before


def test_the_audit_says_through_whom_each_record_came(loop: Loop) -> None:
    via = {record.details.get("via") for record in loop.store.ledger.audit_records()}
    assert via <= set(MAY_SEND)
    assert via >= {"run", "register", "rollout"}
    assert isinstance(loop.store, RemoteRegistry)
