"""REST APIs made over boto3 and called over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from support.in_process import Client
from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("rest_api")  # one cloud for all of them

SOURCE = (
    "import base64, json, time\n"
    "def handle(event, context):\n"
    "    asked = event['queryStringParameters'] or {}\n"
    "    if 'fail' in asked:\n"
    "        raise ValueError('no')\n"
    "    if 'wrong' in asked:\n"
    "        return {'statusCode': 200, 'other': 1}\n"
    "    if 'wait' in asked:\n"
    "        time.sleep(float(asked['wait']))\n"
    "    if 'binary' in asked:\n"
    "        body = base64.b64encode(bytes([0, 255])).decode()\n"
    "        return {'body': body, 'isBase64Encoded': True, 'headers': {'Content-Type': 'application/octet-stream'}}\n"
    "    body = {'version': context.function_version, 'event': event}\n"
    "    return {'statusCode': 201, 'headers': {'X-Own': '1'}, 'body': json.dumps(body)}\n"
)
ACCOUNT = "123456789012"
LOG_FORMAT = (
    '{"id":"$context.requestId","path":"$context.resourcePath","status":"$context.status",'
    '"kind":"$context.error.responseType","user":"$context.identity.userArn"}'
)
INTERNAL = {"message": "Internal server error"}


@dataclass
class Api:
    """An API with the stage ``prod``."""

    cloud: RunningCloud
    api_id: str
    endpoint: str
    resources: dict[str, str]

    @property
    def gateway(self) -> Client:
        """The client of its management."""
        return self.cloud.client("apigateway")

    @property
    def operator(self) -> dict[str, str]:
        """The credentials of the person at the keyboard."""
        return self.cloud.daemon.operator.client_arguments()

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        credentials: dict[str, str] | None = None,
        **headers: str,
    ) -> tuple[int, Any, http.client.HTTPResponse]:
        """Call the API, signed when credentials are given."""
        if credentials is not None:
            request = AWSRequest(method, self.endpoint + target, data=body, headers=headers)
            found = Credentials(
                credentials["aws_access_key_id"],
                credentials["aws_secret_access_key"],
                credentials.get("aws_session_token"),
            )
            SigV4Auth(found, "execute-api", "us-east-1").add_auth(request)
            headers = dict(request.headers)
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=60)
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        try:
            return response.status, json.loads(content) if content else None, response
        except ValueError:
            return response.status, content, response

    def method(self, path: str, method: str, authorization: str = "NONE", **integration: Any) -> None:
        """Add a method that leads to the function, with the resources of its path."""
        parent, at = self.resources["/"], ""
        for part in path.strip("/").split("/") if path != "/" else []:
            at = f"{at}/{part}"
            if at not in self.resources:
                made = self.gateway.create_resource(restApiId=self.api_id, parentId=parent, pathPart=part)
                self.resources[at] = made["id"]
            parent = self.resources[at]
        where = {"restApiId": self.api_id, "resourceId": parent, "httpMethod": method}
        self.gateway.put_method(**where, authorizationType=authorization)
        self.gateway.put_integration(**where, **{**self.to_function(), **integration})

    def to_function(self, name: str = "target:live") -> dict[str, Any]:
        """The integration with a function."""
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
        return {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": uri}

    def deploy(self, stage: str = "prod") -> str:
        """Deploy the API as it is now; the deployment's id."""
        return str(self.gateway.create_deployment(restApiId=self.api_id, stageName=stage)["id"])

    def change(self, *operations: tuple[str, str], stage: str = "prod") -> None:
        """Replace settings of a stage."""
        patch = [{"op": "replace", "path": path, "value": value} for path, value in operations]
        self.gateway.update_stage(restApiId=self.api_id, stageName=stage, patchOperations=patch)

    def remove(self, *paths: str) -> None:
        """Remove settings of the stage."""
        patch = [{"op": "remove", "path": path} for path in paths]
        self.gateway.update_stage(restApiId=self.api_id, stageName="prod", patchOperations=patch)


