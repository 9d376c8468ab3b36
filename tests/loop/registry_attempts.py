"""Ways to write, update or delete one record of the registry, and what became of an attempt.

Where the API knows conditions, an attempt carries one that never holds: it is refused either way, and by which error
tells who may. PartiQL and deleting in a batch aim at a neighbour of the record that does not exist: permissions reach
partitions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, dict[str, Any]]
Attempt = Callable[[Any, str, Item], Any]

NEVER = {
    "ConditionExpression": "attribute_exists(pk) AND pk = :never",
    "ExpressionAttributeValues": {":never": {"S": "-"}},
}
_SET = {
    "UpdateExpression": "SET actor = :forged",
    "ConditionExpression": "pk = :never",
    "ExpressionAttributeValues": {":never": {"S": "-"}, ":forged": {"S": "forger"}},
}


def _key(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}


def _neighbour(item: Item) -> Item:
    return {"pk": item["pk"], "sk": {"S": item["sk"]["S"] + "~nobody"}}


def _one(client: Any, kind: str, part: dict[str, Any]) -> Any:
    return client.transact_write_items(TransactItems=[{kind: part}])


def _statement(verb: str, table: str, item: Item) -> dict[str, str]:
    """A PartiQL statement; none of them changes a record that is there."""
    pk, sk = (value["S"] for value in _neighbour(item).values())
    where = f"WHERE pk='{pk}' AND sk='{sk}'"
    statements = {
        "INSERT": f"INSERT INTO \"{table}\" VALUE {{'pk': '{pk}', 'sk': '{sk}'}}",
        "UPDATE": f"UPDATE \"{table}\" SET actor='forger' {where}",
        "DELETE": f'DELETE FROM "{table}" {where}',
    }
    return {"Statement": statements[verb]}


ATTEMPTS: dict[str, Attempt] = {
    "PutItem": lambda c, t, i: c.put_item(TableName=t, Item=i, **NEVER),
    "UpdateItem": lambda c, t, i: c.update_item(TableName=t, Key=_key(i), **_SET),
    "DeleteItem": lambda c, t, i: c.delete_item(TableName=t, Key=_key(i), **NEVER),
    "BatchWriteItem Put": lambda c, t, i: c.batch_write_item(RequestItems={t: [{"PutRequest": {"Item": i}}]}),
    "BatchWriteItem Delete": lambda c, t, i: c.batch_write_item(
        RequestItems={t: [{"DeleteRequest": {"Key": _neighbour(i)}}]}
    ),
    "Transaction Put": lambda c, t, i: _one(c, "Put", {"TableName": t, "Item": i, **NEVER}),
    "Transaction Update": lambda c, t, i: _one(c, "Update", {"TableName": t, "Key": _key(i), **_SET}),
    "Transaction Delete": lambda c, t, i: _one(c, "Delete", {"TableName": t, "Key": _key(i), **NEVER}),
    "PartiQL insert": lambda c, t, i: c.execute_statement(**_statement("INSERT", t, i)),
    "PartiQL update": lambda c, t, i: c.execute_statement(**_statement("UPDATE", t, i)),
    "PartiQL delete": lambda c, t, i: c.execute_statement(**_statement("DELETE", t, i)),
    "PartiQL batch": lambda c, t, i: c.batch_execute_statement(Statements=[_statement("DELETE", t, i)]),
    "PartiQL transaction": lambda c, t, i: c.execute_transaction(TransactStatements=[_statement("DELETE", t, i)]),
}

TABLE_ATTEMPTS: dict[str, Callable[[Any, str], Any]] = {
    "DeleteTable": lambda c, t: c.delete_table(TableName=t),
    "UpdateTable": lambda c, t: c.update_table(TableName=t, DeletionProtectionEnabled=False),
    "UpdateTimeToLive": lambda c, t: c.update_time_to_live(
        TableName=t, TimeToLiveSpecification={"Enabled": True, "AttributeName": "sequence"}
    ),
    "UpdateContinuousBackups": lambda c, t: c.update_continuous_backups(
        TableName=t, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    ),
}


def locked_attempts(key: str, version: str) -> dict[str, Callable[[Any, str], Any]]:
    """Ways to change or delete a locked audit record, or to make that possible: calls of an S3 client and the bucket.

    Parameters
    ----------
    key, version : str
        The record's, and that of what it was first.
    """
    anybody = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}],
        }
    )
    held = {"Mode": "GOVERNANCE", "RetainUntilDate": "2000-01-01T00:00:00Z"}
    one = {"Key": key, "VersionId": version}
    return {
        "PutObject": lambda c, b: c.put_object(Bucket=b, Key=key, Body=b"{}"),
        "PutObject, if it is this one": lambda c, b: c.put_object(Bucket=b, Key=key, Body=b"{}", IfMatch="0"),
        "PutObject, if there is none": lambda c, b: c.put_object(Bucket=b, Key=key, Body=b"{}", IfNoneMatch="*"),
        "CopyObject": lambda c, b: c.copy_object(Bucket=b, Key=key, CopySource={"Bucket": b, "Key": key}),
        "CreateMultipartUpload": lambda c, b: c.create_multipart_upload(Bucket=b, Key=key),
        "DeleteObject": lambda c, b: c.delete_object(Bucket=b, Key=key),
        "DeleteObject, the version": lambda c, b: c.delete_object(Bucket=b, **one),
        "DeleteObject, past the lock": lambda c, b: c.delete_object(Bucket=b, **one, BypassGovernanceRetention=True),
        "DeleteObjects": lambda c, b: c.delete_objects(Bucket=b, Delete={"Objects": [one]}),
        "PutObjectRetention": lambda c, b: c.put_object_retention(
            Bucket=b, **one, Retention=held, BypassGovernanceRetention=True
        ),
        "PutObjectLegalHold": lambda c, b: c.put_object_legal_hold(Bucket=b, **one, LegalHold={"Status": "OFF"}),
        "PutBucketPolicy": lambda c, b: c.put_bucket_policy(Bucket=b, Policy=anybody),
        "DeleteBucketPolicy": lambda c, b: c.delete_bucket_policy(Bucket=b),
        "PutObjectLockConfiguration": lambda c, b: c.put_object_lock_configuration(
            Bucket=b, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
        "PutBucketVersioning": lambda c, b: c.put_bucket_versioning(
            Bucket=b, VersioningConfiguration={"Status": "Suspended"}
        ),
        "PutBucketLifecycleConfiguration": lambda c, b: c.put_bucket_lifecycle_configuration(
            Bucket=b,
            LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]},
        ),
        "DeleteBucket": lambda c, b: c.delete_bucket(Bucket=b),
    }


def function_attempts(registry: str, role_arn: str, predict: str) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Ways to get hold of the registry function or of its role: service, and the call of its client.

    Parameters
    ----------
    registry, predict : str
        Names of the registry function, and of the function that a rollout may change.
    role_arn : str
        The registry function's role.
    """
    role = role_arn.rsplit("/", 1)[1]
    anybody = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        }
    )
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}
    )
    return {
        "UpdateFunctionCode": (
            "lambda",
            lambda c: c.update_function_code(FunctionName=registry, S3Bucket="nowhere", S3Key="code.zip"),
        ),
        "UpdateFunctionConfiguration": (
            "lambda",
            lambda c: c.update_function_configuration(FunctionName=registry, Description="mine"),
        ),
        "UpdateAlias": ("lambda", lambda c: c.update_alias(FunctionName=registry, Name="run", Description="mine")),
        "CreateAlias": (
            "lambda",
            lambda c: c.create_alias(FunctionName=registry, Name="mine", FunctionVersion="$LATEST"),
        ),
        "DeleteAlias": ("lambda", lambda c: c.delete_alias(FunctionName=registry, Name="run")),
        "PublishVersion": ("lambda", lambda c: c.publish_version(FunctionName=registry)),
        "DeleteFunction": ("lambda", lambda c: c.delete_function(FunctionName=registry)),
        "AddPermission": (
            "lambda",
            lambda c: c.add_permission(
                FunctionName=registry, StatementId="mine", Action="lambda:InvokeFunction", Principal="*"
            ),
        ),
        "PutFunctionConcurrency": (
            "lambda",
            lambda c: c.put_function_concurrency(FunctionName=registry, ReservedConcurrentExecutions=0),
        ),
        "its role for the prediction function": (
            "lambda",
            lambda c: c.update_function_configuration(FunctionName=predict, Role=role_arn),
        ),
        "AssumeRole": ("sts", lambda c: c.assume_role(RoleArn=role_arn, RoleSessionName="mine")),
        "PutRolePolicy": (
            "iam",
            lambda c: c.put_role_policy(RoleName=role, PolicyName="mine", PolicyDocument=everything),
        ),
        "UpdateAssumeRolePolicy": (
            "iam",
            lambda c: c.update_assume_role_policy(RoleName=role, PolicyDocument=anybody),
        ),
    }


def outcome(call: Callable[[], Any]) -> str:
    """``denied``, or what else the account said: ``done`` or the error's code, both of which mean that one may."""
    try:
        answer = call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "denied" if code in ("AccessDeniedException", "AccessDenied") else code
    said = [part.get("Error") for part in answer.get("Responses") or [] if isinstance(part, dict)]
    return next((error["Code"] for error in said if error), "done")
