"""Why actions stay that no test run uses, beside those that services call (:mod:`tools.roles.implied`)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tools.roles.statements import RoleStatement


@dataclass(frozen=True)
class Kept:
    """Actions of roles, by pattern, and why they stay.

    Attributes
    ----------
    on : str
        What a resource or the condition of the statement contains; empty for any.
    test : str
        The test that takes the rare path; empty where nothing local can.
    """

    roles: tuple[str, ...]
    actions: tuple[str, ...]
    why: str
    on: str = ""
    test: str = ""

    def covers(self, statement: RoleStatement, action: str) -> bool:
        """Whether it speaks of this action of a statement."""
        places = (*statement.resources, statement.conditions)
        return (
            action in self.actions
            and any(fnmatchcase(statement.role, pattern) for pattern in self.roles)
            and any(self.on in place for place in places)
        )


KEPT: tuple[Kept, ...] = (
    Kept(
        ("Functions/Registry",),
        ("s3:GetObject",),
        "another command locked the same record first: the two are compared",
        on="<StorageAudit>",
        test="tests/everloop/registry/test_locked_audit.py",
    ),
    Kept(
        ("Functions/Rollout",),
        ("sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"),
        "an endpoint that somebody made by hand under another name is looked at; refused, the look says so",
        on="endpoint/*",
        test="tests/everloop/rollout/test_elsewhere.py",
    ),
    Kept(
        ("Functions/Rollout",),
        ("sagemaker:ListEndpoints",),
        "endpoints by other names are listed at each look; refused, it says so",
        test="tests/everloop/rollout/test_elsewhere.py",
    ),
    Kept(
        ("Functions/Snapshot", "Functions/Monitor", "Functions/Probe", "Functions/Rollout"),
        ("athena:StopQueryExecution",),
        "a query that takes longer than the function may wait is stopped",
        test="tests/everloop/dataset/test_athena.py",
    ),
    Kept(
        ("Pipeline/Jobs/*",),
        ("s3:AbortMultipartUpload", "s3:GetBucketLocation"),
        "AmazonSageMakerFullAccess has it; whether a job of this kind asks for it shows in an account alone",
    ),
)


def kept(statement: RoleStatement, action: str) -> Kept | None:
    """The reason for an action that nothing used; None where there is none."""
    return next((one for one in KEPT if one.covers(statement, action)), None)
