"""What stays of a model, or of all of Everloop, once its stack is gone: where, how much, and what it costs a month.

Prices are those of us-east-1, without the first free gigabytes; another region's differ little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account, Platform
from everloop.cli.operations.removal.stacks import Resource, Stack
from everloop.cost.prices import GIGABYTE, PRICES
from everloop.names import (
    DATASETS_PREFIX,
    ERRORS_PREFIX,
    PLATFORM_STACK,
    PROCESSING_JOB_LOGS,
    TRAINING_JOB_LOGS,
    ModelNames,
)
from everloop.numbers_of import number_of

JOB_LOGS = (TRAINING_JOB_LOGS, PROCESSING_JOB_LOGS)
"""SageMaker makes these groups, for the jobs of the whole account, and keeps what is in them for ever."""

ARCHIVE = "GLACIER_IR"
"""The storage class of old training sets, as S3 lists it."""


@dataclass(frozen=True)
class Kept:
    """Something that stays.

    Attributes
    ----------
    what, where : str
    size : str
        How much there is, in words.
    usd_per_month : float or None
        What it costs as long as it stays; None where that can't be told apart.
    way : str
        Why it stays, and what deletes it once it may go.
    """

    what: str
    where: str
    size: str
    usd_per_month: float | None
    way: str


def kept_of_model(account: Account, model: str, stack: Stack | None) -> list[Kept]:
    """What stays of a model: its rows, artefacts, records, the logs of its jobs, and what its stack does not delete."""
    platform, names = account.platform, ModelNames(model)
    found = [*_lake(account, platform, names)]
    found += _locked(account, "artefacts", platform.artifact_bucket, names.artifacts_prefix)
    if platform.audit_bucket:
        found += _locked(account, "locked audit", platform.audit_bucket, f"{model}/")
    return [*found, *([] if stack is None else log_roles(stack)), *_records(account, names)]


def kept_of_platform(account: Account, stack: Stack | None) -> list[Kept]:
    """What stays of the platform: what its template retains, and what lies beside the stack.

    Of a stack that is gone, what is named after it: every platform that was ever here has left its own.
    """
    if stack is None:
        resources = _named_after_platform(account)
    else:
        resources = [resource for resource in stack.resources if resource.kept and resource.physical_id]
    return [*(_resource(account, resource) for resource in resources), *_job_logs(account), _BOOTSTRAP]


def _named_after_platform(account: Account) -> list[Resource]:
    buckets = account.client("s3").list_buckets()["Buckets"]
    tables = account.client("dynamodb").get_paginator("list_tables").paginate().build_full_result()["TableNames"]
    named = [("AWS::DynamoDB::Table", name) for name in tables if name.startswith(f"{PLATFORM_STACK}-")]
    begins = f"{PLATFORM_STACK.lower()}-"
    named += [("AWS::S3::Bucket", each["Name"]) for each in buckets if each["Name"].startswith(begins)]
    return [Resource("", name, kind, kept=True) for kind, name in named]


def _lake(account: Account, platform: Platform, names: ModelNames) -> Iterator[Kept]:
    kinds = [names.lake_prefix(kind) for kind in ("history", "predictions", "labels")]
    prefixes = [*kinds, names.unloaded_prefix, names.datasets_prefix, names.runs_prefix, names.probes_prefix]
    prefixes += [f"{ERRORS_PREFIX}{prefix}" for prefix in kinds[1:]]
    pages = account.client("s3").get_paginator("list_objects_v2")
    for prefix in prefixes:
        found = [
            one
            for page in pages.paginate(Bucket=platform.lake_bucket, Prefix=prefix)
            for one in page.get("Contents", [])
        ]
        if found:
            where = f"s3://{platform.lake_bucket}/{prefix}"
            size = sum(one["Size"] for one in found)
            way = f"`aws s3 rm --recursive {where}`; {_versions_of(prefix)}"
            yield Kept("rows", where, _size(len(found), size), usd_of_objects(found), way)


def _versions_of(prefix: str) -> str:
    """How long what is deleted there can be brought back, and costs: the lake bucket's rules say it."""
    return "its versions go 365 days later" if prefix.startswith(DATASETS_PREFIX) else "its versions go 30 days later"


def _locked(account: Account, what: str, bucket: str, prefix: str) -> Iterator[Kept]:
    """What stands below a prefix of a bucket that locks what is written to it."""
    client = account.client("s3")
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    found = [version for page in pages for version in page.get("Versions", [])]
    if found:
        size = sum(version["Size"] for version in found)
        until = _locked_until(client, bucket, max(version["LastModified"] for version in found))
        way = f"the auditor's: {until}each version is deleted by its id (`aws s3api delete-object --version-id ID`)"
        yield Kept(what, f"s3://{bucket}/{prefix}", _size(len(found), size), _s3(size), way)


