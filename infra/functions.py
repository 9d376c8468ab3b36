"""A model's Lambda functions: each with a role, a log group, its packages and its variables of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from aws_cdk import AssetHashType, Duration, RemovalPolicy, Stack, Stage
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.function_catalogue import FunctionFacts, functions_of
from everloop.infra.grants import Grant, give
from everloop.infra.packaging.compiled import caches_of
from everloop.infra.packaging.files import digest, stage_archive, stage_folder
from everloop.infra.packaging.function_code import SHARED, function_code
from everloop.infra.packaging.imports import modules_of
from everloop.infra.packaging.layers import Layer, build_layer
from everloop.infra.packaging.requirements import Target
from everloop.infra.packaging.sizes import check_unzipped_size
from everloop.infra.permissions import ModelPermissions
from everloop.infra.platform_reference import Platform
from everloop.infra.settings import CONSTRAINTS, PACKAGE, PYTHON_VERSION, DeclaredModel, Settings
from everloop.names import ATHENA_WORKGROUP, EVENT_BUS, GLUE_DATABASE, METRIC_NAMESPACE, ModelNames
from everloop.registry.commands import MAY_SEND

RUNTIME = lambda_.Runtime.PYTHON_3_13


class ModelFunctions(Construct):
    """All functions of one model.

    Functions whose requirements are the same share a layer. Layers belong to the model's stack rather than to the
    platform's: a shared one could not be replaced while any model still uses it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: DeclaredModel,
        settings: Settings,
        platform: Platform,
        dead_letters: sqs.IQueue,
        endpoint_role_arn: str = "",
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint_role_arn = endpoint_role_arn
        self._assembly = _assembly_of(self)
        self._model, self._settings, self._platform = model, settings, platform
        self._names = ModelNames(model.declaration.model)
        probes = model.declaration.retraining.investment is not None
        spans = model.declaration.data.training_spans is not None
        endpoint = model.declaration.serving.endpoint
        self._permissions = ModelPermissions(
            Stack.of(self),
            platform,
            self._names,
            probes=probes,
            spans=spans,
            compares=model.declaration.rollout.reads_the_lake,
            endpoint_role_arn=endpoint_role_arn,
            autoscaling=endpoint is not None and endpoint.autoscaling is not None,
            serverless=endpoint is not None and endpoint.serverless is not None,
        )
        self._dead_letters = dead_letters
        self._layers: dict[str, lambda_.ILayerVersion] = {}
        facts = functions_of(model.declaration)
        root, modules = PACKAGE.parent, modules_of(PACKAGE.parent, SHARED)
        sources = [
            function_code(settings.functions / name, root=root, declaration=model.document, modules=modules)
            for name in facts
        ]
        self._sources = dict(zip(facts, sources, strict=True))
        self._caches = dict(zip(facts, caches_of(sources, PYTHON_VERSION, place="/var/task"), strict=True))
        self.by_name: dict[str, lambda_.Function] = {name: self._function(name, facts[name]) for name in facts}
        self._callers_of_the_registry()

    def _function(self, name: str, facts: FunctionFacts) -> lambda_.Function:
        folder = self._settings.functions / name
        target = Target(PYTHON_VERSION, self._settings.architecture)
        built = build_layer(folder / "requirements.txt", CONSTRAINTS, target, self._settings.cache)
        part = Construct(self, name.capitalize())
        log_group = logs.LogGroup(
            part,
            "Logs",
            log_group_name=f"/aws/lambda/{self._names.function(name)}",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        function = lambda_.Function(
            part,
            "Function",
            function_name=self._names.function(name),
            description=facts.purpose,
            runtime=RUNTIME,
            architecture=_architecture(self._settings),
            handler="handler.handle",
            code=self._code(part, name, built),
            layers=self._layers_of(built),
            memory_size=facts.memory_mb,
            reserved_concurrent_executions=facts.concurrency,
            timeout=Duration.seconds(facts.timeout_seconds),
            environment=self._environment(name, facts),
            role=self._role(part, name, log_group),
            log_group=log_group,
            tracing=lambda_.Tracing.PASS_THROUGH if facts.requests else lambda_.Tracing.ACTIVE,
            dead_letter_queue=self._dead_letters if facts.asynchronous else None,
        )
        _acknowledge(function, facts)
        return function

    def _callers_of_the_registry(self) -> None:
        """An alias of the registry function for each of its callers: who may invoke which is what tells them apart."""
        for caller in MAY_SEND:
            lambda_.CfnAlias(
                self,
                f"RegistryFor{caller.capitalize()}",
                function_name=self.by_name["registry"].function_name,
                function_version="$LATEST",
                name=caller,
                description=f"The alias to which {caller} sends its commands",
            )

    def _role(self, part: Construct, name: str, log_group: logs.ILogGroup) -> iam.Role:
        role = iam.Role(
            part,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=self._names.function(name),
        )
        log = Grant(("logs:CreateLogStream", "logs:PutLogEvents"), (log_group.log_group_arn,))
        give(role, [log, *self._permissions.of(name)], self._platform.exports)
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            reason=("X-Ray has no resource-level permissions for writing traces."),
        )
        return role

    def _code(self, part: Construct, name: str, built: Layer | None) -> lambda_.Code:
        contents = self._sources[name]
        whole = {**contents, **self._caches[name]}
        parts = {"code": sum(map(len, whole.values())), "layer": built.unzipped_bytes if built else 0}
        check_unzipped_size(self._names.function(name), parts)
        identity = digest(contents)
        place = stage_folder(whole, identity, self._assembly)
        with tempfile.TemporaryDirectory() as scratch:
            # Under a name without a dot: what follows one, the CDK would put behind the name of its copy. It finds the
            # copy there and makes none; if it named copies otherwise one day, it would make it from this.
            link = Path(scratch) / "code"
            link.symlink_to(place)
            code = lambda_.Code.from_asset(str(link), asset_hash=identity, asset_hash_type=AssetHashType.CUSTOM)
            code.bind(part)  # looks for the copy now, while the link is there
            return code

    def _layers_of(self, built: Layer | None) -> list[lambda_.ILayerVersion]:
        if built is None:
            return []
        if built.identity not in self._layers:
            self._layers[built.identity] = self._layer(built)
        return [self._layers[built.identity]]

    def _layer(self, built: Layer) -> lambda_.LayerVersion:
        stage_archive(built.archive, built.content, self._assembly)
        # The identity in the name makes a changed layer another resource: the new one is there before the
        # functions change over and the old one goes.
        return lambda_.LayerVersion(
            self,
            f"Layer{built.identity[:8]}",
            code=lambda_.Code.from_asset(
                str(built.archive), asset_hash=built.content, asset_hash_type=AssetHashType.CUSTOM
            ),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[_architecture(self._settings)],
            description=f"Packages of {self._names.model}; python/requirements.lock lists them",
        )

    def _environment(self, name: str, facts: FunctionFacts) -> Mapping[str, str]:
        known = {
            "REGISTRY_WRITER": self._names.registry_writer(name),
            "TABLE": self._platform.table.table_name,
            "LAKE_BUCKET": self._platform.lake.bucket_name,
            "ARTIFACT_BUCKET": self._platform.artifacts.bucket_name,
            "AUDIT_BUCKET": self._platform.audit.bucket_name,
            "SIGNING_KEY": self._platform.signing_key_arn,
            "EVENT_BUS": EVENT_BUS,
            "ATHENA_WORKGROUP": ATHENA_WORKGROUP,
            "GLUE_DATABASE": GLUE_DATABASE,
            "PREDICTIONS_STREAM": self._names.stream("predictions"),
            "LABELS_STREAM": self._names.stream("labels"),
            "ENDPOINT_ROLE_ARN": self._endpoint_role_arn,
            "STATE_MACHINE_ARN": self._permissions.state_machine_arn,
            "PROBE_MACHINE_ARN": self._permissions.probe_machine_arn,
        }
        variables = {f"EVERLOOP_{name}": known[name] for name in facts.variables}
        return {
            "EVERLOOP_MODEL": self._names.model,
            "POWERTOOLS_METRICS_NAMESPACE": METRIC_NAMESPACE,
            **variables,
        }


def _assembly_of(construct: Construct) -> Path:
    """The folder that the assembly's assets are in."""
    stage = Stage.of(construct)
    assert stage is not None, "every stack is in an app, which is a stage"
    return Path(stage.asset_outdir).resolve()


def _architecture(settings: Settings) -> lambda_.Architecture:
    arm = settings.architecture == "arm64"
    return lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64


def _acknowledge(function: lambda_.Function, facts: FunctionFacts) -> None:
    acknowledge(
        function,
        "AwsSolutions-L1",
        "Serverless-LambdaLatestVersion",
        reason="The layers have wheels for this Python; runtime and layers are upgraded together, on purpose.",
    )
    if facts.requests:
        acknowledge(
            function,
            "Serverless-LambdaTracing",
            reason="Callers decide which of their requests are traced. Lambda's own sampling can't be set: it records"
            " nearly each request of a quiet function, which was the dearest part of a prediction.",
        )
    if not facts.asynchronous:
        acknowledge(
            function,
            "Serverless-LambdaDLQ",
            reason="Always invoked synchronously: errors go to the caller, so a dead-letter queue would stay empty.",
        )
