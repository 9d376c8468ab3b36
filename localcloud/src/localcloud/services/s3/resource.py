"""S3 buckets and their policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.exceptions import ResourceError
from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, ignoring, known, names, tag_map
from localcloud.cloudformation.shapes import document_text, member_arguments
from localcloud.services.s3.lifecycle_resource import LEFTOVERS, lifecycle_rules
from localcloud.services.s3.notification_resource import NOTIFICATIONS, remove_notifications, write_notifications


class Bucket(Handler):
    """A bucket, each of its configurations written by its own call."""

    type = "AWS::S3::Bucket"
    table = table_of(
        NOTIFICATIONS
        + """
        BucketName VersioningConfiguration(Status) ObjectLockEnabled
        ObjectLockConfiguration(ObjectLockEnabled Rule(DefaultRetention(Mode Days Years)))
        LifecycleConfiguration(Rules(Id Status Prefix ExpirationInDays))
        LoggingConfiguration(DestinationBucketName LogFilePrefix)
        """,
        kept={
            "BucketEncryption": ENCRYPTION,
            "PublicAccessBlockConfiguration": "every request must be signed here",
            "OwnershipControls": "access control lists are ignored: policies decide",
            "CorsConfiguration": "web pages of other origins get no answer here",
            "AccessControl": "every bucket is private here",
            "Tags": TAGS,
            **dict.fromkeys(LEFTOVERS, "storage classes and incomplete uploads cost nothing here"),
        },
        refused={
            "LifecycleConfiguration.Rules.TagFilters LifecycleConfiguration.Rules.ObjectSizeGreaterThan "
            "LifecycleConfiguration.Rules.ObjectSizeLessThan LifecycleConfiguration.Rules.ExpirationDate": (
                "rules are supported by prefix and age in days"
            ),
            "ReplicationConfiguration": "there is only one region here",
            "WebsiteConfiguration": "web pages get no answer here",
        },
    )
    attributes = names("Arn DomainName DualStackDomainName RegionalDomainName")
    create_only = names("BucketName")
    name_property = "BucketName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Nobody else is let in by an access list."""
        if known(properties, "AccessControl") not in (None, "Private"):
            yield Problem("AccessControl", "is supported only as Private: use a bucket policy")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the bucket, then configure it."""
        s3 = place.client("s3")
        name = properties.get("BucketName") or place.new_name(63, lower=True)
        if _exists(s3, name):
            raise place.exists_already(f"bucket {name}")
        arguments: dict[str, Any] = {"Bucket": name}
        if place.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": place.region}
        if _is_true(properties.get("ObjectLockEnabled")):
            arguments["ObjectLockEnabledForBucket"] = True
        s3.create_bucket(**arguments)
        made = Made(name, _bucket_attributes(name, place.region))
        place.begun.append(made)
        self._configure(place, name, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Write the configurations that changed."""
        if changed(old, new, "ObjectLockEnabled"):
            raise place.unsupported("ObjectLockEnabled", "can be set only when the bucket is created")
        self._configure(place, made.physical_id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the bucket, which must be empty."""
        s3 = place.client("s3")
        try:
            s3.delete_bucket(Bucket=made.physical_id)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "BucketNotEmpty":
                raise ResourceError(
                    f"{place.where}: bucket {made.physical_id} is not empty; empty it, or retain it"
                ) from error
            if code != "NoSuchBucket":
                raise

    def _configure(self, place: Place, bucket: str, old: Properties, new: Properties) -> None:
        s3 = place.client("s3")
        for name, (write, remove) in _CONFIGURATIONS.items():
            if not changed(old, new, name):
                continue
            if name in new:
                write(s3, place, bucket, new[name])
            elif remove is None:
                raise place.unsupported(name, "can't be removed once it is set")
            else:
                remove(s3, bucket)


class BucketPolicy(Handler):
    """The policy of a bucket."""

    type = "AWS::S3::BucketPolicy"
    table = table_of("Bucket PolicyDocument(*)")
    required = table.names
    create_only = names("Bucket")

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the policy."""
        bucket = properties["Bucket"]
        place.client("s3").put_bucket_policy(Bucket=bucket, Policy=document_text(properties["PolicyDocument"]))
        return Made(bucket)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new policy over the old one."""
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Leave the bucket without a policy."""
        s3 = place.client("s3")
        ignoring(lambda: s3.delete_bucket_policy(Bucket=made.physical_id), "NoSuchBucket", "NoSuchBucketPolicy")


def _exists(s3: Any, name: str) -> bool:
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _is_true(value: Any) -> bool:
    return value in (True, "true")


def _bucket_attributes(name: str, region: str) -> dict[str, str]:
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
    }