def _locked_until(client: Any, bucket: str, newest: datetime) -> str:
    try:
        lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        return ""
    retention = lock.get("Rule", {}).get("DefaultRetention", {})
    days = retention.get("Days") or 365 * retention.get("Years", 0)
    return f"locked until {newest + timedelta(days=days):%Y-%m-%d} at the latest; then " if days else ""


def log_roles(stack: Stack) -> list[Kept]:
    """What a model with a REST API leaves: the role by which all REST APIs of the account and region log."""
    policy = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    return [
        Kept(
            "log role",
            role.physical_id,
            "",
            0.0,
            "the account's REST APIs log by it, other people's too, while `aws apigateway get-account` names it; then"
            f" `aws iam detach-role-policy --role-name {role.physical_id} --policy-arn {policy}` and"
            f" `aws iam delete-role --role-name {role.physical_id}`",
        )
        for role in stack.resources
        if role.type == "AWS::IAM::Role" and role.kept and role.physical_id
    ]


def _records(account: Account, names: ModelNames) -> Iterator[Kept]:
    store = account.registry(names.model)
    head, runs = store.ledger.audit_head(), len(store.runs.all())
    if head is not None:
        yield Kept(
            "records",
            f"the table {account.platform.table}",
            f"{number_of(head.sequence, 'audit record')}, {number_of(runs, 'run')}",
            None,
            "the auditor's: nobody deletes them; deployed again, the model goes on with them",
        )


def _resource(account: Account, resource: Resource) -> Kept:
    name = resource.physical_id
    if resource.type == "AWS::DynamoDB::Table":
        table = account.client("dynamodb").describe_table(TableName=name)["Table"]
        size = table.get("TableSizeBytes", 0)
        return Kept(
            "registry",
            name,
            f"{number_of(table.get('ItemCount', 0), 'item')}, {size / GIGABYTE:.3f} GB, as last counted by DynamoDB",
            _usd(size, "dynamodb storage", "dynamodb recovery"),
            f"the auditor's: `aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled`, then "
            f"`aws dynamodb delete-table --table-name {name}`",
        )
    if resource.type == "AWS::S3::Bucket":
        way = f"`aws s3 rb --force s3://{name}`, once nothing in it is needed, or locked, any more"
        return Kept("bucket", f"s3://{name}", "its objects", None, way)
    if resource.type == "AWS::KMS::Key":
        way = f"it signed versions: `aws kms schedule-key-deletion --key-id {name}`, once nobody checks them"
        return Kept("signing key", name, "", _usd(1, "keys"), way)
    return Kept(resource.type, name, "", None, "its template keeps it")


def _job_logs(account: Account) -> Iterator[Kept]:
    client = account.client("logs")
    for name in JOB_LOGS:
        groups = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        for group in (group for group in groups if group["logGroupName"] == name):
            days, size = group.get("retentionInDays"), group.get("storedBytes", 0)
            yield Kept(
                "job logs",
                name,
                f"{size / GIGABYTE:.3f} GB, kept {f'{days} days' if days else 'for ever'}",
                _usd(size, "log storage"),
                f"of all SageMaker jobs of the account: `aws logs put-retention-policy --log-group-name {name} "
                "--retention-in-days 90`",
            )


_BOOTSTRAP = Kept(
    "bootstrap",
    "the stack CDKToolkit",
    "what was deployed, in its bucket",
    None,
    "the CDK's, for all of its apps; https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping.html says how it goes",
)


def _size(count: int, size: int) -> str:
    return f"{number_of(count, 'object')}, {size / GIGABYTE:.3f} GB"


def usd_of_objects(found: Iterable[Mapping[str, Any]]) -> float:
    """What objects cost a month, as S3 lists them with size and storage class."""
    sizes = {True: 0, False: 0}
    for one in found:
        sizes[one.get("StorageClass") == ARCHIVE] += one["Size"]
    return _s3(sizes[False]) + _usd(sizes[True], "s3 archive")


def _s3(size: int) -> float:
    return _usd(size, "s3 storage")


def _usd(size: int, *counted: str) -> float:
    """What so many bytes cost a month in us-east-1, counted in each of these ways."""
    return sum(PRICES["us-east-1"][name].usd(size) or 0.0 for name in counted)
