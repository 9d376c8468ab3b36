"""What others on this machine can do to a local cloud: nothing. Each line of the threat model is a test here.

Requests are written to sockets, as a browser or another program would send them, never by a client that could
be kinder than they are.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.core.clients import make_client
from localcloud.core.credentials import Operator
from localcloud.core.peers import owners_are_told
from localcloud.services.lambda_.runtime.api import PREFIX, RuntimeApi
from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("threats")  # one cloud for all of them

ECHO = "def handle(event, context):\n    return {'statusCode': 200, 'body': 'answered'}\n"
FOREIGN_HEADERS = [
    ("Origin", "https://attacker.example"),
    ("Origin", "null"),
    ("Origin", "http://localhost:3000"),
    ("Origin", "file://"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Site", "same-site"),
    ("Host", "attacker.example"),
    ("Host", "attacker.example:{port}"),
    ("Host", "127.0.0.1.attacker.example:{port}"),
    ("Host", "127.0.0.1"),
    ("Host", ""),
]
FORMER_CREDENTIAL = "Credential=LOCALOPERATOR/20260101/us-east-1/iam/aws4_request"


@dataclass
class Scene:
    """A cloud with a function, and an HTTP API with an open route to it."""

    cloud: RunningCloud
    aws_port: int
    api_port: int
    rest_port: int

    def signed(self, port: int, service: str, body: bytes = b"", path: str = "/", **headers: str) -> bytes:
        """A request of the operator's that is good as it is."""
        request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
        operator = self.cloud.daemon.operator
        credentials = Credentials(operator.access_key_id, operator.secret_access_key)
        SigV4Auth(credentials, service, "us-east-1").add_auth(request)
        return (
            head("POST", path, **{"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), **request.headers})
            + body
        )


def head(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def send(port: int, request: bytes) -> tuple[int, bytes]:
    """The status and all of an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return int(answer.split(b" ")[1]), answer


def changed(request: bytes, name: str, value: str) -> bytes:
    """The request with one header set."""
    top, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in top.split(b"\r\n") if not line.lower().startswith(name.lower().encode() + b":")]
    return b"\r\n".join([*lines, f"{name}: {value}".encode()]) + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    # It starts plainly, with a command line of its own.
    with running_cloud(tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache"), plainly=True) as cloud:
        function = cloud.function("target", ECHO)
        gateway = cloud.client("apigatewayv2")
        made = gateway.create_api(Name="api", ProtocolType="HTTP")
        cloud.client("lambda").add_permission(
            FunctionName="target", StatementId="a", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
        )
        target = gateway.create_integration(
            ApiId=made["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        gateway.create_route(
            ApiId=made["ApiId"], RouteKey="POST /open", Target=f"integrations/{target}", AuthorizationType="NONE"
        )
        gateway.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
        rest = cloud.client("apigateway")
        made_rest = rest.create_rest_api(name="rest")
        where = {"restApiId": made_rest["id"], "resourceId": made_rest["rootResourceId"], "httpMethod": "POST"}
        rest.put_method(**where, authorizationType="NONE")
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
        rest.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
        rest.create_deployment(restApiId=made_rest["id"], stageName="open")
        cloud.client("lambda").invoke(FunctionName="target")  # so that there is a worker
        api_port = urlsplit(made["ApiEndpoint"]).port
        aws_port = urlsplit(cloud.daemon.endpoint).port
        rest_port = urlsplit(made_rest["ResponseMetadata"]["HTTPHeaders"]["x-localcloud-endpoint"]).port
        assert api_port is not None
        assert aws_port is not None
        assert rest_port is not None
        yield Scene(cloud, aws_port, api_port, rest_port)


# --- web pages ----------------------------------------------------------------------------------------------------


def good_requests(scene: Scene) -> dict[str, tuple[int, bytes]]:
    """Port and request by where it goes; each is answered 200 as it is."""
    token = f"Bearer {scene.cloud.daemon.operator.control_token}"
    identity = b"Action=GetCallerIdentity&Version=2011-06-15"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return {
        "aws": (scene.aws_port, scene.signed(scene.aws_port, "sts", identity, **form)),
        "control": (
            scene.aws_port,
            head("GET", "/_localcloud/clock", Host=f"127.0.0.1:{scene.aws_port}", Authorization=token),
        ),
        "http api": (scene.api_port, head("POST", "/open", Host=f"127.0.0.1:{scene.api_port}")),
        "rest api": (scene.rest_port, head("POST", "/open", Host=f"127.0.0.1:{scene.rest_port}")),
    }


@pytest.mark.parametrize("port", ["aws", "control", "http api", "rest api"])
@pytest.mark.parametrize(("name", "value"), FOREIGN_HEADERS)
def test_a_page_is_refused_on_every_port_even_with_credentials(scene: Scene, port: str, name: str, value: str) -> None:
    number, request = good_requests(scene)[port]
    assert send(number, request)[0] == 200

    status, answer = send(number, changed(request, name, value.format(port=number)))

    assert status == 403
    assert b"page" in answer or b"Host" in answer
    assert b"answered" not in answer


@pytest.mark.parametrize("port", ["aws", "http api", "rest api"])
def test_a_preflight_is_refused(scene: Scene, port: str) -> None:
    number, _ = good_requests(scene)[port]
    request = head("OPTIONS", "/open", Host=f"127.0.0.1:{number}", Origin="https://attacker.example")

    status, answer = send(number, request)

    assert status == 403
    assert b"access-control" not in answer.lower()


@pytest.mark.parametrize("origin", [{"Origin": "https://attacker.example"}, {"Origin": "null"}, {}])
def test_a_pages_form_and_text_posts_make_no_role_no_function_and_run_none(
    scene: Scene, origin: dict[str, str]
) -> None:
    # GIVEN what made and ran a function before: simple requests, the credential in the query as far as there is one
    host = {"Host": f"127.0.0.1:{scene.aws_port}"}
    form = b"Action=CreateRole&RoleName=page&AssumeRolePolicyDocument=%7B%7D&Version=2010-05-08"
    query = "X-Amz-" + FORMER_CREDENTIAL
    make = json.dumps({"FunctionName": "page", "Role": "x", "Code": {"ZipFile": ""}}).encode()
    for path, kind, body in (
        (f"/?{query}", "application/x-www-form-urlencoded", form),
        (f"/?{query.replace('iam', 'lambda')}", "text/plain", make),
        (f"/2015-03-31/functions?{query.replace('iam', 'lambda')}", "text/plain", make),
        (f"/2015-03-31/functions/target/invocations?{query.replace('iam', 'lambda')}", "text/plain", b"{}"),
        ("/2015-03-31/functions/target/invocations", "text/plain", b"{}"),
    ):
        request = head("POST", path, **{**host, **origin, "Content-Type": kind, "Content-Length": str(len(body))})

        status, answer = send(scene.aws_port, request + body)

        assert status == 403
        assert b"answered" not in answer
    assert "page" not in [role["RoleName"] for role in scene.cloud.client("iam").list_roles()["Roles"]]
    assert "page" not in [f["FunctionName"] for f in scene.cloud.client("lambda").list_functions()["Functions"]]


def test_no_answer_lets_a_page_read_it(scene: Scene) -> None:
    # GIVEN a bucket whose rules let any origin read, as moto would tell it on every answer
    s3 = scene.cloud.client("s3")
    s3.create_bucket(Bucket="shared")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket="shared", CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket="shared", Key="k", Body=b"x")

    for client, call in ((s3, s3.list_buckets), (s3, lambda: s3.get_object(Bucket="shared", Key="k"))):
        assert client is s3
        headers = call()["ResponseMetadata"]["HTTPHeaders"]
        assert not [name for name in headers if name.startswith("access-control")]


# --- other programs and users -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/reset", "/moto-api/data.json", "/moto-api/seed?a=1", "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_motos_own_pages_are_not_there(scene: Scene, method: str, path: str) -> None:
    scene.cloud.client("ssm").put_parameter(Name=f"kept{method}{len(path)}", Value="1", Type="String")

    status, answer = send(scene.aws_port, head(method, path, Host=f"localhost:{scene.aws_port}"))

    assert status == 403
    assert b"MissingAuthenticationToken" in answer
    for service in ("s3", "sts", "lambda"):  # not with a signature either
        signed = scene.signed(scene.aws_port, service, path=path)
        assert path == "/" or send(scene.aws_port, signed)[0] >= 400
    assert scene.cloud.client("ssm").get_parameter(Name=f"kept{method}{len(path)}")


CALLS = [
    ("s3", "list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"),
    ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ("iam", "list_roles", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    (
        "dynamodb",
        "list_tables",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    ),
    (
        "lambda",
        "list_functions",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    ),
    (
        "cloudwatch",
        "list_metrics",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    ),
]


def code_of(scene: Scene, service: str, call: str, key: str, secret: str, token: str | None = None) -> str:
    client = make_client(
        service,
        region_name="us-east-1",
        endpoint_url=scene.cloud.daemon.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as refused:
        getattr(client, call)()
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.parametrize(("service", "call", "unknown", "wrong", "token"), CALLS, ids=[call[0] for call in CALLS])
def test_whoever_does_not_know_the_credentials_is_refused_as_aws_refuses(
    scene: Scene, service: str, call: str, unknown: str, wrong: str, token: str
) -> None:
    operator = scene.cloud.daemon.operator
    session = scene.cloud.session(scene.cloud.role(f"any-{service}"))
    key, secret = session["aws_access_key_id"], session["aws_secret_access_key"]

    assert code_of(scene, service, call, "LOCALOPERATOR", "local-operator-secret") == unknown
    assert code_of(scene, service, call, operator.access_key_id, "guess") == wrong
    assert code_of(scene, service, call, key, "guess", session["aws_session_token"]) == wrong
    assert code_of(scene, service, call, key, secret) == token
    assert code_of(scene, service, call, key, secret, "guess") == token


def test_a_role_can_not_pass_for_the_operator(scene: Scene) -> None:
    # GIVEN a role without any right, and what names the operator where the signature does not say who it is
    session = scene.cloud.session(scene.cloud.role("nobody"))
    operator = scene.cloud.daemon.operator.access_key_id
    credential = f"X-Amz-Credential={operator}/20260101/us-east-1/s3/aws4_request"
    s3 = scene.cloud.client("s3", **session)

    for key in (credential, f"a?{credential}", f"Credential={operator}/20260101/us-east-1/s3/aws4_request"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket="shared", Key=key, Body=b"x")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "shared", "Key": key})
        target = url.removeprefix(scene.cloud.daemon.endpoint)
        assert send(scene.aws_port, head("GET", target, Host=f"127.0.0.1:{scene.aws_port}"))[0] == 403
    request = scene.signed(scene.aws_port, "sts", b"Action=GetCallerIdentity&Version=2011-06-15")
    line = next(line for line in request.split(b"\r\n") if line.startswith(b"Authorization"))
    assert send(scene.aws_port, request.replace(line, line + b"\r\n" + line))[0] == 400


@pytest.mark.parametrize("token", [None, "", "Bearer ", "Bearer guess", "Basic x"])
@pytest.mark.parametrize(
    ("method", "name"),
    [("GET", "clock"), ("POST", "clock"), ("GET", "activity"), ("GET", "memory"), ("POST", "shutdown")],
)
def test_the_control_endpoints_need_their_token(scene: Scene, method: str, name: str, token: str | None) -> None:
    headers = {"Host": f"127.0.0.1:{scene.aws_port}", **({} if token is None else {"Authorization": token})}

    status, answer = send(scene.aws_port, head(method, f"/_localcloud/{name}", **headers))

    assert (status, b"token" in answer) == (403, True)
    assert scene.cloud.daemon.clock()


def test_the_credentials_are_in_one_file_of_this_users_alone(scene: Scene) -> None:
    state = scene.cloud.daemon.state_directory
    operator = scene.cloud.daemon.operator
    secrets = [operator.secret_access_key.encode(), operator.control_token.encode()]

    assert Operator.read(state) == operator
    assert stat.S_IMODE((state / "operator.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    holders = [p for p in state.rglob("*") if p.is_file() and any(secret in p.read_bytes() for secret in secrets)]
    assert holders == [state / "operator.json"]
    assert not any(secret.decode() in repr(scene.cloud) for secret in secrets)
    if Path("/proc/self/cmdline").exists():
        for pid in processes_of(scene.cloud.daemon.pid):
            assert not any(secret in Path(f"/proc/{pid}/cmdline").read_bytes() for secret in secrets)


def test_the_credentials_of_a_functions_role_are_in_its_environment_alone(scene: Scene) -> None:
    # GIVEN a function that tells its own
    code = (
        "import os\n"
        "def handle(event, context):\n"
        "    own = {n: os.environ[n] for n in ('AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN')}\n"
        "    return own\n"
    )
    scene.cloud.function("tells", code)
    told = json.loads(scene.cloud.client("lambda").invoke(FunctionName="tells")["Payload"].read())
    secrets = [value.encode() for value in told.values()]
    assert all(len(secret) >= 20 for secret in secrets)
    # WHEN a request with them is refused; THEN the answer has none of them
    session = boto3.Session("ASIAUNKNOWN", told["AWS_SECRET_ACCESS_KEY"], told["AWS_SESSION_TOKEN"], "us-east-1")
    client = session.client("sqs", endpoint_url=f"http://127.0.0.1:{scene.aws_port}")
    with pytest.raises(ClientError) as refused:
        client.list_queues()
    assert not any(secret.decode() in str(refused.value.response) for secret in secrets)
    # and no file of the cloud and no command line has
    files = [p for p in scene.cloud.daemon.state_directory.rglob("*") if p.is_file()]
    assert not [p for p in files if any(secret in p.read_bytes() for secret in secrets)]
    if Path("/proc/self/cmdline").exists():
        for pid in processes_of(scene.cloud.daemon.pid):
            assert not any(secret in Path(f"/proc/{pid}/cmdline").read_bytes() for secret in secrets)


def test_no_two_clouds_have_the_same_credentials() -> None:
    made = [Operator.random() for _ in range(50)]

    for name in ("access_key_id", "secret_access_key", "control_token"):
        assert len({getattr(one, name) for one in made}) == 50
    assert all(len(one.secret_access_key) >= 40 and len(one.control_token) >= 40 for one in made)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lists the sockets of a process")
def test_every_socket_listens_on_the_loopback_interface_alone(scene: Scene) -> None:
    inodes = {inode for pid in processes_of(scene.cloud.daemon.pid) for inode in sockets_of(pid)}
    listening = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, _, port = fields[1].rpartition(":")
                listening[int(port, 16)] = address

    assert {scene.aws_port, scene.api_port, scene.rest_port} < set(listening)  # and the worker's
    assert set(listening.values()) == {"0100007F"}


def test_an_open_route_is_still_anybodys_with_curl(scene: Scene) -> None:
    for host in (f"127.0.0.1:{scene.api_port}", f"localhost:{scene.api_port}"):
        status, answer = send(scene.api_port, head("POST", "/open", Host=host, **{"User-Agent": "curl/8.5.0"}))
        assert (status, answer.endswith(b"answered")) == (200, True)
    typed = head("POST", "/open", Host=f"127.0.0.1:{scene.api_port}", **{"Sec-Fetch-Site": "none"})
    assert send(scene.api_port, typed)[0] == 200


# --- the Runtime API of workers -----------------------------------------------------------------------------------


def runtime_answer(api: RuntimeApi, **headers: str) -> tuple[str, bytes]:
    """What becomes of a ``next`` call: the kind of call that the server saw, or nothing; and the answer."""
    port = int(api.address.rpartition(":")[2])
    seen = ""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(head("GET", f"{PREFIX}/invocation/next", **{"Host": f"127.0.0.1:{port}", **headers}))
        try:
            call = api.wait(time.monotonic() + 0.3, lambda: None)
        except TimeoutError:
            try:
                return seen, client.recv(1000)
            except ConnectionResetError:
                return seen, b""
        seen = call.kind
        api.answer_next(call, {}, b'"event"')
        return seen, client.recv(1000)


@pytest.mark.parametrize(("name", "value"), FOREIGN_HEADERS)
def test_a_page_gets_no_event_of_a_worker(name: str, value: str) -> None:
    api = RuntimeApi()
    port = api.address.rpartition(":")[2]

    assert runtime_answer(api)[0] == "next"
    seen, answer = runtime_answer(api, **{name: value.format(port=port)})

    assert seen == ""
    assert answer.startswith(b"HTTP/1.1 403")
    api.close()


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "token"}])
def test_a_worker_with_a_token_has_to_send_it(given: dict[str, str]) -> None:
    api = RuntimeApi("token")

    assert runtime_answer(api, Authorization="Bearer token")[0] == "next"
    seen, answer = runtime_answer(api, **given)

    assert (seen, answer[:12]) == ("", b"HTTP/1.1 403")
    api.close()


@pytest.mark.skipif(not owners_are_told(), reason="this system does not tell whose a connection is")
def test_another_users_connection_gets_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN that this user is another than the one whose sockets these are
    api = RuntimeApi()
    assert runtime_answer(api)[0] == "next"
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)

    assert runtime_answer(api) == ("", b"")
    api.close()


def processes_of(pid: int) -> list[int]:
    """A process and all that it started, and those started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                match = re.search(r"^PPid:\s*(\d+)$", (folder / "status").read_text(), re.M)
            except OSError:
                continue
            parents[int(folder.name)] = int(match[1]) if match else 0
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def sockets_of(pid: int) -> set[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except OSError:
            continue
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
