"""Endpoints through the API: their containers run, requests are shared out, what fails says so as on AWS."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.preloaded.preloading import CAN_PRELOAD, Preloading
from localcloud.core.settings import Settings, SettingsError
from localcloud.iam.roles import role_credentials
from localcloud.services.sagemaker.hosting.container import Container
from localcloud.services.sagemaker.hosting.images import images_of
from localcloud.services.sagemaker.hosting_hook import MEMORY_SOURCES
from localcloud.services.sagemaker.jobs.logs import LogStream
from support.endpoints import IMAGE, SAGEMAKER, SERVER, Endpoints
from support.in_process import MakeCloud, allow
from support.refusals import refused

SERVERLESS = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}


def error_answer(call: Callable[..., object], **arguments: Any) -> dict[str, Any]:
    """The whole answer to a request that must fail: the model's own error is told beside the service's."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return dict(caught.value.response)


class TestServing:
    def test_a_container_answers_under_the_inference_contract(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.config("c", ("AllTraffic", "one", 1))
        endpoints.client.create_endpoint(EndpointName="e", EndpointConfigName="c")
        assert endpoints.client.describe_endpoint(EndpointName="e")["EndpointStatus"] in ("Creating", "InService")
        described = endpoints.settled()
        assert described["EndpointStatus"] == "InService"
        assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        told, answer = endpoints.ask(b"[1]", CustomAttributes="there")
        assert told == {
            "who": "one",
            "body": "[1]",
            "type": "application/json",
            "more": "yes",
            "key": True,
            "authorization": None,
            "custom": "there",
            "folder": True,
        }
        assert (answer["InvokedProductionVariant"], answer["CustomAttributes"]) == ("AllTraffic", "back")
        assert endpoints.count("Invocations", "AllTraffic") == 1
        assert endpoints.count("ModelLatency", "AllTraffic", "SampleCount") == 1
        assert endpoints.count("OverheadLatency", "AllTraffic") > 0

        # What the model answers with an error is the caller's 424, and counted.
        failed = error_answer(endpoints.ask, body=b"fail")
        assert failed["Error"]["Code"] == "ModelError"
        assert failed["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert (failed["OriginalStatusCode"], failed["OriginalMessage"]) == (500, "broken")
        assert 'Received server error (500) from primary with message "broken"' in failed["Error"]["Message"]
        assert ":log-stream:AllTraffic/i-" in failed["LogStreamArn"]
        assert error_answer(endpoints.ask, body=b"refuse")["OriginalStatusCode"] == 400
        assert endpoints.count("Invocation5XXErrors", "AllTraffic") == 1
        assert endpoints.count("Invocation4XXErrors", "AllTraffic") == 1
        assert endpoints.count("Invocations", "AllTraffic") == 3

        # A program that ends is started again.
        died = error_answer(endpoints.ask, body=b"die")
        assert (died["Error"]["Code"], died["OriginalStatusCode"]) == ("ModelError", 0)
        deadline = time.monotonic() + 20
        while not endpoints.answers() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert endpoints.answers()
        assert "the container's program ended with status 3; it is started again" in endpoints.log()

        for parameter in ("TargetModel", "TargetContainerHostname", "InferenceComponentName"):
            assert refused(endpoints.ask, **{parameter: "a"})["Code"] == "ValidationError"
        unknown = refused(endpoints.runtime.invoke_endpoint, EndpointName="other", Body=b"")
        assert unknown["Code"] == "ValidationError"
        assert unknown["Message"] == f"Endpoint other of account {endpoints.cloud.context.account_id} not found."

        endpoints.client.delete_endpoint(EndpointName="e")
        endpoints.cloud.wait_until_quiet()
        assert refused(endpoints.ask)["Code"] == "ValidationError"
        assert "Could not find endpoint" in refused(endpoints.client.describe_endpoint, EndpointName="e")["Message"]
        assert list((endpoints.cloud.context.state_directory / "endpoints").iterdir()) == []

    def test_weights_are_honoured_and_changed(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.model("two")
        endpoints.config("c", ("a", "one", 9), ("b", "two", 1))
        endpoints.create("c")
        assert 0 <= endpoints.share(100)["b"] <= 35
        assert endpoints.ask(TargetVariant="b")[0]["who"] == "two"
        assert refused(endpoints.ask, TargetVariant="z")["Code"] == "ValidationError"

        def weigh(*pairs: tuple[str, float], **more: Any) -> None:
            endpoints.client.update_endpoint_weights_and_capacities(
                EndpointName="e",
                DesiredWeightsAndCapacities=[{"VariantName": v, "DesiredWeight": w, **more} for v, w in pairs],
            )

        weigh(("a", 0), ("b", 1))
        settled = endpoints.settled()
        assert [v["CurrentWeight"] for v in settled["ProductionVariants"]] == [0.0, 1.0]
        assert endpoints.share(30) == {"b": 30}
        weigh(("b", 1), DesiredInstanceCount=2)
        assert endpoints.settled()["ProductionVariants"][1]["CurrentInstanceCount"] == 2
        with pytest.raises(ClientError, match="not present within endpoint configuration"):
            weigh(("z", 1))
        with pytest.raises(ClientError, match="above 0"):
            weigh(("a", 0), ("b", 0))


class TestUpdates:
    def test_the_old_one_serves_until_the_new_one_is_healthy_and_when_it_never_is(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.model("two")
        endpoints.model("bad", crash=True)
        for name in ("one", "two", "bad"):
            endpoints.config(f"of-{name}", ("v", name, 1))
        endpoints.create("of-one")
        endpoints.client.update_endpoint(EndpointName="e", EndpointConfigName="of-two")
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            endpoints.client.update_endpoint(EndpointName="e", EndpointConfigName="of-one")
        assert endpoints.ask()[0]["who"] in ("one", "two")
        assert endpoints.settled()["EndpointConfigName"] == "of-two"
        assert endpoints.ask()[0]["who"] == "two"

        endpoints.client.update_endpoint(EndpointName="e", EndpointConfigName="of-bad")
        after = endpoints.settled()
        assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "of-two")
        assert "did not pass the ping health check" in after["FailureReason"]
        assert endpoints.ask()[0]["who"] == "two"
        assert len(list((endpoints.cloud.context.state_directory / "endpoints").iterdir())) == 1

    def test_an_endpoint_that_is_not_healthy_fails_and_can_only_be_deleted(self, endpoints: Endpoints) -> None:
        endpoints.model("bad", crash=True)
        endpoints.config("c", ("v", "bad", 1))
        failed = endpoints.create("c")
        assert failed["EndpointStatus"] == "Failed"
        assert failed["FailureReason"].startswith(
            "The primary container for production variant v did not pass the ping"
        )
        assert "no model here" in endpoints.log()
        assert refused(endpoints.ask)["Code"] == "ValidationError"
        with pytest.raises(ClientError, match="only be deleted"):
            endpoints.client.update_endpoint(EndpointName="e", EndpointConfigName="c")
        endpoints.client.delete_endpoint(EndpointName="e")
        endpoints.cloud.wait_until_quiet()
        assert endpoints.client.list_endpoints()["Endpoints"] == []


class TestRefusals:
    def test_what_can_not_be_run_is_refused_by_name(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        client, role = endpoints.client, endpoints.role
        container = {"Image": IMAGE}
        wrong: dict[str, Any]
        for wrong, said in (
            ({"PrimaryContainer": {"Image": "other:1"}}, "not an image the local cloud can run"),
            ({"PrimaryContainer": {"Image": IMAGE.replace("us-east-1", "eu-central-1")}}, "must be in the same region"),
            ({"PrimaryContainer": {**container, "Mode": "MultiModel"}}, "only SingleModel"),
            ({"Containers": [container]}, "Containers: the local cloud does not execute this"),
            ({"PrimaryContainer": container, "EnableNetworkIsolation": True}, "EnableNetworkIsolation"),
            ({"PrimaryContainer": container, "ExecutionRoleArn": "arn:aws:iam::1:role/no"}, "Could not assume role"),
        ):
            request = {"ModelName": "m", "ExecutionRoleArn": role, **wrong}
            assert said in refused(client.create_model, **request)["Message"]
        with pytest.raises(ClientError, match="Cannot create already existing model"):
            endpoints.model("one")
        variant = {"VariantName": "v", "ModelName": "one", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        capture = {
            "InitialSamplingPercentage": 1,
            "DestinationS3Uri": "s3://b/c",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        }
        two_serverless = [{"VariantName": n, "ModelName": "one", "ServerlessConfig": SERVERLESS} for n in "ab"]
        for wrong, said in (
            ({"ShadowProductionVariants": [variant]}, "ShadowProductionVariants"),
            ({"DataCaptureConfig": capture}, "DataCaptureConfig"),
            ({"ProductionVariants": [variant, variant]}, "is there twice"),
            ({"ProductionVariants": [{**variant, "ModelName": "none"}]}, "Could not find model"),
            ({"ProductionVariants": [{**variant, "InitialVariantWeight": 0.0}]}, "all weights are 0"),
            ({"ProductionVariants": [{**variant, "ServerlessConfig": SERVERLESS}]}, "goes without InstanceType"),
            ({"ProductionVariants": two_serverless}, "a serverless endpoint has one variant"),
        ):
            request = {"EndpointConfigName": "c", "ProductionVariants": [variant], **wrong}
            assert said in refused(client.create_endpoint_config, **request)["Message"]
        assert (
            "Could not find endpoint configuration"
            in refused(client.create_endpoint, EndpointName="e", EndpointConfigName="none")["Message"]
        )

    def test_more_instances_than_the_account_has_are_refused(self, make_cloud: MakeCloud) -> None:
        settings = Settings(Path("t"), {"sagemaker": {"images": [{"image": "*", "command": ["true"]}]}})
        new = Endpoints(make_cloud(account="new", settings=settings))
        new.model("one")
        new.config("c", ("v", "one", 1))
        said = refused(new.client.create_endpoint, EndpointName="e", EndpointConfigName="c")
        assert said["Code"] == "ResourceLimitExceeded"
        assert "'ml.t2.medium for endpoint usage' is 0 Instances" in said["Message"]

    def test_serverless_endpoints_share_a_concurrency(self, make_cloud: MakeCloud) -> None:
        settings = Settings(Path("t"), {"sagemaker": {"images": [{"image": "*", "command": ["true"]}]}})
        new = Endpoints(make_cloud(account="new", settings=settings))
        new.model("one")
        new.config("c", ("v", "one", 1), ServerlessConfig={**SERVERLESS, "MaxConcurrency": 11})
        said = refused(new.client.create_endpoint, EndpointName="e", EndpointConfigName="c")
        assert said["Code"] == "ResourceLimitExceeded"
        assert "across all serverless endpoints' is 10 Requests" in said["Message"]
        assert "a request delta of 11 Requests" in said["Message"]

    def test_serverless_endpoints_take_no_files_as_they_are(self, endpoints: Endpoints) -> None:
        source = {"S3DataSource": {"S3Uri": "s3://b/p/", "S3DataType": "S3Prefix", "CompressionType": "None"}}
        endpoints.client.create_model(
            ModelName="files",
            ExecutionRoleArn=endpoints.role,
            PrimaryContainer={"Image": IMAGE, "ModelDataSource": source},
        )
        variant = {"VariantName": "v", "ModelName": "files", "ServerlessConfig": SERVERLESS}
        said = refused(endpoints.client.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant])
        assert "files has a ModelDataSource, which serverless endpoints do not take" in said["Message"]

    def test_an_image_that_can_be_run_is_in_the_registry(self, make_cloud: MakeCloud) -> None:
        settings = Settings(Path("t"), {"sagemaker": {"images": [{"image": "*/served@*", "command": ["true"]}]}})
        ecr = make_cloud(settings=settings).client("ecr")
        digest = f"sha256:{64 * 'a'}"
        asked = {"registryId": "123456789012", "imageIds": [{"imageDigest": digest}]}
        (found,) = ecr.describe_images(repositoryName="served", **asked)["imageDetails"]
        assert found["imageDigest"] == digest
        said = refused(ecr.describe_images, repositoryName="other", **asked)
        assert said["Code"] == "RepositoryNotFoundException"

    def test_all_endpoints_together_have_a_limit_of_their_own(self, make_cloud: MakeCloud) -> None:
        settings = Settings(Path("t"), {"sagemaker": {"images": [{"image": "*", "command": ["true"]}]}})
        account = Endpoints(make_cloud(settings=settings))
        account.model("one")
        kinds = {f"v{i}": f"ml.m{i}.large" for i in (4, 5)}
        variants = [
            {"VariantName": name, "ModelName": "one", "InstanceType": kind, "InitialInstanceCount": 11}
            for name, kind in kinds.items()
        ]
        account.client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)
        said = refused(account.client.create_endpoint, EndpointName="e", EndpointConfigName="c")
        assert said["Code"] == "ResourceLimitExceeded"
        assert "'Number of instances across active endpoints' is 20 Instances" in said["Message"]
        assert "a request delta of 22 Instances" in said["Message"]

    @pytest.mark.parametrize(
        ("images", "said"),
        [
            ({}, "write one"),
            ([{"command": ["a"]}], "image = None"),
            ([{"image": "a", "command": "a"}], "command = 'a'"),
            ([{"image": "a", "command": ["a"], "port": 1}], "has port"),
            ([{"image": "a", "command": ["a"], "environment": {"A": 1}}], "environment = {'A': 1}: it is a table"),
            ([{"image": "a", "command": ["python", "b"], "preload": "numpy"}], "preload = 'numpy': it is a list"),
            ([{"image": "a", "command": ["a"], "preload": ["b"]}], "begins with python, not with 'a'"),
            ([{"image": "a", "command": ["a"], "preload_environment": [1]}], r"preload_environment = \[1\]"),
        ],
    )
    def test_settings_that_name_no_image_are_refused(self, images: object, said: str) -> None:
        with pytest.raises(SettingsError, match=said):
            images_of(Settings(Path("t"), {"sagemaker": {"images": images}}))


@pytest.mark.skipif(not CAN_PRELOAD, reason="containers start plainly here")
class TestPreloaded:
    """Containers that start from a process which has imported are containers as all others."""

    @pytest.fixture
    def endpoints(self, make_cloud: MakeCloud, tmp_path: Path) -> Endpoints:
        program = tmp_path / "served.py"
        say = "print('preloaded' if 'colorsys' in sys.modules else 'plain', os.getcwd() == os.environ['HOME'])"
        program.write_text(f"import os, sys\n{say}\n{SERVER}")
        image = {"image": "*/served:*", "command": ["python", str(program), "/opt/ml/model"], "preload": ["colorsys"]}
        return Endpoints(make_cloud(settings=Settings(Path("t"), {"sagemaker": {"images": [image]}})))

    def test_under_the_same_contract(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.model("other", variables={"PYTHONHASHSEED": "0"})
        endpoints.config("c", ("a", "one", 1))
        endpoints.config("plain", ("a", "other", 1))
        endpoints.create("c")
        answer, _ = endpoints.ask(b"[1]", CustomAttributes="there")
        assert (answer["who"], answer["more"], answer["key"], answer["folder"]) == ("one", "yes", True, True)
        assert MEMORY_SOURCES["endpoints"]() > 0
        # A program that ends is started again, from the same process.
        assert error_answer(endpoints.ask, body=b"die")["OriginalStatusCode"] == 0
        deadline = time.monotonic() + 20
        while not endpoints.answers() and time.monotonic() < deadline:
            time.sleep(0.1)
        # One whose variables were read when the interpreter began starts plainly.
        endpoints.client.update_endpoint(EndpointName="e", EndpointConfigName="plain")
        assert endpoints.settled()["EndpointStatus"] == "InService"
        assert endpoints.ask()[0]["who"] == "other"
        endpoints.client.delete_endpoint(EndpointName="e")
        endpoints.cloud.wait_until_quiet()
        told = [
            *("preloaded True", "serving one"),
            "the container's program ended with status 3; it is started again",
            *("preloaded True", "serving one"),
            *("plain True", "serving other"),
        ]
        deadline = time.monotonic() + 20
        while len(endpoints.log()) < len(told) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sorted(endpoints.log()) == sorted(told)
        assert list((endpoints.cloud.context.state_directory / "endpoints").iterdir()) == []

    def test_a_program_that_is_deaf_to_its_end_is_killed(self, endpoints: Endpoints, tmp_path: Path) -> None:
        """Also where it has closed its output, and somebody waits for it already."""
        (tmp_path / "deaf.py").write_text(
            "import os, signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "open('deaf', 'w').close(); os.close(1); os.close(2)\n"
            "time.sleep(600)"
        )
        variables = {"PATH": os.environ.get("PATH", os.defpath)}
        server = Preloading(["colorsys"], variables)
        log = LogStream(endpoints.cloud.context, "group", "stream")
        container = Container(["python", "deaf.py"], variables, tmp_path, log, name="c", preloading=server)
        container.start()
        pid = container.pid()
        assert pid is not None
        while not (tmp_path / "deaf").exists():
            time.sleep(0.01)
        container.stop(kill_after_seconds=0.2)
        assert container.pid() is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        server.close()


class TestRights:
    def test_callers_and_the_container_have_the_rights_of_their_roles(self, endpoints: Endpoints) -> None:
        cloud = endpoints.cloud
        blind = cloud.role("blind", SAGEMAKER)
        endpoints.model("one")
        endpoints.model("unread", role=blind)
        endpoints.config("c", ("v", "one", 1))
        endpoints.config("of-unread", ("v", "unread", 1))
        endpoints.create("c")
        failed = endpoints.create("of-unread", name="other")
        assert failed["EndpointStatus"] == "Failed"
        assert "Failed to download model data" in failed["FailureReason"]

        arn = endpoints.client.describe_endpoint(EndpointName="e")["EndpointArn"]
        invoker = cloud.role("invoker", "lambda.amazonaws.com", allow("sagemaker:InvokeEndpoint", arn))
        runtime = cloud.client(
            "sagemaker-runtime", **role_credentials(cloud.context, invoker, "t", "lambda.amazonaws.com")
        )
        assert runtime.invoke_endpoint(EndpointName="e", Body=b"{}")["InvokedProductionVariant"] == "v"
        denied = refused(runtime.invoke_endpoint, EndpointName="other", Body=b"{}")
        assert denied["Code"] == "AccessDeniedException"
        assert "sagemaker:InvokeEndpoint" in denied["Message"]
        client = cloud.role_client("sagemaker", invoker, "lambda.amazonaws.com")
        assert "not authorized" in refused(client.delete_endpoint, EndpointName="e")["Message"]


class TestServerless:
    def test_its_concurrency_is_kept(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.config("c", ("v", "one", 1), ServerlessConfig=SERVERLESS)
        described = endpoints.create("c")
        assert described["ProductionVariants"][0]["CurrentServerlessConfig"] == SERVERLESS
        with ThreadPoolExecutor(2) as both:
            first = both.submit(endpoints.ask, b"wait")
            time.sleep(0.2)
            assert error_answer(endpoints.ask)["ResponseMetadata"]["HTTPStatusCode"] == 429
            assert first.result()[0]["who"] == "one"


class TestStacks:
    def test_a_template_makes_an_endpoint_and_one_that_fails_is_rolled_back(self, endpoints: Endpoints) -> None:
        endpoints.model("one")
        endpoints.model("bad", crash=True)
        variant = {"VariantName": "v", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}

        def template(model: str) -> str:
            container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{model}.tar.gz"}
            served = {**variant, "ModelName": {"Fn::GetAtt": ["M", "ModelName"]}, "InitialVariantWeight": "1"}
            config = {"Fn::GetAtt": ["C", "EndpointConfigName"]}
            resources = {
                "M": ("Model", {"ExecutionRoleArn": endpoints.role, "PrimaryContainer": container}),
                "C": ("EndpointConfig", {"ProductionVariants": [served]}),
                "E": ("Endpoint", {"EndpointName": "e", "EndpointConfigName": config}),
            }
            typed = {name: {"Type": f"AWS::SageMaker::{t}", "Properties": p} for name, (t, p) in resources.items()}
            return json.dumps({"Resources": typed, "Outputs": {"Arn": {"Value": {"Ref": "E"}}}})

        stacks = endpoints.cloud.client("cloudformation")
        stacks.create_stack(StackName="S", TemplateBody=template("one"))
        endpoints.cloud.wait_until_quiet()
        stack = stacks.describe_stacks(StackName="S")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        assert stack["Outputs"][0]["OutputValue"].endswith(":endpoint/e")
        assert endpoints.ask()[0]["who"] == "one"

        stacks.update_stack(StackName="S", TemplateBody=template("bad"))
        endpoints.cloud.wait_until_quiet()
        assert stacks.describe_stacks(StackName="S")["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert endpoints.ask()[0]["who"] == "one"
        stacks.delete_stack(StackName="S")
        endpoints.cloud.wait_until_quiet()
        assert endpoints.client.list_endpoints()["Endpoints"] == []
        assert {m["ModelName"] for m in endpoints.client.list_models()["Models"]} == {"one", "bad"}
