"""Archives what serves, each time that changes."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.rules import Said, invoke_on_event
from everloop.names import ARCHIVE_RULE, REGISTRY_SOURCE, SERVING_CHANGES, ModelNames


class Manifests(Construct):
    """A rule from the registry's events to the rollout function, which keeps the serving manifest that they carry."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: ModelNames,
        rollout: lambda_.IFunction,
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        said = Said(
            ARCHIVE_RULE, "The manifest of what serves is archived", REGISTRY_SOURCE, SERVING_CHANGES, target="rollout"
        )
        invoke_on_event(self, "Rule", rollout, said, names=names, dead_letters=dead_letters)
