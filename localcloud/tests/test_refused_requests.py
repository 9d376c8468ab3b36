"""A request that moto would record, and that nothing would act on, is refused by name with what to do instead."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from localcloud.services.registry import services
from localcloud.services.service import Service
from support.in_process import Cloud

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("logs", "put_metric_filter", {"logGroupName": "g", "filterName": "f", "filterPattern": "",
     "metricTransformations": [{"metricName": "a", "metricNamespace": "b", "metricValue": "1"}]}, "PutMetricData"),
    ("logs", "start_query", {"startTime": 0, "endTime": 1, "queryString": "fields @message"}, "FilterLogEvents"),
    ("events", "create_archive", {"ArchiveName": "a", "EventSourceArn": ARN.format("events", "event-bus/default")},
     "a queue or a log group"),
    ("sns", "create_platform_application", {"Name": "a", "Platform": "GCM", "Attributes": {}}, "subscribe a queue"),
    ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript"}, "invoke a function"),
    ("secretsmanager", "rotate_secret", {"SecretId": "s"}, "PutSecretValue"),
    ("glue", "create_crawler", {"Name": "c", "Role": "r", "Targets": {}}, "CreateTable"),
    ("iam", "create_user", {"UserName": "u"}, "use roles: create one"),
    ("stepfunctions", "create_activity", {"name": "a"}, "task token"),
    ("s3", "put_bucket_website", {"Bucket": "b", "WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}}},
     "HTTP API"),
    ("sqs", "start_message_move_task", {"SourceArn": ARN.format("sqs", "q")}, "does not execute StartMessageMoveTask"),
    ("dynamodb", "enable_kinesis_streaming_destination", {"TableName": "tab", "StreamArn": ARN.format("kinesis", "s")},
     "does not execute EnableKinesisStreamingDestination"),
]  # fmt: skip


def test_what_nothing_acts_on_is_refused_at_once(cloud: Cloud) -> None:
    said = {}
    for service, operation, parameters, remedy in REFUSED:
        with pytest.raises(ClientError) as refused:
            getattr(cloud.client(service), operation)(**parameters)
        said[operation] = str(refused.value)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400, operation
        assert "UnknownOperationException" in said[operation], operation
        assert "the local cloud does not execute" in said[operation]
        assert remedy in said[operation]


@pytest.mark.parametrize("service", [s for s in services() if s.refused], ids=lambda service: service.signing_name)
def test_what_a_service_refuses_is_an_action_of_its_own(service: Service) -> None:
    if service.signing_name == "s3":
        assert all(action.startswith("PUT ?") for action in service.refused)
        return
    known = set(botocore.session.get_session().get_available_services())
    model = get_service_model(service.signing_name if service.signing_name in known else service.backend)
    assert set(service.refused) <= set(model.operation_names)
    assert all(len(remedy) > 10 for remedy in service.refused.values())
