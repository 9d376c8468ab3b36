"""What costs nothing by itself, and settings of it that would."""

from __future__ import annotations

from collections.abc import Mapping

FREE: Mapping[str, str] = {
    "AWS::ApiGateway::Account": "a setting of the account",
    "AWS::ApiGateway::Deployment": "free",
    "AWS::ApiGateway::GatewayResponse": "free",
    "AWS::ApiGateway::Resource": "free",
    "AWS::ApiGateway::RestApi": "billed by its requests, which are counted at the methods",
    "AWS::ApiGateway::Stage": "billed by its requests; its access log is counted with them",
    "AWS::ApiGatewayV2::Api": "billed by its requests, which are counted at the integrations",
    "AWS::ApiGatewayV2::Route": "billed by its requests, which are counted at the integrations",
    "AWS::ApiGatewayV2::Stage": "billed by its requests; its access log is counted with them",
    "AWS::Athena::WorkGroup": "billed by its queries, which are counted where they come from",
    "AWS::DynamoDB::Table": "on demand: billed by its requests and storage, which are counted with the models",
    "AWS::Events::EventBus": "billed by its events, which are counted at the rules",
    "AWS::IAM::Policy": "IAM is free",
    "AWS::IAM::Role": "IAM is free",
    "AWS::KMS::Alias": "free",
    "AWS::Lambda::Alias": "free without provisioned concurrency",
    "AWS::Lambda::LayerVersion": "free; counts towards the quota of code storage",
    "AWS::Lambda::Permission": "free",
    "AWS::Logs::LogGroup": "billed by what is written and stored, which is counted where it comes from",
    "AWS::Logs::LogStream": "as its group",
    "AWS::S3::Bucket": "billed by its objects and requests, which are counted where they come from",
    "AWS::S3::BucketPolicy": "free",
    "AWS::SNS::Topic": "billed by its messages: only alarms send any",
    "AWS::SNS::TopicPolicy": "free",
    "AWS::SQS::QueuePolicy": "free",
}
"""By type, with the reason why nothing is counted at the resource itself."""

COSTLY_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "AWS::ApiGateway::Stage": (
        "CacheClusterEnabled",
        "TracingEnabled",
        "MethodSettings.DataTraceEnabled",
        "MethodSettings.LoggingLevel",
        "MethodSettings.MetricsEnabled",
    ),
    "AWS::ApiGatewayV2::Stage": ("DefaultRouteSettings.DetailedMetricsEnabled",),
    "AWS::DynamoDB::Table": (
        "ProvisionedThroughput",
        "StreamSpecification",
        "ContributorInsightsSpecification",
        "Replicas",
    ),
    "AWS::Lambda::Alias": ("ProvisionedConcurrencyConfig",),
    "AWS::Lambda::Function": ("EphemeralStorage", "SnapStart", "VpcConfig"),
    "AWS::S3::Bucket": (
        "IntelligentTieringConfigurations",
        "InventoryConfigurations",
        "ReplicationConfiguration",
        "MetricsConfigurations",
    ),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
}
"""Settings that cost something which is not counted here: a template that has one says so in the answer."""

NOT_COUNTED = (
    "data that leaves AWS for the internet: the answers to callers",
    "access logs of the buckets, and what they take in S3",
    "S3 requests of jobs and queries that read rows, and Glue's requests: cents for a million",
    "what moves training sets to the archive, some cents for a thousand objects, and what reading them there takes",
    "the guardrail's reads of metrics: up to 32 a look, $0.01 for a thousand, so $0.60 for a rollout that is looked at"
    " every minute for 30 hours",
    "what a SageMaker endpoint takes beside its instances: their disks, its log, and the bytes of requests and answers;"
    " of a serverless one its log, those bytes, and what a cold start takes before the container is ready",
    "the CDK's bootstrap: the packages that it keeps in S3",
    "traces of requests for which a caller asks (X-Amzn-Trace-Id with Sampled=1), $5 for a million",
    "alarms that go off: messages, and requests to the key of the topic",
    "requests to the key that signs versions: two for a registration and one for each start of the rollout function,"
    " $0.15 for ten thousand",
)
"""What costs little or depends on who calls, and is in no line."""
