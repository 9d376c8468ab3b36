"""Every resource type: deployed, read back through its service, changed, and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from moto.iam.models import Role, iam_backends

from localcloud.services.registry import handlers
from support.empty_cloud import empty_cloud
from support.workbench import Workbench

pytestmark = pytest.mark.xdist_group("resource types")  # all is deployed once for nearly all of them

Resources = dict[str, Any]
EXPIRE_UNTAGGED = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 365},
    "action": {"type": "expire"},
}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def everything(workbench: Workbench) -> Resources:
    """One stack with a resource of every type, most properties of each given."""
    code = workbench.put_code()
    services = ("lambda", "firehose", "states", "scheduler", "events", "sagemaker")
    resources: Resources = {"Role": workbench.role(*(f"{service}.amazonaws.com" for service in services))}
    allow_all = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
    resources["Role"]["Properties"] |= {
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
        "MaxSessionDuration": "7200",
        "Policies": [{"PolicyName": "a", "PolicyDocument": allow_all}],
        "Tags": [{"Key": "k", "Value": "v"}],
    }

    def add(name: str, resource_type: str, **properties: Any) -> None:
        resources[name] = {"Type": resource_type, "Properties": properties}

    def attribute(name: str, of: str) -> dict[str, Any]:
        return {"Fn::GetAtt": [name, of]}

    def ref(name: str) -> dict[str, Any]:
        return {"Ref": name}

    add(
        "Pol",
        "AWS::IAM::Policy",
        PolicyName="p",
        PolicyDocument=document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}),
        Roles=[ref("Role")],
    )
    add(
        "MPol",
        "AWS::IAM::ManagedPolicy",
        PolicyDocument=document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}),
        Roles=[ref("Role")],
        Description="",
        Path="/",
    )
    add(
        "Key",
        "AWS::KMS::Key",
        KeyPolicy=document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}),
        EnableKeyRotation=True,
        PendingWindowInDays=7,
    )
    add("KA", "AWS::KMS::Alias", AliasName="alias/x", TargetKeyId=attribute("Key", "Arn"))
    add(
        "LogB",
        "AWS::S3::Bucket",
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    add(
        "LogBP",
        "AWS::S3::BucketPolicy",
        Bucket=ref("LogB"),
        PolicyDocument=document(
            {
                "Effect": "Allow",
                "Principal": {"Service": "logging.s3.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": {"Fn::Join": ["", [attribute("LogB", "Arn"), "/*"]]},
            }
        ),
    )
    add(
        "B",
        "AWS::S3::Bucket",
        VersioningConfiguration={"Status": "Enabled"},
        ObjectLockEnabled=True,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
        },
        BucketEncryption={
            "ServerSideEncryptionConfiguration": [
                {
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": attribute("Key", "Arn"),
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        },
        LifecycleConfiguration={
            "Rules": [
                {
                    "Id": "x",
                    "Status": "Enabled",
                    "Prefix": "athena-results/",
                    "ExpirationInDays": 7,
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                    "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 90}],
                }
            ]
        },
        LoggingConfiguration={"DestinationBucketName": ref("LogB"), "LogFilePrefix": "b/"},
        Tags=[{"Key": "k", "Value": "v"}],
        CorsConfiguration={"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 3}]},
    )
    resources["B"]["DependsOn"] = "LogBP"
    add(
        "T",
        "AWS::DynamoDB::Table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        SSESpecification={"SSEEnabled": True},
        TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True},
        DeletionProtectionEnabled=False,
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "GT",
        "AWS::DynamoDB::GlobalTable",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in ("pk", "sk", "s")],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ggg",
                "KeySchema": [{"AttributeName": "s", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        Replicas=[
            {
                "Region": ref("AWS::Region"),
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "DeletionProtectionEnabled": False,
                "ContributorInsightsSpecification": {"Enabled": False},
                "GlobalSecondaryIndexes": [{"IndexName": "ggg"}],
            }
        ],
        SSESpecification={"SSEEnabled": False},
    )
    add(
        "Repository",
        "AWS::ECR::Repository",
        RepositoryName="images",
        ImageTagMutability="IMMUTABLE",
        RepositoryPolicyText=document(
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
        ),
        LifecyclePolicy={"LifecyclePolicyText": json.dumps({"rules": [EXPIRE_UNTAGGED]})},
        Tags=[{"Key": "a", "Value": "1"}],
    )
    add("DLQ", "AWS::SQS::Queue", SqsManagedSseEnabled=True, MessageRetentionPeriod=1209600)
    add(
        "Q",
        "AWS::SQS::Queue",
        RedrivePolicy={"deadLetterTargetArn": attribute("DLQ", "Arn"), "maxReceiveCount": 3},
        VisibilityTimeout="60",
        KmsMasterKeyId="alias/aws/sqs",
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "QP",
        "AWS::SQS::QueuePolicy",
        Queues=[ref("Q")],
        PolicyDocument=document(
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": attribute("Q", "Arn"),
            }
        ),
    )
    add("Top", "AWS::SNS::Topic", DisplayName="d", KmsMasterKeyId=ref("Key"), Tags=[{"Key": "k", "Value": "v"}])
    add(
        "TP",
        "AWS::SNS::TopicPolicy",
        Topics=[ref("Top")],
        PolicyDocument=document(
            {
                "Sid": "1",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": ref("Top"),
            }
        ),
    )
    add(
        "Sub",
        "AWS::SNS::Subscription",
        TopicArn=ref("Top"),
        Protocol="sqs",
        Endpoint=attribute("Q", "Arn"),
        RawMessageDelivery=True,
        FilterPolicy={"a": ["b"]},
    )
    add(
        "LG", "AWS::Logs::LogGroup", LogGroupName="/aws/lambda/x", RetentionInDays=30, Tags=[{"Key": "k", "Value": "v"}]
    )
    add(
        "Layer",
        "AWS::Lambda::LayerVersion",
        Content=code,
        CompatibleRuntimes=["python3.13"],
        CompatibleArchitectures=["x86_64"],
        Description="d",
    )
    add(
        "F",
        "AWS::Lambda::Function",
        FunctionName="x",
        Code=code,
        Role=attribute("Role", "Arn"),
        Handler="handler.handle",
        Runtime="python3.13",
        Architectures=["x86_64"],
        Layers=[ref("Layer")],
        Timeout=10,
        MemorySize=512,
        TracingConfig={"Mode": "Active"},
        LoggingConfig={"LogFormat": "JSON", "LogGroup": ref("LG")},
        DeadLetterConfig={"TargetArn": attribute("DLQ", "Arn")},
        ReservedConcurrentExecutions=5,
        Environment={"Variables": {"A": 1}},
        EphemeralStorage={"Size": 1024},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    resources["F"]["DependsOn"] = ["Pol"]
    add("V", "AWS::Lambda::Version", FunctionName=ref("F"), Description="v")
    add("A", "AWS::Lambda::Alias", FunctionName=ref("F"), FunctionVersion=attribute("V", "Version"), Name="live")
    add("A2", "AWS::Lambda::Alias", FunctionName=ref("F"), FunctionVersion="$LATEST", Name="dev")
    add(
        "Perm",
        "AWS::Lambda::Permission",
        FunctionName=ref("A"),
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn="arn:aws:execute-api:us-east-1:123456789012:abc/*/*/x",
    )
    add(
        "Perm2",
        "AWS::Lambda::Permission",
        FunctionName=attribute("F", "Arn"),
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    add(
        "EIC",
        "AWS::Lambda::EventInvokeConfig",
        FunctionName=ref("F"),
        Qualifier="$LATEST",
        MaximumRetryAttempts=0,
        MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": attribute("DLQ", "Arn")}},
    )
    add("SML", "AWS::Logs::LogGroup", LogGroupName="/aws/vendedlogs/states/x", RetentionInDays=30)
    add(
        "SM",
        "AWS::StepFunctions::StateMachine",
        StateMachineName="sm",
        RoleArn=attribute("Role", "Arn"),
        DefinitionString={
            "Fn::Join": ["", ['{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"${Sub}","End":true}}}']]
        },
        DefinitionSubstitutions={"Sub": ref("F")},
        LoggingConfiguration={
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": attribute("SML", "Arn")}}],
            "IncludeExecutionData": True,
            "Level": "ALL",
        },
        TracingConfiguration={"Enabled": True},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "Bus",
        "AWS::Events::EventBus",
        Name="everloop",
        Description="d",
        DeadLetterConfig={"Arn": attribute("DLQ", "Arn")},
    )
    add(
        "Rule",
        "AWS::Events::Rule",
        EventBusName=ref("Bus"),
        EventPattern={"source": ["x"]},
        State="ENABLED",
        Targets=[
            {
                "Id": "Target0",
                "Arn": attribute("SM", "Arn"),
                "RoleArn": attribute("Role", "Arn"),
                "DeadLetterConfig": {"Arn": attribute("DLQ", "Arn")},
                "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
                "InputTransformer": {"InputPathsMap": {"a": "$.detail"}, "InputTemplate": "<a>"},
            }
        ],
    )
    add(
        "Rule2",
        "AWS::Events::Rule",
        ScheduleExpression="rate(1 day)",
        Targets=[{"Id": "T", "Arn": attribute("F", "Arn"), "Input": "{}"}],
    )
    add(
        "BP",
        "AWS::Events::EventBusPolicy",
        EventBusName=ref("Bus"),
        StatementId="s1",
        Statement={
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "events:PutEvents",
            "Resource": attribute("Bus", "Arn"),
        },
    )
    add("SG", "AWS::Scheduler::ScheduleGroup", Name="g")
    add(
        "S",
        "AWS::Scheduler::Schedule",
        Name="s",
        GroupName=ref("SG"),
        ScheduleExpression="cron(0 1 * * ? *)",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        State="ENABLED",
        Target={
            "Arn": attribute("F", "Arn"),
            "RoleArn": attribute("Role", "Arn"),
            "Input": "{}",
            "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": attribute("DLQ", "Arn")},
        },
    )
    add(
        "Al",
        "AWS::CloudWatch::Alarm",
        AlarmActions=[ref("Top")],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="x",
        Namespace="E",
        Dimensions=[{"Name": "a", "Value": "b"}],
        ExtendedStatistic="p99",
        Period=60,
        Threshold="5",
        TreatMissingData="notBreaching",
    )
    add(
        "Al2",
        "AWS::CloudWatch::Alarm",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="AWS/Lambda",
        Dimensions=[{"Name": "FunctionName", "Value": ref("F")}],
        Statistic="Sum",
        Period=300,
        Threshold=1,
    )
    add(
        "SMo",
        "AWS::SageMaker::Model",
        ModelName="model",
        ExecutionRoleArn=attribute("Role", "Arn"),
        PrimaryContainer={
            "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/served:1",
            "ModelDataUrl": "s3://code/model.tar.gz",
            "Environment": {"MORE": "yes"},
        },
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "SEc",
        "AWS::SageMaker::EndpointConfig",
        EndpointConfigName="config",
        ProductionVariants=[
            {
                "VariantName": "only",
                "ModelName": attribute("SMo", "ModelName"),
                "InitialInstanceCount": "1",
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": "1",
            }
        ],
    )
    add(
        "SEn",
        "AWS::SageMaker::Endpoint",
        EndpointName="endpoint",
        EndpointConfigName=attribute("SEc", "EndpointConfigName"),
    )
    add("D", "AWS::CloudWatch::Dashboard", DashboardName="d", DashboardBody={"Fn::Join": ["", ['{"widgets":[]}']]})
    add("DB", "AWS::Glue::Database", CatalogId=ref("AWS::AccountId"), DatabaseInput={"Name": "db", "Description": "x"})
    add(
        "GTb",
        "AWS::Glue::Table",
        CatalogId=ref("AWS::AccountId"),
        DatabaseName=ref("DB"),
        TableInput={
            "Name": "t",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"projection.enabled": "true"},
            "PartitionKeys": [{"Name": "date", "Type": "string"}],
            "StorageDescriptor": {
                "Columns": [{"Name": "a", "Type": "double"}],
                "Location": {"Fn::Sub": "s3://${B}/x/"},
                "InputFormat": "i",
                "OutputFormat": "o",
                "SerdeInfo": {"SerializationLibrary": "p"},
            },
        },
    )
    add(
        "WG",
        "AWS::Athena::WorkGroup",
        Name="wg",
        RecursiveDeleteOption=True,
        WorkGroupConfiguration={
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 10737418240,
            "PublishCloudWatchMetricsEnabled": True,
            "ResultConfiguration": {
                "OutputLocation": {"Fn::Sub": "s3://${B}/athena-results/"},
                "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
            },
        },
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "DS",
        "AWS::KinesisFirehose::DeliveryStream",
        DeliveryStreamName="ds",
        DeliveryStreamType="DirectPut",
        DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"},
        ExtendedS3DestinationConfiguration={
            "BucketARN": attribute("B", "Arn"),
            "RoleARN": attribute("Role", "Arn"),
            "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 64},
            "CompressionFormat": "UNCOMPRESSED",
            "CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": ref("LG"), "LogStreamName": "s"},
            "DataFormatConversionConfiguration": {
                "Enabled": True,
                "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "SNAPPY"}}},
                "SchemaConfiguration": {
                    "CatalogId": ref("AWS::AccountId"),
                    "DatabaseName": ref("DB"),
                    "TableName": ref("GTb"),
                    "Region": ref("AWS::Region"),
                    "RoleARN": attribute("Role", "Arn"),
                    "VersionId": "LATEST",
                },
            },
            "Prefix": "p/date=!{timestamp:yyyy-MM-dd}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        },
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add(
        "Api",
        "AWS::ApiGatewayV2::Api",
        Name="api",
        ProtocolType="HTTP",
        Tags={"k": "v"},
    )
    add(
        "Int",
        "AWS::ApiGatewayV2::Integration",
        ApiId=ref("Api"),
        IntegrationType="AWS_PROXY",
        IntegrationUri=ref("A"),
        PayloadFormatVersion="2.0",
        TimeoutInMillis=10000,
    )
    add(
        "Rt",
        "AWS::ApiGatewayV2::Route",
        ApiId=ref("Api"),
        RouteKey="POST /x",
        AuthorizationType="AWS_IAM",
        Target={"Fn::Join": ["", ["integrations/", ref("Int")]]},
    )
    add(
        "Auth",
        "AWS::ApiGatewayV2::Authorizer",
        ApiId=ref("Api"),
        Name="login",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://login.example.com", "Audience": ["predictions"]},
    )
    add(
        "RtAuth",
        "AWS::ApiGatewayV2::Route",
        ApiId=ref("Api"),
        RouteKey="PUT /x",
        AuthorizationType="JWT",
        AuthorizerId=ref("Auth"),
        AuthorizationScopes=["predict"],
        Target={"Fn::Join": ["", ["integrations/", ref("Int")]]},
    )
    add(
        "St",
        "AWS::ApiGatewayV2::Stage",
        ApiId=ref("Api"),
        StageName="$default",
        AutoDeploy=True,
        AccessLogSettings={"DestinationArn": attribute("SML", "Arn"), "Format": "{}"},
        DefaultRouteSettings={"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50, "DetailedMetricsEnabled": True},
        RouteSettings={"PUT /x": {"ThrottlingBurstLimit": 3, "ThrottlingRateLimit": 1.5}},
    )
    resources["St"]["DependsOn"] = ["RtAuth"]
    add(
        "Rest",
        "AWS::ApiGateway::RestApi",
        Name="rest",
        Description="d",
        BinaryMediaTypes=["application/octet-stream"],
        EndpointConfiguration={"Types": ["REGIONAL"]},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    add("Acc", "AWS::ApiGateway::Account", CloudWatchRoleArn=attribute("Role", "Arn"))
    add(
        "Part",
        "AWS::ApiGateway::Resource",
        RestApiId=ref("Rest"),
        ParentId=attribute("Rest", "RootResourceId"),
        PathPart="{x}",
    )
    add(
        "Meth",
        "AWS::ApiGateway::Method",
        RestApiId=ref("Rest"),
        ResourceId=ref("Part"),
        HttpMethod="POST",
        AuthorizationType="AWS_IAM",
        Integration={
            "Type": "AWS_PROXY",
            "IntegrationHttpMethod": "POST",
            "Uri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${A}/invocations"},
            "TimeoutInMillis": 29000,
        },
        MethodResponses=[{"StatusCode": 200}],
    )
    add(
        "Many",
        "AWS::ApiGateway::GatewayResponse",
        RestApiId=ref("Rest"),
        ResponseType="THROTTLED",
        StatusCode=429,
        ResponseParameters={"gatewayresponse.header.Retry-After": "'1'"},
    )
    add("Dep", "AWS::ApiGateway::Deployment", RestApiId=ref("Rest"), Description="d")
    resources["Dep"]["DependsOn"] = ["Meth", "Many"]
    add(
        "RestSt",
        "AWS::ApiGateway::Stage",
        RestApiId=ref("Rest"),
        StageName="live",
        DeploymentId=ref("Dep"),
        AccessLogSetting={"DestinationArn": attribute("SML", "Arn"), "Format": "$context.requestId"},
        MethodSettings=[
            {"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": 50, "ThrottlingBurstLimit": "100"}
        ],
        TracingEnabled=True,
    )
    resources["RestSt"]["DependsOn"] = ["Acc"]
    add(
        "P",
        "AWS::SSM::Parameter",
        Name="/everloop/platform",
        Type="String",
        Value={"Fn::Sub": '{"a":"${B}"}'},
        Tags={"k": "v"},
    )
    add(
        "Notify",
        "Custom::S3BucketNotifications",
        ServiceToken=attribute("F", "Arn"),
        BucketName=ref("LogB"),
        NotificationConfiguration={
            "QueueConfigurations": [{"Events": ["s3:ObjectCreated:*"], "QueueArn": attribute("Q", "Arn")}]
        },
        Managed=True,
    )
    add("Meta", "AWS::CDK::Metadata", Analytics="v2:deflate64:abc")
    add("LS", "AWS::Logs::LogStream", LogGroupName=ref("LG"), LogStreamName="s")
    add(
        "LVP",
        "AWS::Lambda::LayerVersionPermission",
        LayerVersionArn=ref("Layer"),
        Action="lambda:GetLayerVersion",
        Principal="123456789012",
    )
    # Access logs keep arriving while the rest is deleted.
    resources["LogB"]["DeletionPolicy"] = "Retain"
    return resources


def change(resources: Resources) -> None:
    """Change something of most resources, in place."""

    def attribute(name: str, of: str) -> dict[str, Any]:
        return {"Fn::GetAtt": [name, of]}

    def of(name: str) -> Any:
        return resources[name]["Properties"]

    of("Role")["ManagedPolicyArns"] = []
    of("Role")["Policies"].append(
        {"PolicyName": "b", "PolicyDocument": document({"Effect": "Allow", "Action": "*", "Resource": "*"})}
    )
    of("Pol")["PolicyDocument"]["Statement"][0]["Action"] = "s3:Get*"
    of("MPol")["PolicyDocument"]["Statement"][0]["Action"] = "s3:Get*"
    of("Key")["EnableKeyRotation"] = False
    of("B")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] = 8
    del of("B")["CorsConfiguration"]
    of("T")["DeletionProtectionEnabled"] = True
    of("T")["Tags"][0]["Key"] = "kk"
    of("GT")["AttributeDefinitions"].append({"AttributeName": "s2", "AttributeType": "S"})
    of("GT")["GlobalSecondaryIndexes"].append(
        {
            "IndexName": "gg2",
            "KeySchema": [{"AttributeName": "s2", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    )
    of("Q")["VisibilityTimeout"] = "61"
    of("Repository")["ImageTagMutability"] = "MUTABLE"
    of("Repository")["Tags"][0]["Key"] = "b"
    del of("Repository")["LifecyclePolicy"]
    of("QP")["PolicyDocument"]["Statement"][0]["Sid"] = "w"
    of("Top")["DisplayName"] = "e"
    of("TP")["PolicyDocument"]["Statement"][0]["Sid"] = "w"
    of("Sub")["RawMessageDelivery"] = False
    of("LG")["RetentionInDays"] = 60
    of("LG")["Tags"] = []
    of("F")["Environment"]["Variables"]["B"] = "2"
    of("F")["ReservedConcurrentExecutions"] = 6
    del of("F")["DeadLetterConfig"]
    of("A2")["FunctionVersion"] = attribute("V", "Version")
    of("EIC")["MaximumRetryAttempts"] = 1
    of("SM")["DefinitionSubstitutions"] = {"Sub": "y"}
    of("Rule")["State"] = "DISABLED"
    of("Rule")["Targets"][0]["Id"] = "Target1"
    of("S")["State"] = "DISABLED"
    of("Al")["Threshold"] = 6
    of("D")["DashboardBody"] = '{"widgets":[1]}'
    of("GTb")["TableInput"]["Parameters"]["x"] = "y"
    of("DB")["DatabaseInput"]["Description"] = "z"
    of("DS")["ExtendedS3DestinationConfiguration"]["BufferingHints"]["IntervalInSeconds"] = 61
    of("Api")["Name"] = "api2"
    of("Int")["TimeoutInMillis"] = 9000
    of("Rt")["RouteKey"] = "POST /y"
    of("Auth")["JwtConfiguration"]["Audience"] = ["labels"]
    of("P")["Value"] = "x"


_deployed: list[tuple[Workbench, Resources, Role]] = []
"""The workbench that deployed everything, what it deployed, and moto's own record of its role."""


