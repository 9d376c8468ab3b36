"""What an account may not do is refused as AWS refuses it, and told before by who is asked."""

from __future__ import annotations

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.account import Account
from support.in_process import Cloud, MakeCloud, allow

CONCURRENCY = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
BY_IAM = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"


HANDLER = """
import time
def handle(event, context):
    time.sleep(event.get("seconds", 0))
    return {}
"""


def create_function(cloud: Cloud, memory: int, name: str = "any") -> Any:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", HANDLER)
    return cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=cloud.role(f"{name}-{memory}", "lambda.amazonaws.com"),
        Handler="handler.handle",
        Code={"ZipFile": archive.getvalue()},
        MemorySize=memory,
    )


def train(cloud: Cloud) -> Any:
    return cloud.client("sagemaker").create_training_job(
        TrainingJobName="job",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=cloud.role("job", "sagemaker.amazonaws.com"),
        OutputDataConfig={"S3OutputPath": "s3://none/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )


def quotas(cloud: Cloud, operation: str = "list_service_quotas") -> dict[str, float]:
    pages = cloud.client("service-quotas").get_paginator(operation).paginate(ServiceCode="sagemaker")
    return {quota["QuotaName"]: quota["Value"] for quota in pages.build_full_result()["Quotas"]}


def test_a_new_account_has_no_large_functions(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account="new")
    with pytest.raises(ClientError, match="less than or equal to 3008"):
        create_function(cloud, 3009)
    create_function(cloud, 3008)
    with pytest.raises(ClientError, match="less than or equal to 3008"):
        cloud.client("lambda").update_function_configuration(FunctionName="any", MemorySize=4096)


def test_a_new_account_has_nothing_to_reserve(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account="new")
    create_function(cloud, 128)
    with pytest.raises(ClientError, match=r"below its minimum value of \[10\]"):
        cloud.client("lambda").put_function_concurrency(FunctionName="any", ReservedConcurrentExecutions=1)
    assert cloud.client("service-quotas").get_service_quota(**CONCURRENCY)["Quota"]["Value"] == 10


def test_what_is_reserved_is_no_longer_free(cloud: Cloud) -> None:
    create_function(cloud, 10_240)
    client = cloud.client("lambda")
    for reserved in (5, 990):
        client.put_function_concurrency(FunctionName="any", ReservedConcurrentExecutions=reserved)
        limit = client.get_account_settings()["AccountLimit"]
        assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (1000, 1000 - reserved)
    with pytest.raises(ClientError, match="minimum value"):
        client.put_function_concurrency(FunctionName="any", ReservedConcurrentExecutions=991)
    assert client.get_account_settings()["AccountUsage"]["FunctionCount"] == 1


def test_beyond_its_concurrency_an_account_is_throttled(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account=Account(lambda_concurrency=1))
    for name in ("slow", "other"):
        create_function(cloud, 128, name)
    client = cloud.client("lambda")
    with ThreadPoolExecutor(1) as beside:
        slow = beside.submit(client.invoke, FunctionName="slow", Payload=b'{"seconds": 3}')
        while not cloud.context.activity.snapshot():
            time.sleep(0.01)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            client.invoke(FunctionName="other", Payload=b"{}")
        assert slow.result()["StatusCode"] == 200
    assert client.invoke(FunctionName="other", Payload=b"{}")["StatusCode"] == 200


def test_a_new_account_has_no_instances_though_the_default_says_so(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account="new")
    name = "ml.m5.large for training job usage"
    assert quotas(cloud)[name] == 0
    assert quotas(cloud, "list_aws_default_service_quotas")[name] > 0
    with pytest.raises(ClientError, match=f"ResourceLimitExceeded.*'{name}' is 0 Instances"):
        train(cloud)


def test_every_instance_type_has_a_quota_and_codes_do_not_collide(cloud: Cloud) -> None:
    pages = cloud.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    found = pages.build_full_result()["Quotas"]
    assert len({quota["QuotaCode"] for quota in found}) == len(found) > 200
    assert {"ml.m5.large for training job usage", "ml.m5.large for processing job usage"} <= set(quotas(cloud))


@pytest.mark.parametrize("asked", [{"ServiceCode": "ec2", "QuotaCode": "L-1"}, {**CONCURRENCY, "QuotaCode": "L-1"}])
def test_a_quota_that_nothing_is_held_to_is_not_invented(cloud: Cloud, asked: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        cloud.client("service-quotas").get_service_quota(**asked)


def test_lake_formation_refuses_what_iam_allows(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account="lake-formation")
    role = cloud.role("deploy", "cloudformation.amazonaws.com", allow("*"))
    glue = cloud.role_client("glue", role, "cloudformation.amazonaws.com")
    lake = cloud.client("lakeformation")
    assert lake.get_data_lake_settings()["DataLakeSettings"]["CreateDatabaseDefaultPermissions"] == []
    with pytest.raises(ClientError, match=r"AccessDenied.*Required Create Database on Catalog"):
        glue.create_database(DatabaseInput={"Name": "lake"})
    lake.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": [{"DataLakePrincipalIdentifier": role}]})
    glue.create_database(DatabaseInput={"Name": "lake"})
    lake.put_data_lake_settings(DataLakeSettings={"CreateTableDefaultPermissions": BY_IAM})
    glue.create_table(DatabaseName="lake", TableInput={"Name": "rows"})
    with pytest.raises(ClientError, match="not executed"):
        lake.grant_permissions(
            Principal={"DataLakePrincipalIdentifier": role}, Resource={"Catalog": {}}, Permissions=["CREATE_DATABASE"]
        )


def test_iam_alone_governs_the_catalogue_elsewhere(cloud: Cloud) -> None:
    cloud.client("glue").create_database(DatabaseInput={"Name": "lake"})
    settings = cloud.client("lakeformation").get_data_lake_settings()["DataLakeSettings"]
    assert settings["CreateDatabaseDefaultPermissions"] == BY_IAM


def test_roles_need_permission_to_ask(cloud: Cloud) -> None:
    role = cloud.role("curious", "lambda.amazonaws.com", allow("servicequotas:GetServiceQuota"))
    allowed = cloud.role_client("service-quotas", role, "lambda.amazonaws.com")
    assert allowed.get_service_quota(**CONCURRENCY)["Quota"]["Value"] == 1000
    with pytest.raises(ClientError, match="AccessDenied"):
        allowed.list_service_quotas(ServiceCode="sagemaker")
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.role_client("lakeformation", role, "lambda.amazonaws.com").get_data_lake_settings()


def test_more_instances_are_granted_after_a_day_and_then_a_job_starts(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(account="new")
    client, name = cloud.client("service-quotas"), "ml.m5.large for training job usage"
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker").build_full_result()
    (code,) = [quota["QuotaCode"] for quota in pages["Quotas"] if quota["QuotaName"] == name]
    named = {"ServiceCode": "sagemaker", "QuotaCode": code}
    asked = client.request_service_quota_increase(**named, DesiredValue=2)["RequestedQuota"]
    assert (asked["Status"], asked["QuotaName"]) == ("PENDING", name)
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        client.request_service_quota_increase(**named, DesiredValue=3)
    cloud.advance(days=1)
    assert client.get_requested_service_quota_change(RequestId=asked["Id"])["RequestedQuota"]["Status"] == "APPROVED"
    assert (quotas(cloud)[name], client.get_service_quota(**named)["Quota"]["Value"]) == (2, 2)
    assert quotas(cloud)["ml.m5.large for processing job usage"] == 0
    assert train(cloud)["TrainingJobArn"].endswith("/job")
    with pytest.raises(ClientError, match="greater than the current"):
        client.request_service_quota_increase(**named, DesiredValue=2)
    with pytest.raises(ClientError, match="instances of SageMaker alone"):
        client.request_service_quota_increase(**CONCURRENCY, DesiredValue=1000)