def new_api(cloud: RunningCloud, name: str, **settings: Any) -> Api:
    made = cloud.client("apigateway").create_rest_api(name=name, **settings)
    endpoint = made["ResponseMetadata"]["HTTPHeaders"]["x-localcloud-endpoint"]
    return Api(cloud, made["id"], endpoint, {"/": made["rootResourceId"]})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache")) as running:
        functions = running.client("lambda")
        running.function("target", SOURCE, Publish=True)
        functions.create_alias(FunctionName="target", Name="live", FunctionVersion="1")
        functions.add_permission(
            FunctionName="target",
            Qualifier="live",
            StatementId="apis",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*/*/m/*",
        )
        yield running


@pytest.fixture(scope="module")
def api(cloud: RunningCloud) -> Api:
    logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    role = cloud.role("logging", "apigateway.amazonaws.com", logs)
    api = new_api(cloud, "predictions", binaryMediaTypes=["application/octet-stream"])
    api.gateway.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}])
    api.method("/m/{model}/predictions", "POST", "AWS_IAM")
    api.method("/m/{model}/predictions", "GET")
    api.method("/m/{model}/slow", "GET", timeoutInMillis=100)
    api.method("/not-allowed", "GET")
    api.gateway.put_gateway_response(
        restApiId=api.api_id,
        responseType="THROTTLED",
        statusCode="429",
        responseParameters={"gatewayresponse.header.Retry-After": "'1'"},
    )
    api.gateway.put_gateway_response(
        restApiId=api.api_id,
        responseType="DEFAULT_5XX",
        responseParameters={"gatewayresponse.header.Retry-After": "'2'"},
    )
    cloud.client("logs").create_log_group(logGroupName="/access")
    api.deploy()
    api.change(
        ("/accessLogSettings/destinationArn", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/access"),
        ("/accessLogSettings/format", LOG_FORMAT),
        ("/~1m~1{model}~1predictions/GET/metrics/enabled", "true"),
    )
    return api


def test_the_endpoint_is_told_in_a_header(api: Api) -> None:
    assert api.endpoint.startswith("http://127.0.0.1:")
    headers = api.gateway.get_rest_api(restApiId=api.api_id)["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-localcloud-endpoint"] == api.endpoint


def test_a_signed_request_reaches_the_alias(api: Api) -> None:
    status, answer, response = api.call(
        "POST", "/prod/m/one/predictions?x=1", b'{"a": 1}', api.operator, **{"Content-Type": "application/json"}
    )

    event = answer["event"]
    assert (status, answer["version"], response.headers["X-Own"]) == (201, "1", "1")
    assert (event["path"], event["pathParameters"]) == ("/m/one/predictions", {"model": "one"})
    assert (event["resource"], event["body"]) == ("/m/{model}/predictions", '{"a": 1}')
    context = event["requestContext"]
    assert context["identity"]["accessKey"] == api.operator["aws_access_key_id"]
    assert (context["stage"], context["requestId"]) == ("prod", response.headers["x-amzn-RequestId"])
    assert context["extendedRequestId"] == response.headers["x-amz-apigw-id"]
    assert response.headers["Content-Type"] == "application/json"


def test_unsigned_and_wrongly_signed_requests_are_told_apart(api: Api) -> None:
    wrong = {**api.operator, "aws_secret_access_key": "guess"}
    unknown = {"aws_access_key_id": "NOBODY", "aws_secret_access_key": "x"}

    def refused(credentials: dict[str, str] | None, **headers: str) -> tuple[int, str, str]:
        status, answer, response = api.call("POST", "/prod/m/one/predictions", b"{}", credentials, **headers)
        return status, str(response.headers["x-amzn-ErrorType"]), answer["message"]

    assert refused(None) == (403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    status, error, message = refused(wrong)
    assert (status, error) == (403, "InvalidSignatureException")
    assert message.startswith("The request signature we calculated does not match")
    assert refused(unknown)[1:] == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_role_needs_execute_api_invoke_on_the_method(api: Api, cloud: RunningCloud) -> None:
    def caller(name: str, method: str) -> dict[str, str]:
        resource = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api.api_id}/prod/{method}/m/one/predictions"
        allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
        return cloud.session(cloud.role(name, "ec2.amazonaws.com", allow))

    status, answer, _ = api.call("POST", "/prod/m/one/predictions", b"{}", caller("may-post", "POST"))
    assert status == 201
    assert answer["event"]["requestContext"]["identity"]["userArn"].endswith("assumed-role/may-post/test")
    status, answer, response = api.call("POST", "/prod/m/two/predictions", b"{}", caller("one-only", "POST"))
    assert (status, response.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert "not authorized to perform: execute-api:Invoke on resource" in answer["Message"]
    assert api.call("POST", "/prod/m/one/predictions", b"{}", caller("may-get", "GET"))[0] == 403


def test_what_is_not_there_is_403(api: Api) -> None:
    missing = (403, {"message": "Missing Authentication Token"})
    assert api.call("GET", "/prod/nowhere")[:2] == missing
    assert api.call("DELETE", "/prod/m/one/predictions")[:2] == missing
    assert api.call("GET", "/other/m/one/predictions")[:2] == (403, {"message": "Forbidden"})
    assert api.call("GET", "/")[:2] == (403, {"message": "Forbidden"})
    # A slash at the end means nothing.
    assert api.call("GET", "/prod/m/one/predictions/")[0] == 201


@pytest.mark.parametrize(
    ("target", "status", "answer"),
    [
        ("/prod/m/one/predictions?fail=1", 502, INTERNAL),
        ("/prod/m/one/predictions?wrong=1", 502, INTERNAL),
        ("/prod/not-allowed", 500, INTERNAL),
        ("/prod/m/one/slow?wait=1", 504, {"message": "Endpoint request timed out"}),
    ],
)
def test_what_goes_wrong_behind_the_method_is_a_gateway_response(
    api: Api, target: str, status: int, answer: dict[str, str]
) -> None:
    found, said, response = api.call("GET", target)

    assert (found, said) == (status, answer)
    assert (response.headers["x-amzn-ErrorType"], response.headers["Retry-After"]) == (
        "InternalServerErrorException",
        "2",
    )


def test_a_throttled_function_is_an_integration_failure(api: Api, cloud: RunningCloud) -> None:
    functions = cloud.client("lambda")
    functions.put_function_concurrency(FunctionName="target", ReservedConcurrentExecutions=0)
    status, answer, response = api.call("GET", "/prod/m/one/predictions")
    functions.delete_function_concurrency(FunctionName="target")

    assert (status, answer, response.headers["Retry-After"]) == (500, INTERNAL, "2")
    assert lines(cloud)[-1]["kind"] == "INTEGRATION_FAILURE"


def test_a_body_over_ten_megabytes_is_413(api: Api) -> None:
    status, answer, response = api.call("POST", "/prod/m/one/predictions", b"x" * 10_485_761)

    assert (status, answer) == (413, {"message": "Request Too Long"})
    # Lambda takes six.
    status, answer, response = api.call("POST", "/prod/m/one/predictions", b"x" * 7_000_000, api.operator)
    assert (status, response.headers["x-amzn-ErrorType"]) == (413, "RequestEntityTooLargeException")


def test_binary_bodies_go_both_ways(api: Api) -> None:
    octets = "application/octet-stream"
    event = api.call("POST", "/prod/m/a/predictions", b"\xff", api.operator, **{"Content-Type": octets})[1]["event"]
    assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)

    assert api.call("GET", "/prod/m/a/predictions?binary=1", Accept=octets)[1] == b"\x00\xff"
    assert api.call("GET", "/prod/m/a/predictions?binary=1", Accept="*/*")[1] == b"AP8="


def test_beyond_the_limit_of_a_method_it_answers_429(api: Api) -> None:
    own = "/~1m~1{model}~1predictions/GET"
    api.change((f"{own}/throttling/rateLimit", "0.001"), (f"{own}/throttling/burstLimit", "1"))
    answers = [api.call("GET", "/prod/m/one/predictions") for _ in range(3)]
    others = [api.call("GET", "/prod/not-allowed")[0] for _ in range(3)]
    api.remove(own)

    assert [status for status, _, _ in answers] == [201, 429, 429]
    _, said, response = answers[1]
    assert said == {"message": "Too Many Requests"}
    assert (response.headers["x-amzn-ErrorType"], response.headers["Retry-After"]) == ("TooManyRequestsException", "1")
    assert others == [500, 500, 500]
    assert api.call("GET", "/prod/m/one/predictions")[0] == 201


def test_the_limit_of_a_stage_is_for_each_of_its_methods(api: Api) -> None:
    api.change(("/*/*/throttling/rateLimit", "0.001"), ("/*/*/throttling/burstLimit", "2"))
    statuses = [api.call("GET", f"/prod{path}")[0] for path in 3 * ["/not-allowed", "/m/one/predictions"]]
    api.remove("/*/*")

    assert statuses == [500, 201, 500, 201, 429, 429]
    assert api.call("GET", "/prod/not-allowed")[0] == 500


def test_a_change_is_served_once_it_is_deployed(api: Api) -> None:
    api.method("/m/{model}/later", "GET")
    assert api.call("GET", "/prod/m/one/later")[0] == 403

    deployment = api.deploy("test")
    assert (api.call("GET", "/prod/m/one/later")[0], api.call("GET", "/test/m/one/later")[0]) == (403, 201)
    api.change(("/deploymentId", deployment))
    assert api.call("GET", "/prod/m/one/later")[0] == 201

    # A stage keeps its settings when it is deployed to, and a deployment that is served can't be deleted.
    api.deploy()
    stage = api.gateway.get_stage(restApiId=api.api_id, stageName="prod")
    assert stage["accessLogSettings"]["format"] == LOG_FORMAT
    with pytest.raises(ClientError, match="Active stages"):
        api.gateway.delete_deployment(restApiId=api.api_id, deploymentId=stage["deploymentId"])
    api.gateway.delete_stage(restApiId=api.api_id, stageName="test")
    assert api.call("GET", "/test/m/one/later")[0] == 403
    api.gateway.delete_deployment(restApiId=api.api_id, deploymentId=deployment)


def test_the_most_specific_method_answers(cloud: RunningCloud) -> None:
    api = new_api(cloud, "greedy")
    for path, method in (
        ("/m/{proxy+}", "ANY"),
        ("/m/{model}", "ANY"),
        ("/m/one", "GET"),
        ("/m/one", "ANY"),
    ):
        api.method(path, method)
    api.deploy()

    def found(method: str, path: str) -> tuple[str, Any]:
        event = api.call(method, f"/prod{path}")[1]["event"]
        return event["resource"], event["pathParameters"]

    assert found("GET", "/m/one") == ("/m/one", None)
    assert found("PUT", "/m/a%20b") == ("/m/{model}", {"model": "a b"})
    assert found("PUT", "/m/a/b/c") == ("/m/{proxy+}", {"proxy": "a/b/c"})
    assert api.call("GET", "/prod/m")[0] == 403


def test_a_preflight_request_is_answered_by_a_mock(cloud: RunningCloud) -> None:
    api = new_api(cloud, "preflight")
    api.method("/m", "OPTIONS", type="MOCK", requestTemplates={"application/json": "{ statusCode: 200 }"})
    where = {"restApiId": api.api_id, "resourceId": api.resources["/m"], "httpMethod": "OPTIONS", "statusCode": "204"}
    origin = "method.response.header.Access-Control-Allow-Origin"
    api.gateway.put_method_response(**where, responseParameters={origin: True})
    api.gateway.put_integration_response(**where, responseParameters={origin: "'*'"})
    api.deploy()

    status, answer, response = api.call("OPTIONS", "/prod/m")
    assert (status, answer, response.headers["Access-Control-Allow-Origin"]) == (204, None, "*")


def lines(cloud: RunningCloud) -> list[dict[str, str]]:
    events = cloud.client("logs").filter_log_events(logGroupName="/access")["events"]
    return [json.loads(event["message"]) for event in events]


def test_requests_are_logged_and_counted(api: Api, cloud: RunningCloud) -> None:
    _, _, response = api.call("GET", "/prod/m/one/predictions")
    identifier = response.headers["x-amzn-RequestId"]
    entry = {"id": identifier, "path": "/m/{model}/predictions", "status": "201", "kind": "-", "user": "-"}
    assert entry in lines(cloud)
    _, _, response = api.call("GET", "/prod/nowhere")
    entry = {"id": response.headers["x-amzn-RequestId"], "path": "-", "status": "403", "user": "-"}
    assert {**entry, "kind": "MISSING_AUTHENTICATION_TOKEN"} in lines(cloud)

    metrics = cloud.client("cloudwatch").list_metrics(Namespace="AWS/ApiGateway")["Metrics"]
    found = {
        (metric["MetricName"], *sorted(each["Value"] for each in metric["Dimensions"]))
        for metric in metrics
        if {"Name": "ApiName", "Value": "predictions"} in metric["Dimensions"]
    }
    names = ("Count", "4XXError", "5XXError", "Latency", "IntegrationLatency")
    expected = {(name, *dimensions) for name in names for dimensions in (("predictions",), ("predictions", "prod"))}
    assert expected <= found
    # The one method with detailed metrics.
    assert ("Count", "/m/{model}/predictions", "GET", "predictions", "prod") in found
    assert not {metric for metric in found if "/not-allowed" in metric}


def test_access_logs_need_the_accounts_role(api: Api, cloud: RunningCloud) -> None:
    role = api.gateway.get_account()["cloudwatchRoleArn"]

    def set_role(value: str) -> None:
        operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": value}
        api.gateway.update_account(patchOperations=[operation])

    set_role("")
    with pytest.raises(ClientError, match="CloudWatch Logs role ARN must be set in account settings"):
        api.change(("/accessLogSettings/format", LOG_FORMAT))
    nobodys = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    mute = cloud.role("mute", "apigateway.amazonaws.com")
    foreign = cloud.role("foreign", "ec2.amazonaws.com", {"Effect": "Allow", "Action": "logs:*", "Resource": "*"})
    for other in (nobodys, mute, foreign):
        with pytest.raises(ClientError, match="does not have required permissions configured"):
            set_role(other)
    set_role(role)


def test_a_deleted_api_answers_no_more(cloud: RunningCloud) -> None:
    short = new_api(cloud, "short")
    assert short.call("GET", "/prod")[0] == 403

    short.gateway.delete_rest_api(restApiId=short.api_id)

    with pytest.raises(ConnectionRefusedError):
        short.call("GET", "/prod")
    with pytest.raises(ClientError, match="NotFoundException"):
        short.gateway.delete_rest_api(restApiId=short.api_id)


def test_names_that_are_taken_and_places_that_are_not_there_are_refused(cloud: RunningCloud) -> None:
    api = new_api(cloud, "names")
    api.method("/m/{model}", "GET")
    api.method("/m/{proxy+}", "GET")
    create = api.gateway.create_resource
    for parent, part, message in (
        ("/m", "{model}", "ConflictException.*already has this name"),
        ("/m", "{other}", "BadRequestException.*only one is allowed"),
        ("/m/{proxy+}", "x", "BadRequestException.*greedy path variable"),
    ):
        with pytest.raises(ClientError, match=message):
            create(restApiId=api.api_id, parentId=api.resources[parent], pathPart=part)
    with pytest.raises(ClientError, match=r"ConflictException.*Method already exists"):
        api.method("/m/{model}", "GET")
    with pytest.raises(ClientError, match="Deployment id does not exist"):
        api.gateway.create_stage(restApiId=api.api_id, stageName="s", deploymentId="none")
    deployment = api.deploy()
    with pytest.raises(ClientError, match="Stage name only allows"):
        api.gateway.create_stage(restApiId=api.api_id, stageName="a.b", deploymentId=deployment)
    with pytest.raises(ClientError, match="Deployment id does not exist"):
        api.change(("/deploymentId", "none"))
    # What is below a resource goes with it.
    api.gateway.delete_resource(restApiId=api.api_id, resourceId=api.resources["/m"])
    assert [each["path"] for each in api.gateway.get_resources(restApiId=api.api_id)["items"]] == ["/"]


def test_binary_media_types_are_added_and_removed(cloud: RunningCloud) -> None:
    api = new_api(cloud, "media", binaryMediaTypes=["a/b"])
    patch = [
        {"op": "remove", "path": "/binaryMediaTypes/a~1b"},
        {"op": "add", "path": "/binaryMediaTypes/image~1*"},
        {"op": "replace", "path": "/name", "value": "renamed"},
    ]
    changed = api.gateway.update_rest_api(restApiId=api.api_id, patchOperations=patch)

    assert (changed["binaryMediaTypes"], changed["name"]) == (["image/*"], "renamed")


def test_what_the_data_plane_would_not_do_is_refused(api: Api, cloud: RunningCloud) -> None:
    where = {"restApiId": api.api_id, "resourceId": api.resources["/"], "httpMethod": "PUT"}
    with pytest.raises(ClientError, match=r"BadRequestException.*CUSTOM.*local cloud"):
        api.gateway.put_method(**where, authorizationType="CUSTOM")
    with pytest.raises(ClientError, match=r"BadRequestException.*local cloud: API keys are not executed"):
        api.gateway.create_api_key(name="k")
    with pytest.raises(ClientError, match=r"responseTemplates\.text/xml is not executed"):
        api.gateway.put_gateway_response(
            restApiId=api.api_id, responseType="THROTTLED", responseTemplates={"text/xml": "<a/>"}
        )
    with pytest.raises(ClientError, match=r"UnknownOperationException.*does not execute"):
        api.gateway.update_method(**where, patchOperations=[])


def test_who_manages_an_api_needs_the_right_to(api: Api, cloud: RunningCloud) -> None:
    def client(name: str, actions: str, resource: str) -> Client:
        allow = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:apigateway:us-east-1::{resource}"}
        return cloud.client("apigateway", **cloud.session(cloud.role(name, "ec2.amazonaws.com", allow)))

    reads = client("reads", "apigateway:GET", f"/restapis/{api.api_id}/*")
    assert reads.get_resources(restApiId=api.api_id)["items"]
    with pytest.raises(ClientError, match="AccessDenied"):
        reads.create_deployment(restApiId=api.api_id, stageName="x")
    with pytest.raises(ClientError, match="AccessDenied"):
        reads.get_rest_apis()
    # A role for logs is handed on only by who may pass it.
    role = api.gateway.get_account()["cloudwatchRoleArn"]
    operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
        client("patches", "apigateway:PATCH", "/account").update_account(patchOperations=[operation])
