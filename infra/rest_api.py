"""The REST API of a model that declares one: its own refusals say when to come back, which an HTTP API's can't."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from aws_cdk import CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.routes import Limit, Route, acknowledge_public, permit

STAGE = "live"
"""The one stage; it stands in the address, before the paths of routes."""

RETRY_AFTER_SECONDS = 1
"""As the prediction function says it beside ``overloaded``: a second's worth of a rate has come by then."""

_AUTHORIZATION = {"iam": "AWS_IAM", "none": "NONE"}

_EVERY_TYPE = ["*/*"]
"""All bodies are bytes: a gzipped one names the type of what it holds, and an answer in bytes would go out in base64 to
a caller whose first ``Accept`` is another type
(https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html)."""

_TLS, _ACCESS_MODE = "SecurityPolicy_TLS13_1_2_PQ_2025_09", "STRICT"
"""TLS 1.2 and newer, as an HTTP API takes; by default a regional REST API takes 1.0 too. Such a policy needs the mode:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html."""

_TIMEOUT_MS = 29_000
"""The longest that API Gateway waits unless AWS raises it."""

_BUSY = "the model has no free process for this request, or could not be asked; send it again"

_REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "THROTTLED": (None, "overloaded", "$context.error.messageString"),
    # A function that is busy. By itself that would be a 500, as if the request were at fault or the model broken:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html. It is no 429 either: what else
    # keeps API Gateway from asking a function is of this type too.
    "INTEGRATION_FAILURE": ("503", "unavailable", json.dumps(_BUSY)),
    "DEFAULT_5XX": (None, "unavailable", "$context.error.messageString"),
}
"""What API Gateway answers by itself: by type, the status where it is another than AWS's, the code, and the message.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

# None of them is about a person: an address is, and so is the name of a role's session. The other id of a request,
# `requestId`, is whatever a caller likes to send.
_LOGGED = {
    "requestId": "$context.extendedRequestId",
    "time": "$context.requestTime",
    "route": "$context.httpMethod $context.resourcePath",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "latency": "$context.responseLatency",
    "refusal": "$context.error.responseType",
    "integrationError": "$context.integrationErrorMessage",
}


class RestApi(Construct):
    """A REST API and its one stage: limited, every request logged, its own refusals as JSON with ``Retry-After``.

    Parameters
    ----------
    name, description : str
        Of the API.
    log_group : str
        The name of its access log.
    limit : Limit
        Of routes without a limit of their own.
    authorization : str
        As the declaration says it: ``iam`` or ``none``.
    """

    is_own = True

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        description: str,
        log_group: str,
        limit: Limit,
        authorization: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._authorization, self._limit = authorization, limit
        self._api = apigateway.CfnRestApi(
            self,
            "Api",
            name=name,
            description=description,
            endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
            security_policy=_TLS,
            endpoint_access_mode=_ACCESS_MODE,
            binary_media_types=_EVERY_TYPE,
        )
        acknowledge(
            self._api,
            "AwsSolutions-APIG2",
            reason="The prediction function checks each request against the version's contract, which a deployment"
            " does not know: versions are rolled out without one.",
        )
        stack = Stack.of(self)
        self.endpoint = f"https://{self._api.ref}.execute-api.{stack.region}.{stack.url_suffix}/{STAGE}"
        self._access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=log_group,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._may_log = self._account()

    def add(self, routes: Sequence[Route]) -> None:
        """Add the routes, and deploy them: a stage has what was there when its deployment was made."""
        paths: dict[str, str] = {}
        methods = [self._method(route, self._resource(route.path, paths)) for route in routes]
        refusals = [[kind, status, _body(code, message)] for kind, (status, code, message) in _REFUSALS.items()]
        told: list[object] = [_TLS, _ACCESS_MODE, *_EVERY_TYPE, *refusals, RETRY_AFTER_SECONDS, _TIMEOUT_MS]
        told += [self._authorization, *([route.method, route.path, route.function.arn] for route in routes)]
        text = json.dumps(Stack.of(self).resolve(told), sort_keys=True)
        # Another name makes another deployment, which CloudFormation makes before the stage moves to it.
        deployment = apigateway.CfnDeployment(
            self, f"Deployment{hashlib.sha256(text.encode()).hexdigest()[:32]}", rest_api_id=self._api.ref
        )
        for part in (*methods, *self._refusals()):
            deployment.add_resource_dependency(part)
        self._stage(deployment, routes)

    def _account(self) -> apigateway.CfnAccount:
        """Let API Gateway write logs: a setting of the account and region, without which no stage can log.

        It is the same for all REST APIs there. So it stays when this stack goes, and its role too: others log by it.
        """
        role = iam.Role(
            self,
            "LogRole",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
            ],
        )
        role.apply_removal_policy(RemovalPolicy.RETAIN)
        policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
        acknowledge(
            role,
            f"AwsSolutions-IAM4[Policy::{policy}]",
            reason="API Gateway takes a role for the account's logs only with the permissions of this policy.",
        )
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        account.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

    def _resource(self, path: str, made: dict[str, str]) -> str:
        """The id of a path's resource; each part of a path is one below the part before it."""
        if path == "":
            return str(self._api.attr_root_resource_id)
        if path not in made:
            above, _, part = path.rpartition("/")
            parent = self._resource(above, made)
            named = "Resource" + "".join(each.title() for each in path.split("/")).replace("{proxy+}", "Protocols")
            made[path] = apigateway.CfnResource(
                self, named, rest_api_id=self._api.ref, parent_id=parent, path_part=part
            ).ref
        return made[path]

    def _method(self, route: Route, resource_id: str) -> apigateway.CfnMethod:
        stack, part = Stack.of(self), Construct(self, route.construct_id)
        actions = f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions"
        made = apigateway.CfnMethod(
            part,
            "Method",
            rest_api_id=self._api.ref,
            resource_id=resource_id,
            http_method=route.method,
            authorization_type=_AUTHORIZATION[self._authorization],
            integration=apigateway.CfnMethod.IntegrationProperty(
                type="AWS_PROXY",
                integration_http_method="POST",
                uri=f"{actions}/{route.function.arn}/invocations",
                timeout_in_millis=_TIMEOUT_MS,
            ),
        )
        if self._authorization == "none":
            acknowledge_public(made)
        acknowledge(
            made,
            "AwsSolutions-COG4",
            reason="Callers are programs: they sign with IAM, or the declaration makes the route public. A user pool"
            " knows persons.",
        )
        # What stands for any text in a path, API Gateway writes as a star where it invokes.
        permit(part, self._api.ref, route, path=route.path.replace("{proxy+}", "*"), stage=STAGE)
        return made

    def _refusals(self) -> list[CfnResource]:
        made: list[CfnResource] = []
        for kind, (status, code, message) in _REFUSALS.items():
            made.append(
                apigateway.CfnGatewayResponse(
                    self,
                    "".join(word.title() for word in kind.split("_")),
                    rest_api_id=self._api.ref,
                    response_type=kind,
                    status_code=status,
                    response_parameters={"gatewayresponse.header.Retry-After": f"'{RETRY_AFTER_SECONDS}'"},
                    response_templates={"application/json": _body(code, message)},
                )
            )
        return made

    def _stage(self, deployment: apigateway.CfnDeployment, routes: Sequence[Route]) -> None:
        settings = [_limited("/*", "*", self._limit)]
        settings += [_limited(_encoded(route.path), route.method, route.limit) for route in routes if route.limit]
        stage = apigateway.CfnStage(
            self,
            "Stage",
            rest_api_id=self._api.ref,
            stage_name=STAGE,
            deployment_id=deployment.ref,
            access_log_setting=apigateway.CfnStage.AccessLogSettingProperty(
                destination_arn=self._access_log.log_group_arn, format=json.dumps(_LOGGED)
            ),
            method_settings=settings,
        )
        stage.add_resource_dependency(self._may_log)
        acknowledge(
            stage,
            "AwsSolutions-APIG3",
            reason="A web firewall costs $5 a month and more; requests are signed, limited and checked without it.",
        )
        acknowledge(
            stage,
            "Serverless-APIGWXrayEnabled",
            reason="Requests are traced where a caller asks for it, as at an HTTP API; what a stage samples is $5 a"
            " million.",
        )
        acknowledge(
            stage,
            "AwsSolutions-APIG6",
            reason="The access log has every request. Execution logs have who called, and their group is API Gateway's"
            " own: it keeps them for ever.",
        )


def _body(code: str, message: str) -> str:
    """A refusal in the form of the function's own; ``message`` is JSON, or becomes that."""
    return f'{{"error":{{"code":"{code}","message":{message},"field":null,"index":null}}}}'


def _limited(path: str, method: str, limit: Limit) -> apigateway.CfnStage.MethodSettingProperty:
    return apigateway.CfnStage.MethodSettingProperty(
        resource_path=path,
        http_method=method,
        throttling_rate_limit=limit.per_second,
        throttling_burst_limit=limit.burst,
    )


def _encoded(path: str) -> str:
    """A path as settings of a stage name it: one slash, and ``~1`` for each other."""
    return "/" + path.replace("/", "~1")
