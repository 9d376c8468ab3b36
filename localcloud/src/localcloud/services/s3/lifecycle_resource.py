"""Lifecycle rules of buckets, which CloudFormation spells quite differently from the API."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.resource import Place

LEFTOVERS = tuple(
    f"LifecycleConfiguration.{name}"
    for name in (
        "TransitionDefaultMinimumObjectSize",
        "Rules.AbortIncompleteMultipartUpload",
        "Rules.ExpiredObjectDeleteMarker",
        "Rules.NoncurrentVersionExpiration",
        "Rules.NoncurrentVersionExpirationInDays",
        "Rules.NoncurrentVersionTransitions",
        "Rules.Transitions",
    )
)
"""What of a bucket's rules is kept and not carried out."""


def lifecycle_rules(place: Place, configuration: Any) -> list[dict[str, Any]]:
    """The API's rules for a ``LifecycleConfiguration``."""
    return [_rule(place, rule) for rule in configuration["Rules"]]


def _rule(place: Place, rule: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"Status": rule["Status"], "Filter": _filter(rule)}
    if "Id" in rule:
        written["ID"] = rule["Id"]
    spelled = {
        "ExpirationInDays": "Days",
        "ExpirationDate": "Date",
        "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
    }
    expiration = {spelled[key]: rule[key] for key in spelled if key in rule}
    if expiration:
        written["Expiration"] = expiration
    if "AbortIncompleteMultipartUpload" in rule:
        written["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    if "NoncurrentVersionExpirationInDays" in rule:
        written["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    if "NoncurrentVersionExpiration" in rule:
        written["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
    if "Transitions" in rule:
        written["Transitions"] = [
            _transition(place, transition, {"TransitionInDays": "Days", "TransitionDate": "Date"})
            for transition in rule["Transitions"]
        ]
    if "NoncurrentVersionTransitions" in rule:
        written["NoncurrentVersionTransitions"] = [
            _transition(place, transition, {"TransitionInDays": "NoncurrentDays"})
            for transition in rule["NoncurrentVersionTransitions"]
        ]
    return written


def _filter(rule: dict[str, Any]) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        key: rule[key] for key in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan") if key in rule
    }
    tags = rule.get("TagFilters", [])
    if len(conditions) + len(tags) > 1:
        return {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    if tags:
        return {"Tag": tags[0]}
    return conditions or {"Prefix": ""}


def _transition(place: Place, transition: dict[str, Any], spelled: dict[str, str]) -> dict[str, Any]:
    understood = {"StorageClass", "NewerNoncurrentVersions", *spelled}
    place.check(transition, understood, "LifecycleConfiguration.Rules.Transitions")
    return {spelled.get(key, key): value for key, value in transition.items()}
