"""What an S3 request needs to be allowed: its actions and ARNs, from method, path, query and headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from xml.parsers.expat import ExpatError

import xmltodict

from localcloud.iam.calls import Access, UnclearRequestError

_BUCKET_SUBRESOURCES = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "logging": "BucketLogging",
    "metrics": "MetricsConfiguration",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_OBJECT_SUBRESOURCES = {"acl": "Acl", "tagging": "Tagging", "retention": "Retention", "legal-hold": "LegalHold"}
_CONTEXT_PARAMETERS = {
    "prefix": "s3:prefix",
    "delimiter": "s3:delimiter",
    "max-keys": "s3:max-keys",
    "versionId": "s3:versionid",
}
_CONTEXT_HEADERS = {
    "x-amz-acl": "s3:x-amz-acl",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-copy-source": "s3:x-amz-copy-source",
    "If-None-Match": "s3:if-none-match",
    "If-Match": "s3:if-match",
}


def settle_s3(response: Any, request: Any) -> None:
    """Leave a request the query of its address alone: moto would also take one from a form in the body.

    Raises
    ------
    UnclearRequestError
        For a copy whose source is not a path.
    """
    response.querystring = response.data = parse_qs(urlparse(request.url).query, keep_blank_values=True)
    source = urlparse(request.headers.get("x-amz-copy-source") or "")
    if source.scheme or source.netloc or source.params or source.fragment:
        raise UnclearRequestError(f"x-amz-copy-source is {source.geturl()!r}: it must be bucket/key, percent-encoded")


def s3_accesses(response: Any, request: Any, bucket: str | None, key: str | None) -> list[Access]:
    """The accesses of a request: one as a rule, two for a copy, one for each key of a bulk delete."""
    query = {name: values[0] for name, values in parse_qs(urlparse(request.url).query, keep_blank_values=True).items()}
    context: dict[str, tuple[str, ...]] = {
        condition: (query[name],) for name, condition in _CONTEXT_PARAMETERS.items() if name in query
    }
    context.update(
        (condition, (request.headers[name],)) for name, condition in _CONTEXT_HEADERS.items() if name in request.headers
    )
    if not bucket:
        return [Access("s3:ListAllMyBuckets", ("*",), context)]
    bucket_arn = f"arn:aws:s3:::{bucket}"
    if not key:
        return _of_bucket(response, request.method, query, bucket_arn, context)
    return [
        Access(f"s3:{action}", (arn,), context) for action, arn in _of_object(request, query, f"{bucket_arn}/{key}")
    ]


def _of_bucket(
    response: Any, method: str, query: dict[str, str], arn: str, context: dict[str, tuple[str, ...]]
) -> list[Access]:
    if method == "POST" and "delete" in query:
        return [Access(f"s3:{action}", (f"{arn}/{key}",), context) for action, key in _deleted(response)]
    return [Access(f"s3:{_bucket_action(method, query)}", (arn,), context)]


def _bucket_action(method: str, query: dict[str, str]) -> str:
    verb = "Get" if method in ("GET", "HEAD") else "Put"
    for name, noun in _BUCKET_SUBRESOURCES.items():
        if name in query:
            # Most settings are removed under the right to put them; only these two have their own.
            if method == "DELETE" and name in ("policy", "website"):
                return f"Delete{noun}"
            return verb + noun
    if "location" in query:
        return "GetBucketLocation"
    if "policyStatus" in query:
        return "GetBucketPolicyStatus"
    if "versions" in query:
        return "ListBucketVersions"
    if "uploads" in query:
        return "ListBucketMultipartUploads"
    return {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "POST": "PutObject"}.get(method, "ListBucket")


def _deleted(response: Any) -> list[tuple[str, str]]:
    """Action and key of each object to delete, read as moto reads them: it must not find others than were allowed."""
    try:
        found = xmltodict.parse(response.body, strip_whitespace=False)["Delete"]["Object"]
        objects = found if isinstance(found, list) else [found]
        # An empty list, too, would be a request that nothing must be allowed for.
        return [(_delete_action(entry), entry["Key"]) for entry in objects] or [_UNTOLD]
    except (ExpatError, KeyError, TypeError, ValueError):
        return [_UNTOLD]


_UNTOLD = ("DeleteObject", "*")
"""What a request needs that does not tell its keys."""


def _delete_action(entry: dict[str, Any]) -> str:
    return "DeleteObjectVersion" if entry.get("VersionId") else "DeleteObject"


def _of_object(request: Any, query: dict[str, str], arn: str) -> list[tuple[str, str]]:
    method, version = request.method, "Version" if "versionId" in query else ""
    for name, noun in _OBJECT_SUBRESOURCES.items():
        if name in query:
            verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[method]
            versioned = version if name in ("acl", "tagging") else ""
            return [(f"{verb}Object{versioned}{noun}", arn)]
    if "uploadId" in query and method == "GET":
        return [("ListMultipartUploadParts", arn)]
    if "uploadId" in query and method == "DELETE":
        return [("AbortMultipartUpload", arn)]
    if "restore" in query:
        return [("RestoreObject", arn)]
    if "attributes" in query:
        return [(f"GetObject{version}", arn), (f"GetObject{version}Attributes", arn)]
    if method in ("GET", "HEAD"):
        return [(f"GetObject{version}", arn)]
    if method == "DELETE":
        return [(f"DeleteObject{version}", arn), *_bypass(request, arn)]
    if "select" in query:
        return [("GetObject", arn)]
    return [("PutObject", arn), *_written_along(request, arn)]


def _written_along(request: Any, arn: str) -> list[tuple[str, str]]:
    """What a PUT needs besides PutObject, by its headers."""
    needed = []
    source = request.headers.get("x-amz-copy-source")
    if source:
        parsed = urlparse(source)  # in moto's order: a question mark that is encoded is the key's
        version, path = "versionId" in parse_qs(parsed.query), unquote(parsed.path).lstrip("/")
        needed.append(("GetObjectVersion" if version else "GetObject", f"arn:aws:s3:::{path}"))
    if "x-amz-tagging" in request.headers:
        needed.append(("PutObjectTagging", arn))
    if "x-amz-object-lock-mode" in request.headers:
        needed.append(("PutObjectRetention", arn))
    if "x-amz-object-lock-legal-hold" in request.headers:
        needed.append(("PutObjectLegalHold", arn))
    return needed


def _bypass(request: Any, arn: str) -> list[tuple[str, str]]:
    wants = (request.headers.get("x-amz-bypass-governance-retention") or "").lower() == "true"
    return [("BypassGovernanceRetention", arn)] if wants else []
