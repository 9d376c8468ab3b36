"""What assemblies rely on before their first stack: the bucket of their files, and the version of the bootstrap.

``cdk bootstrap`` makes both, with the roles under which the CDK's command line works. Who deploys an assembly without
it gets the two alone, as a stack of the same name with the same logical ids: ``cdk bootstrap`` then adds the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

STANDARD = "/cdk-bootstrap/hnb659fds/version"
"""The parameter of the CDK's own qualifier."""

_PARAMETER = re.compile(r"/cdk-bootstrap/(?P<qualifier>[A-Za-z0-9_-]{1,10})/version")
_STANDARD_QUALIFIER = "hnb659fds"
_STANDARD_STACK = "CDKToolkit"
_VERSION = "30"


def bootstrap_stacks(parameters: Iterable[str | None]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The stacks that make what assemblies rely on.

    Parameters
    ----------
    parameters : iterable of str or None
        The parameters with the bootstrap's version that stacks name; the standard one where a stack names none.

    Returns
    -------
    dict
        Parameter → name and template of the stack; a name that is not of the CDK's form is left out.
    """
    found = {}
    for parameter in sorted({given or STANDARD for given in parameters}):
        match = _PARAMETER.fullmatch(parameter)
        if match is not None:
            qualifier = match["qualifier"]
            standard = qualifier == _STANDARD_QUALIFIER
            name = _STANDARD_STACK if standard else f"{_STANDARD_STACK}-{qualifier.replace('_', '-')}"
            found[parameter] = (name, _template(qualifier, parameter))
    return found


def is_bootstrap(stack: str) -> bool:
    """Whether a stack is one that apps rely on, and belongs to none of them."""
    return stack == _STANDARD_STACK or stack.startswith(f"{_STANDARD_STACK}-")


def _template(qualifier: str, parameter: str) -> Mapping[str, Any]:
    bucket = {"Fn::Sub": f"cdk-{qualifier}-assets-${{AWS::AccountId}}-${{AWS::Region}}"}
    return {
        "Description": "What deployed apps rely on; `cdk bootstrap` adds its roles",
        "Resources": {
            "StagingBucket": {
                "Type": "AWS::S3::Bucket",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {"BucketName": bucket, "VersioningConfiguration": {"Status": "Enabled"}},
            },
            "CdkBootstrapVersion": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Name": parameter, "Value": _VERSION},
            },
        },
        "Outputs": {
            "BucketName": {"Value": {"Ref": "StagingBucket"}},
            "BucketDomainName": {"Value": {"Fn::GetAtt": ["StagingBucket", "RegionalDomainName"]}},
            "BootstrapVersion": {"Value": _VERSION},
        },
    }