@pytest.fixture(scope="module")
def clouds() -> Iterator[ExitStack]:
    """What is deployed stays from test to test, and goes with the last."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def deployed(
    clouds: ExitStack, moto_endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workbench, Resources]:
    """Everything, deployed: anew where another test has emptied the cloud. A test that changes it takes it down."""
    if not (_deployed and any(role is _deployed[0][2] for role in _roles())):
        clients = clouds.enter_context(empty_cloud(moto_endpoint))
        workbench = Workbench(clients, tmp_path_factory.mktemp("stacks"))
        resources = everything(workbench)
        workbench.deploy(resources)
        name = workbench.physical_id("Role")
        _deployed[:] = [(workbench, resources, next(role for role in _roles() if role.name == name))]
    return _deployed[0][:2]


@pytest.fixture
def there(deployed: tuple[Workbench, Resources]) -> Workbench:
    """Everything, deployed, for tests that only look."""
    return deployed[0]


def _roles() -> list[Role]:
    return list(iam_backends["123456789012"]["aws"].roles.values())


def test_there_is_one_of_every_type(workbench: Workbench) -> None:
    assert {body["Type"] for body in everything(workbench).values()} == set(handlers())


def test_templates_may_ask_for_what_a_type_says_it_answers(there: Workbench) -> None:
    for logical_id, resource in there.deployed().resources.items():
        assert set(resource.attributes) == set(handlers()[resource.type].attributes), logical_id


def test_everything_deploys_once(deployed: tuple[Workbench, Resources]) -> None:
    workbench, resources = deployed
    assert workbench.deploy(resources).actions == {}


def test_buckets_are_configured(there: Workbench) -> None:
    s3, bucket = there.client("s3"), there.physical_id("B")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 30)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Filter"] == {"Prefix": "athena-results/"}
    assert rule["Expiration"] == {"Days": 7}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER"}]
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    logging = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert logging["TargetBucket"] == there.physical_id("LogB")
    block = s3.get_public_access_block(Bucket=there.physical_id("LogB"))["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}


def test_tables_have_keys_indexes_and_streams(there: Workbench) -> None:
    dynamodb = there.client("dynamodb")
    table = dynamodb.describe_table(TableName=there.physical_id("T"))["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = dynamodb.describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("ttl", "ENABLED")
    backups = dynamodb.describe_continuous_backups(TableName=table["TableName"])["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    index = dynamodb.describe_table(TableName=there.physical_id("GT"))["Table"]["GlobalSecondaryIndexes"][0]
    assert index["IndexName"] == "ggg"


def test_functions_have_all_of_their_configuration(there: Workbench) -> None:
    client = there.client("lambda")
    function = client.get_function(FunctionName="x")
    configuration = function["Configuration"]
    assert [layer["Arn"] for layer in configuration["Layers"]] == [there.physical_id("Layer")]
    assert configuration["Environment"]["Variables"] == {"A": "1"}
    assert configuration["Architectures"] == ["x86_64"]
    assert configuration["EphemeralStorage"] == {"Size": 1024}
    assert configuration["TracingConfig"] == {"Mode": "Active"}
    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 5
    assert client.get_alias(FunctionName="x", Name="live")["FunctionVersion"] == "1"
    assert client.get_alias(FunctionName="x", Name="dev")["FunctionVersion"] == "$LATEST"
    invoke = client.get_function_event_invoke_config(FunctionName="x", Qualifier="$LATEST")
    assert (invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (0, 60)
    policy = json.loads(client.get_policy(FunctionName="x")["Policy"])
    assert "events.amazonaws.com" in json.dumps(policy)


def test_events_reach_their_targets_with_everything_the_template_says(there: Workbench) -> None:
    events = there.client("events")
    bus, name = there.physical_id("Rule").split("|")
    assert bus == "everloop"
    (target,) = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
    assert target["RoleArn"].startswith("arn:aws:iam::")
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600}
    assert target["DeadLetterConfig"]["Arn"].startswith("arn:aws:sqs:")
    assert target["InputTransformer"] == {"InputPathsMap": {"a": "$.detail"}, "InputTemplate": "<a>"}
    statement = json.loads(events.describe_event_bus(Name="everloop")["Policy"])["Statement"][0]
    assert statement["Sid"] == "s1"
    schedule = there.client("scheduler").get_schedule(Name="s", GroupName="g")
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 1


def test_state_machines_have_their_substitutions_and_log(there: Workbench) -> None:
    machine = there.client("stepfunctions").describe_state_machine(stateMachineArn=there.physical_id("SM"))
    assert json.loads(machine["definition"])["States"]["A"]["Result"] == "x"
    assert machine["loggingConfiguration"]["level"] == "ALL"
    assert machine["tracingConfiguration"] == {"enabled": True}


def test_apis_have_routes_with_integrations(there: Workbench) -> None:
    client, api = there.client("apigatewayv2"), there.physical_id("Api")
    route, with_token = sorted(client.get_routes(ApiId=api)["Items"], key=lambda one: str(one["RouteKey"]))
    authorizer = client.get_authorizer(ApiId=api, AuthorizerId=there.physical_id("Auth"))
    assert authorizer["JwtConfiguration"] == {"Issuer": "https://login.example.com", "Audience": ["predictions"]}
    assert (with_token["AuthorizerId"], with_token["AuthorizationScopes"]) == (
        there.physical_id("Auth"),
        ["predict"],
    )
    assert (route["RouteKey"], route["AuthorizationType"]) == ("POST /x", "AWS_IAM")
    assert route["Target"] == f"integrations/{there.physical_id('Int')}"
    (stage,) = client.get_stages(ApiId=api)["Items"]
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 100
    assert stage["RouteSettings"] == {"PUT /x": {"ThrottlingBurstLimit": 3, "ThrottlingRateLimit": 1.5}}


def test_rest_apis_have_a_stage_with_what_is_deployed(there: Workbench) -> None:
    client, api = there.client("apigateway"), there.physical_id("Rest")
    method = client.get_method(restApiId=api, resourceId=there.physical_id("Part"), httpMethod="POST")
    assert (method["authorizationType"], method["methodIntegration"]["type"]) == ("AWS_IAM", "AWS_PROXY")
    assert method["methodIntegration"]["timeoutInMillis"] == 29000
    stage = client.get_stage(restApiId=api, stageName="live")
    assert stage["deploymentId"] == there.physical_id("Dep")
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 100
    assert stage["accessLogSettings"]["format"] == "$context.requestId"
    response = client.get_gateway_response(restApiId=api, responseType="THROTTLED")
    assert response["responseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}
    assert client.get_account()["cloudwatchRoleArn"].startswith("arn:aws:iam::")


def test_streams_and_catalogue(there: Workbench) -> None:
    stream = there.client("firehose").describe_delivery_stream(DeliveryStreamName="ds")
    destination = stream["DeliveryStreamDescription"]["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert destination["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 64}
    conversion = destination["DataFormatConversionConfiguration"]
    assert conversion["SchemaConfiguration"]["TableName"] == "t"
    table = there.client("glue").get_table(DatabaseName="db", Name="t")["Table"]
    assert table["StorageDescriptor"]["Location"] == f"s3://{there.physical_id('B')}/x/"
    group = there.client("athena").get_work_group(WorkGroup="wg")["WorkGroup"]["Configuration"]
    assert group["BytesScannedCutoffPerQuery"] == 10737418240


def test_alarms_and_notifications(there: Workbench) -> None:
    alarms = there.client("cloudwatch").describe_alarms()["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in alarms}
    alarm = by_name[there.physical_id("Al")]
    assert (alarm["Threshold"], alarm["ExtendedStatistic"]) == (5.0, "p99")
    sns = there.client("sns")
    attributes = sns.get_subscription_attributes(SubscriptionArn=there.physical_id("Sub"))["Attributes"]
    assert attributes["RawMessageDelivery"] == "true"
    queue = there.client("sqs").get_queue_attributes(QueueUrl=there.physical_id("Q"), AttributeNames=["All"])
    assert json.loads(queue["Attributes"]["RedrivePolicy"])["maxReceiveCount"] == 3
    assert "sqs:SendMessage" in queue["Attributes"]["Policy"]


def test_everything_can_change_and_go(deployed: tuple[Workbench, Resources]) -> None:
    workbench, resources = deployed
    change(resources)
    result = workbench.deploy(resources)
    assert set(result.actions.values()) == {"update"}, "nothing that was changed needs a replacement"
    assert workbench.client("ssm").get_parameter(Name="/everloop/platform")["Parameter"]["Value"] == "x"
    configuration = workbench.client("lambda").get_function_configuration(FunctionName="x")
    assert configuration["Environment"]["Variables"] == {"A": "1", "B": "2"}
    (repository,) = workbench.client("ecr").describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "MUTABLE"
    assert workbench.deploy(resources).actions == {}

    resources["T"]["Properties"]["DeletionProtectionEnabled"] = False
    workbench.deploy(resources)
    workbench.destroy()

    assert workbench.state() is None
    assert workbench.client("dynamodb").list_tables()["TableNames"] == []
    assert workbench.client("iam").list_roles()["Roles"] == []
    assert workbench.client("lambda").list_functions()["Functions"] == []
    assert workbench.client("events").list_rules()["Rules"] == []