def _write_versioning(s3: Any, place: Place, bucket: str, value: Any) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": value["Status"]})


def _write_encryption(s3: Any, place: Place, bucket: str, value: Any) -> None:
    place.check(value, {"ServerSideEncryptionConfiguration"}, "BucketEncryption")
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        place.check(rule, {"ServerSideEncryptionByDefault", "BucketKeyEnabled"}, "BucketEncryption")
        written = {
            "ApplyServerSideEncryptionByDefault" if key == "ServerSideEncryptionByDefault" else key: inner
            for key, inner in rule.items()
        }
        rules.append(written)
    configuration = member_arguments(
        s3, "PutBucketEncryption", "ServerSideEncryptionConfiguration", {"Rules": rules}, place.where
    )
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)


def _write_public_access(s3: Any, place: Place, bucket: str, value: Any) -> None:
    configuration = member_arguments(s3, "PutPublicAccessBlock", "PublicAccessBlockConfiguration", value, place.where)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=configuration)


def _write_lifecycle(s3: Any, place: Place, bucket: str, value: Any) -> None:
    rules = {"Rules": lifecycle_rules(place, value)}
    configuration = member_arguments(
        s3, "PutBucketLifecycleConfiguration", "LifecycleConfiguration", rules, place.where
    )
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration)


def _write_ownership(s3: Any, place: Place, bucket: str, value: Any) -> None:
    configuration = member_arguments(s3, "PutBucketOwnershipControls", "OwnershipControls", value, place.where)
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=configuration)


def _write_logging(s3: Any, place: Place, bucket: str, value: Any) -> None:
    enabled = {
        "TargetBucket": value.get("DestinationBucketName", bucket),
        "TargetPrefix": value.get("LogFilePrefix", ""),
    }
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def _write_object_lock(s3: Any, place: Place, bucket: str, value: Any) -> None:
    configuration = member_arguments(s3, "PutObjectLockConfiguration", "ObjectLockConfiguration", value, place.where)
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)


def _write_cors(s3: Any, place: Place, bucket: str, value: Any) -> None:
    spelled = {"Id": "ID", "MaxAge": "MaxAgeSeconds", "ExposedHeaders": "ExposeHeaders"}
    rules = [{spelled.get(key, key): inner for key, inner in rule.items()} for rule in value["CorsRules"]]
    configuration = member_arguments(s3, "PutBucketCors", "CORSConfiguration", {"CORSRules": rules}, place.where)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=configuration)


def _write_tags(s3: Any, place: Place, bucket: str, value: Any) -> None:
    tags = [{"Key": key, "Value": tag} for key, tag in tag_map(value).items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})


_Write = Callable[[Any, Place, str, Any], None]
_Remove = Callable[[Any, str], Any]
# Versioning comes first: object lock needs it.
_CONFIGURATIONS: dict[str, tuple[_Write, _Remove | None]] = {
    "VersioningConfiguration": (
        _write_versioning,
        lambda s3, bucket: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
    ),
    "BucketEncryption": (_write_encryption, lambda s3, bucket: s3.delete_bucket_encryption(Bucket=bucket)),
    "PublicAccessBlockConfiguration": (
        _write_public_access,
        lambda s3, bucket: s3.delete_public_access_block(Bucket=bucket),
    ),
    "OwnershipControls": (
        _write_ownership,
        lambda s3, bucket: s3.delete_bucket_ownership_controls(Bucket=bucket),
    ),
    "LifecycleConfiguration": (_write_lifecycle, lambda s3, bucket: s3.delete_bucket_lifecycle(Bucket=bucket)),
    "LoggingConfiguration": (
        _write_logging,
        lambda s3, bucket: s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={}),
    ),
    "ObjectLockConfiguration": (_write_object_lock, None),
    "NotificationConfiguration": (write_notifications, remove_notifications),
    "CorsConfiguration": (_write_cors, lambda s3, bucket: s3.delete_bucket_cors(Bucket=bucket)),
    "Tags": (_write_tags, lambda s3, bucket: s3.delete_bucket_tagging(Bucket=bucket)),
}

HANDLERS = (Bucket(), BucketPolicy())
