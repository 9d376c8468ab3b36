"""HTTP APIs made over boto3 and called over HTTP."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import RSAKey

from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("apigatewayv2")  # one cloud for all of them

SOURCE = (
    "import json\n"
    "def handle(event, context):\n"
    "    if event.get('queryStringParameters', {}).get('fail'):\n"
    "        raise ValueError('no')\n"
    "    body = {'version': context.function_version, 'event': event}\n"
    "    return {'statusCode': 201, 'headers': {'Content-Type': 'application/json', 'X-Own': '1'},\n"
    "            'body': json.dumps(body)}\n"
)


ISSUER, TOKEN = "https://login.example.com", "$request.header.Authorization"


@cache
def issuers_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "ours"})


@dataclass
class Api:
    """An API with an open route, a signed one, and one whose function does not allow it."""

    cloud: RunningCloud
    api_id: str
    endpoint: str

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
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=30)
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None, response


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    settings = tmp_path_factory.mktemp("settings")
    (settings / "keys.json").write_text(json.dumps({"keys": [issuers_key().as_dict(private=False)]}))
    (settings / "localcloud.toml").write_text(f'[apigatewayv2.issuers]\n"{ISSUER}" = "keys.json"\n')
    with running_cloud(
        tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache"), settings=settings / "localcloud.toml"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def api(cloud: RunningCloud) -> Api:
    functions, gateway = cloud.client("lambda"), cloud.client("apigatewayv2")
    cloud.function("target", SOURCE, Publish=True)
    alias = functions.create_alias(FunctionName="target", Name="live", FunctionVersion="1")["AliasArn"]
    made = gateway.create_api(Name="api", ProtocolType="HTTP")
    api_id = made["ApiId"]
    functions.add_permission(
        FunctionName="target",
        Qualifier="live",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:123456789012:{api_id}/*/*/m/{{model}}/predictions",
    )
    invocation = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{alias}/invocations"
    integration = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=invocation, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    for key, authorization in (
        ("POST /m/{model}/predictions", "AWS_IAM"),
        ("GET /m/{model}/predictions", "NONE"),
        ("GET /not-allowed", "NONE"),
    ):
        gateway.create_route(
            ApiId=api_id, RouteKey=key, Target=f"integrations/{integration}", AuthorizationType=authorization
        )
    authorizer = gateway.create_authorizer(
        ApiId=api_id,
        Name="login",
        AuthorizerType="JWT",
        IdentitySource=[TOKEN],
        JwtConfiguration={"Issuer": ISSUER, "Audience": ["predictions"]},
    )["AuthorizerId"]
    gateway.create_route(
        ApiId=api_id,
        RouteKey="PUT /m/{model}/predictions",
        Target=f"integrations/{integration}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
        AuthorizationScopes=["predict"],
    )
    cloud.client("logs").create_log_group(logGroupName="/access")
    gateway.create_stage(
        ApiId=api_id,
        StageName="$default",
        AutoDeploy=True,
        DefaultRouteSettings={"ThrottlingBurstLimit": 1000, "ThrottlingRateLimit": 1000.0},
        AccessLogSettings={
            "DestinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:/access",
            "Format": '{"route":"$context.routeKey","status":"$context.status","other":"$context.nothing"}',
        },
    )
    return Api(cloud, api_id, made["ApiEndpoint"])


def test_the_endpoint_is_the_one_that_get_api_names(api: Api) -> None:
    assert api.endpoint.startswith("http://127.0.0.1:")
    assert api.cloud.client("apigatewayv2").get_api(ApiId=api.api_id)["ApiEndpoint"] == api.endpoint


def test_a_token_of_the_issuer_reaches_the_function(api: Api) -> None:
    def call(**claims: Any) -> tuple[int, Any, Any]:
        given = {"iss": ISSUER, "aud": "predictions", "exp": int(time.time()) + 60, "scope": "predict"} | claims
        text = jwt.encode({"alg": "RS256", "kid": "ours"}, given, issuers_key())
        return api.call("PUT", "/m/one/predictions", Authorization=f"Bearer {text}")

    status, answer, _ = call(sub="ann")
    assert status == 201
    authorizer = answer["event"]["requestContext"]["authorizer"]["jwt"]
    assert (authorizer["claims"]["sub"], authorizer["scopes"]) == ("ann", ["predict"])
    status, answer, response = call(exp=int(time.time()) - 1)
    assert (status, answer) == (401, {"message": "Unauthorized"})
    assert 'error="invalid_token"' in (response.getheader("www-authenticate") or "")
    assert [call(aud="others")[0], call(iss="https://else.example.com")[0]] == [401, 401]
    assert call(scope="other")[:2] == (403, {"message": "Forbidden"})
    status, _, response = api.call("PUT", "/m/one/predictions")
    assert (status, response.getheader("www-authenticate")) == (401, "Bearer")
    # A signature is no token.
    assert api.call("PUT", "/m/one/predictions", b"", api.operator)[0] == 401


def test_beyond_the_limit_of_a_stage_it_answers_429(api: Api) -> None:
    stage = {"ApiId": api.api_id, "StageName": "$default"}
    gateway = api.cloud.client("apigatewayv2")
    before = gateway.get_stage(**stage)["DefaultRouteSettings"]
    limits = {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.001}
    gateway.update_stage(**stage, DefaultRouteSettings=limits)
    answers = [api.call("GET", "/not-allowed")[:2] for _ in range(3)]
    gateway.update_stage(**stage, DefaultRouteSettings=before)
    assert answers == [(500, {"message": "Internal Server Error"}), *2 * [(429, {"message": "Too Many Requests"})]]
    assert api.call("GET", "/nothing")[0] == 404


def test_a_route_may_have_a_limit_of_its_own(api: Api) -> None:
    stage = {"ApiId": api.api_id, "StageName": "$default"}
    gateway = api.cloud.client("apigatewayv2")
    own = {"GET /not-allowed": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.001}}
    gateway.update_stage(**stage, RouteSettings=own)
    statuses = [api.call("GET", path)[0] for path in 2 * ["/not-allowed", "/m/one/predictions"]]
    gateway.update_stage(**stage, RouteSettings={})
    assert statuses == [500, 201, 429, 201]


def test_a_stage_takes_no_settings_of_a_route_that_is_not_there(api: Api) -> None:
    gateway = api.cloud.client("apigatewayv2")
    settings = {"GET /nowhere": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}}
    for change in (gateway.update_stage, gateway.create_stage):
        with pytest.raises(gateway.exceptions.NotFoundException, match="find Route by key GET /nowhere within"):
            change(ApiId=api.api_id, StageName="$default", RouteSettings=settings)
    assert gateway.get_stage(ApiId=api.api_id, StageName="$default")["RouteSettings"] == {}
    with pytest.raises(gateway.exceptions.NotFoundException, match="API"):
        gateway.create_stage(ApiId="nothing", StageName="$default", RouteSettings=settings)


def test_a_signed_request_reaches_the_alias(api: Api) -> None:
    status, answer, response = api.call(
        "POST", "/m/one/predictions?x=1", b'{"a": 1}', api.operator, **{"Content-Type": "application/json"}
    )

    event = answer["event"]
    assert (status, answer["version"], response.headers["X-Own"]) == (201, "1", "1")
    assert event["pathParameters"] == {"model": "one"}
    assert event["body"] == '{"a": 1}'
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == api.operator["aws_access_key_id"]
    assert event["requestContext"]["requestId"] == response.headers["apigw-requestid"]


def test_unsigned_and_wrongly_signed_requests_are_forbidden(api: Api) -> None:
    wrong = {**api.operator, "aws_secret_access_key": "guess"}
    unknown = {"aws_access_key_id": "NOBODY", "aws_secret_access_key": "x"}

    for credentials in (None, wrong, unknown):
        status, answer, _ = api.call("POST", "/m/one/predictions", b"{}", credentials)
        assert (status, answer) == (403, {"message": "Forbidden"})


def test_a_role_needs_execute_api_invoke_on_the_route(api: Api, cloud: RunningCloud) -> None:
    def caller(name: str, method: str) -> dict[str, str]:
        resource = f"arn:aws:execute-api:us-east-1:123456789012:{api.api_id}/$default/{method}/m/one/predictions"
        allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
        return cloud.session(cloud.role(name, "ec2.amazonaws.com", allow))

    status, answer, _ = api.call("POST", "/m/one/predictions", b"{}", caller("may-post", "POST"))
    assert status == 201
    assert answer["event"]["requestContext"]["authorizer"]["iam"]["userArn"].endswith("assumed-role/may-post/test")
    assert api.call("POST", "/m/two/predictions", b"{}", caller("one-only", "POST"))[0] == 403
    assert api.call("POST", "/m/one/predictions", b"{}", caller("may-get", "GET"))[0] == 403


def test_no_route_is_404(api: Api) -> None:
    assert api.call("GET", "/nowhere")[:2] == (404, {"message": "Not Found"})
    assert api.call("DELETE", "/m/one/predictions")[0] == 404


def test_a_function_that_fails_is_500(api: Api) -> None:
    assert api.call("GET", "/m/one/predictions?fail=1")[:2] == (500, {"message": "Internal Server Error"})


def test_a_route_that_the_function_does_not_allow_is_500(api: Api) -> None:
    assert api.call("GET", "/not-allowed")[0] == 500


def test_a_body_over_ten_megabytes_is_413(api: Api) -> None:
    status, answer, _ = api.call("POST", "/m/one/predictions", b"x" * 10_485_761)

    assert (status, answer) == (413, {"message": "Request Entity Too Large"})


def test_requests_are_logged_and_counted(api: Api, cloud: RunningCloud) -> None:
    api.call("GET", "/m/one/predictions")

    events = cloud.client("logs").filter_log_events(logGroupName="/access")["events"]
    entry = {"route": "GET /m/{model}/predictions", "status": "201", "other": "-"}
    assert entry in [json.loads(event["message"]) for event in events]
    found = cloud.client("cloudwatch").list_metrics(Namespace="AWS/ApiGateway", MetricName="Count")["Metrics"]
    assert [{"Name": "ApiId", "Value": api.api_id}] in [metric["Dimensions"] for metric in found]


def test_a_changed_route_is_served_at_once(api: Api, cloud: RunningCloud) -> None:
    gateway = cloud.client("apigatewayv2")
    integration = gateway.get_integrations(ApiId=api.api_id)["Items"][0]["IntegrationId"]
    assert api.call("GET", "/later")[0] == 404

    route = gateway.create_route(ApiId=api.api_id, RouteKey="GET /later", Target=f"integrations/{integration}")
    assert api.call("GET", "/later")[0] == 500
    gateway.delete_route(ApiId=api.api_id, RouteId=route["RouteId"])
    assert api.call("GET", "/later")[0] == 404


def test_a_stage_can_be_changed(api: Api, cloud: RunningCloud) -> None:
    gateway = cloud.client("apigatewayv2")

    gateway.update_stage(ApiId=api.api_id, StageName="$default", Description="changed")

    assert gateway.get_stage(ApiId=api.api_id, StageName="$default")["Description"] == "changed"


def test_a_deleted_api_answers_no_more(cloud: RunningCloud) -> None:
    gateway = cloud.client("apigatewayv2")
    made = gateway.create_api(Name="short", ProtocolType="HTTP")
    short = Api(cloud, made["ApiId"], made["ApiEndpoint"])
    assert short.call("GET", "/")[0] == 404

    gateway.delete_api(ApiId=made["ApiId"])

    with pytest.raises(ConnectionRefusedError):
        short.call("GET", "/")


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("create_api", {"Name": "x", "ProtocolType": "WEBSOCKET"}),
        ("create_api", {"Name": "x", "ProtocolType": "HTTP", "CorsConfiguration": {"AllowOrigins": ["*"]}}),
        ("create_route", {"RouteKey": "GET /x", "AuthorizationType": "CUSTOM"}),
        ("create_route", {"RouteKey": "GET /x", "AuthorizationType": "JWT"}),
        ("create_authorizer", {"Name": "x", "AuthorizerType": "JWT", "IdentitySource": ["x"]}),
        ("create_authorizer", {"Name": "x", "AuthorizerType": "REQUEST", "IdentitySource": [TOKEN]}),
        (
            "create_authorizer",
            {
                "Name": "x",
                "AuthorizerType": "JWT",
                "IdentitySource": [TOKEN],
                "JwtConfiguration": {"Issuer": "https://127.0.0.1:1", "Audience": ["a"]},
            },
        ),
        ("create_integration", {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.org"}),
        (
            "create_integration",
            {
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": "arn:aws:lambda:us-east-1:1:function:f",
                "PayloadFormatVersion": "1.0",
            },
        ),
    ],
)
def test_what_the_data_plane_would_not_do_is_refused(
    api: Api, cloud: RunningCloud, operation: str, parameters: dict[str, Any]
) -> None:
    given = parameters if operation == "create_api" else {"ApiId": api.api_id, **parameters}

    with pytest.raises(ClientError, match="local cloud"):
        getattr(cloud.client("apigatewayv2"), operation)(**given)
