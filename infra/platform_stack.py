"""What all models share."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from everloop.infra.analytics import Analytics
from everloop.infra.grants import exports_of
from everloop.infra.http_api import HttpApi
from everloop.infra.messaging import AlertTopic, EventBus
from everloop.infra.platform_reference import Platform
from everloop.infra.routes import USUAL
from everloop.infra.settings import AuditLock
from everloop.infra.signing import SigningKey
from everloop.infra.storage import RegistryTable, Storage
from everloop.names import ACCESS_LOG, ATHENA_WORKGROUP, EVENT_BUS, GLUE_DATABASE, PLATFORM_PARAMETER


class PlatformStack(Stack):
    """Registry, lake, artifacts, locked audit records, signing key, bus, alerts, catalogue and API."""

    def __init__(self, scope: Construct, construct_id: str, *, audit_lock: AuditLock, **properties: Any) -> None:
        super().__init__(scope, construct_id, **properties)
        table = RegistryTable(self, "Registry").table
        storage = Storage(self, "Storage", audit_lock=audit_lock)
        EventBus(self, "Events")
        topic = AlertTopic(self, "Alerts").topic
        signing_key_arn = SigningKey(self, "Signing").key.key_arn
        Analytics(self, "Analytics", lake=storage.lake)
        api = HttpApi(
            self,
            "Http",
            name="everloop",
            description="Everloop: predictions and labels",
            log_group=ACCESS_LOG,
            limit=USUAL,
        ).api
        # Also where no model is asked here: an export that goes with the last one's move to an API of its own could not
        # be deleted, since this stack is deployed before that one has stopped using it.
        for value in (api.api_id, api.api_endpoint):
            self.export_value(value)
        self.platform = Platform(
            table=table,
            lake=storage.lake,
            artifacts=storage.artifacts,
            audit=storage.audit,
            topic=topic,
            signing_key_arn=signing_key_arn,
            api_id=api.api_id,
            api_endpoint=api.api_endpoint,
            exports=exports_of(self, storage.lake.bucket_arn, storage.artifacts.bucket_arn, storage.audit.bucket_arn),
        )
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=PLATFORM_PARAMETER,
            description="Read by Everloop's command line: the platform",
            string_value=self.to_json_string(
                {
                    "table": table.table_name,
                    "lake_bucket": storage.lake.bucket_name,
                    "artifact_bucket": storage.artifacts.bucket_name,
                    "audit_bucket": storage.audit.bucket_name,
                    "event_bus": EVENT_BUS,
                    "alert_topic_arn": topic.topic_arn,
                    "signing_key": signing_key_arn,
                    "athena_workgroup": ATHENA_WORKGROUP,
                    "glue_database": GLUE_DATABASE,
                    "api_endpoint": api.api_endpoint,
                }
            ),
        )
        CfnOutput(self, "ApiEndpoint", value=api.api_endpoint, description="The URL for predictions")
