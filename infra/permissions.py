"""What each function of a model may do: nothing beyond the model's own prefixes, streams and functions.

The registry's table is shared by all models: a condition holds each to its own partitions. State and audit are written
by the registry function alone; nobody may delete or update an item. A listing is allowed for the model's prefixes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack

from everloop.infra.grants import Grant
from everloop.infra.platform_reference import Platform
from everloop.lake_tables import FROZEN, TABLES
from everloop.names import ATHENA_RESULTS_PREFIX, PROBE_FUNCTION, ModelNames
from everloop.registry import keys

READ = ("dynamodb:GetItem", "dynamodb:Query")
GET = ("dynamodb:GetItem",)
PUT = "dynamodb:PutItem"
TRANSACT = (PUT, "dynamodb:ConditionCheckItem")
"""A transaction needs the permissions of its parts."""

UPLOAD = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")

ALARMS = ("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm")
"""What Application Auto Scaling asks of who gives it a policy, on the policy's alarms
(https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html)."""

OF_VERSIONS = "Serverless endpoints of the model's versions are named after the model, and each has a name of its own."

OBJECTS = "The objects below the model's own prefix; their names follow from runs, versions and days."


@dataclass(frozen=True)
class ModelPermissions:
    """The grants of one model's functions.

    Attributes
    ----------
    probes, spans, compares : bool
        Whether it has fresh probes, whether they choose what trainings learn from, and whether versions are asked,
        apart from callers, what the lake has: for the last its rows are read.
    endpoint_role_arn : str
        What its endpoint runs as; empty where it has none.
    autoscaling : bool
        Whether instances of the endpoint follow requests.
    serverless : bool
        Whether each version has an endpoint of its own, without instances.
    """

    stack: Stack
    platform: Platform
    names: ModelNames
    probes: bool = False
    spans: bool = False
    compares: bool = False
    endpoint_role_arn: str = ""
    autoscaling: bool = False
    serverless: bool = False

    def of(self, function: str) -> list[Grant]:
        """The grants of ``everloop-<m>-<function>`` beyond its logs and traces."""
        grants: dict[str, Callable[[], list[Grant]]] = {
            "predict": self._predict,
            "labels": self._labels,
            "registry": self._registry,
            "run": self._run,
            "snapshot": self._snapshot,
            "gate": self._gate,
            "register": self._register,
            "rollout": self._rollout,
            "monitor": self._monitor,
            "starter": self._starter,
            PROBE_FUNCTION: self._probe,
        }
        return grants[function]()

    @property
    def predict_arn(self) -> str:
        """The prediction function, without a version."""
        return self.arn("lambda", f"function:{self.names.function('predict')}")

    @property
    def endpoint_names(self) -> tuple[str, str]:
        """The model's SageMaker endpoint, and those of single versions: a model may move from the one to the others."""
        return self.names.endpoint, f"{self.names.endpoint}-v*"

    @property
    def endpoint_arns(self) -> tuple[str, ...]:
        """The same, as ARNs."""
        return tuple(self.arn("sagemaker", f"endpoint/{name}") for name in self.endpoint_names)

    @property
    def state_machine_arn(self) -> str:
        """The model's pipeline."""
        return self.arn("states", f"stateMachine:{self.names.state_machine}")

    @property
    def probe_machine_arn(self) -> str:
        """The machine of the model's fresh probes."""
        return self.arn("states", f"stateMachine:{self.names.probe_machine}")

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a thing of this account and region."""
        return self.stack.format_arn(service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME)

    def lake_objects(self, actions: tuple[str, ...], *prefixes: str) -> Grant:
        """Do this with the lake's objects below ``prefixes``."""
        bucket = self.platform.lake
        return Grant(actions, tuple(bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes), OBJECTS)

    def artifact_objects(self, actions: tuple[str, ...]) -> Grant:
        """Do this with the model's registered artifacts."""
        bucket = self.platform.artifacts
        return Grant(actions, (bucket.arn_for_objects(f"{self.names.artifacts_prefix}*"),), OBJECTS)

    def list_lake(self, *prefixes: str) -> Grant:
        """List these prefixes of the lake and nothing else of it."""
        patterns = [f"{prefix}*" for prefix in prefixes]
        conditions = {"StringLike": {"s3:prefix": patterns}}
        return Grant(("s3:ListBucket",), (self.platform.lake.bucket_arn,), conditions=conditions)

    def read_windows(self) -> Grant:
        """Read what the monitor recorded, and nothing else of the registry."""
        return self._table("dynamodb:Query", partition=keys.windows_partition(self.names.model))

    def _read_probes(self) -> list[Grant]:
        """Read what fresh probes found, where the model has any."""
        return [self._table("dynamodb:Query", partition=keys.probes_partition(self.names.model))] if self.probes else []

    def _predict(self) -> list[Grant]:
        invoke = Grant(("sagemaker:InvokeEndpoint",), self.endpoint_arns, OF_VERSIONS)
        return [
            self.artifact_objects(("s3:GetObject",)),
            self.put_records("predictions"),
            *([invoke] if self.endpoint_role_arn else []),
        ]

    def _labels(self) -> list[Grant]:
        return [self.put_records("labels")]

    def _registry(self) -> list[Grant]:
        """The one writer. Windows and snapshots it reads: the audit keeps the hash of those that decide something."""
        model = self.names.model
        return [
            self._table(*READ, *TRANSACT),
            self._table(*GET, partition=keys.windows_partition(model)),
            self._table(*GET, partition=keys.snapshots_partition(model)),
            *self._locked_audit(),
        ]

    def _locked_audit(self) -> list[Grant]:
        """Put audit records where there is none yet, and read what is there; see the bucket's own policy."""
        bucket, records = self.platform.audit, f"{self.names.model}/"
        resources = (bucket.arn_for_objects(f"{records}*"),)
        once = {"Null": {"s3:if-none-match": "false"}}
        return [
            Grant(("s3:PutObject",), resources, OBJECTS, once),
            Grant(("s3:GetObject",), resources, OBJECTS),
            Grant(("s3:ListBucket",), (bucket.bucket_arn,), conditions={"StringLike": {"s3:prefix": [records]}}),
        ]

    def _run(self) -> list[Grant]:
        # Waivers of an older version are a query. Windows and snapshots stand in partitions of their own.
        probes = self._read_probes() if self.spans else []
        return [self._table(*READ), *probes, self._send_commands("run")]

    def _snapshot(self) -> list[Grant]:
        datasets = self.names.datasets_prefix
        return [
            *self._lake_queries(datasets),
            *self._frozen_rows(),
            self.lake_objects(UPLOAD, datasets),
            self._table(*GET, PUT, partition=keys.snapshots_partition(self.names.model)),
            # The champion and its contract: what a declaration may not take from it.
            self._table(*GET),
            self.artifact_objects(("s3:GetObject",)),
        ]

    def _gate(self) -> list[Grant]:
        runs = self.names.runs_prefix
        return [self.lake_objects(("s3:GetObject",), runs), self.list_lake(runs)]

    def _register(self) -> list[Grant]:
        runs = self.names.runs_prefix
        return [
            self.lake_objects(("s3:GetObject",), runs),
            self.list_lake(runs),
            self.artifact_objects(("s3:PutObject",)),
            self._table(*GET),
            self._send_commands("register"),
            self._signing_key("kms:GetPublicKey", "kms:Sign"),
        ]

    def _rollout(self) -> list[Grant]:
        predict = self.predict_arn
        versions = "The versions and the alias of the model's one prediction function."
        return [
            Grant(
                (
                    "lambda:GetAlias",
                    "lambda:GetFunctionConfiguration",
                    "lambda:ListVersionsByFunction",
                    "lambda:PublishVersion",
                    "lambda:UpdateAlias",
                    "lambda:UpdateFunctionConfiguration",
                ),
                (predict, f"{predict}:*"),
                versions,
            ),
            # Only with a version's number: the function itself can't be deleted.
            Grant(("lambda:DeleteFunction",), (f"{predict}:*",), versions),
            Grant(
                ("cloudwatch:GetMetricData",),
                ("*",),
                "CloudWatch has no resource-level permissions for reading metrics.",
            ),
            self._put_events(),
            self._table(*READ),
            self._send_commands("rollout"),
            *self._look_at_deployed(),
            *self._admit(),
            *self._archive_manifests(),
            *(self._endpoint() if self.endpoint_role_arn else []),
            *self._ask_versions(),
            *(self._lake_queries() if self.compares else []),
        ]

    def _ask_versions(self) -> list[Grant]:
        """Ask one version, apart from callers, by the number of its function version or the name of its variant."""
        versions = "The versions of the model's one prediction function: the function itself is not asked."
        return [
            Grant(("lambda:InvokeFunction",), (f"{self.predict_arn}:*",), versions),
            *([Grant(("sagemaker:InvokeEndpoint",), (self.endpoint_arns[0],))] if self._has_instances else []),
        ]

    def _look_at_deployed(self) -> list[Grant]:
        """Hold what is deployed against the registry: aliases, registered files, and an endpoint, declared or not."""
        return [
            Grant(("lambda:ListAliases",), (self.predict_arn,)),
            Grant(
                ("cloudtrail:LookupEvents",),
                ("*",),
                "CloudTrail has no resource-level permissions for looking events up.",
            ),
            Grant(
                ("lambda:ListFunctions", "sagemaker:ListEndpoints"),
                ("*",),
                "Lambda and SageMaker have no resource-level permissions for listing.",
            ),
            Grant(
                ("sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"),
                tuple(self.arn("sagemaker", f"{kind}/*") for kind in ("endpoint", "endpoint-config", "model")),
                "An endpoint that was made by hand, and serves the model's files, has any name; it is read alone.",
            ),
            self.artifact_objects(("s3:GetObject",)),
        ]

    def _admit(self) -> list[Grant]:
        """Ask whose signature a version must have, and of one without whether it was registered so."""
        bucket = self.platform.audit
        records = (bucket.arn_for_objects(f"{self.names.model}/*"),)
        return [self._signing_key("kms:GetPublicKey"), Grant(("s3:GetObject",), records, OBJECTS)]

    def _archive_manifests(self) -> list[Grant]:
        """Put serving manifests where none is."""
        bucket = self.platform.artifacts
        once = {"Null": {"s3:if-none-match": "false"}}
        return [
            Grant(("s3:PutObject",), (bucket.arn_for_objects(f"{self.names.serving_prefix}*"),), OBJECTS, once),
        ]

    def _endpoint(self) -> list[Grant]:
        """Make, change and delete what serves, with the configurations and models that begin with its name."""
        name = self.names.endpoint
        if self.serverless:
            return self._endpoints_of_versions()
        parts = "Models and configurations of the model's endpoint are named after it, and each has a name of its own."
        models, configurations = self.arn("sagemaker", f"model/{name}-*"), f"endpoint-config/{name}-*"
        return [
            Grant(
                (
                    "sagemaker:CreateEndpoint",
                    "sagemaker:DeleteEndpoint",
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:UpdateEndpoint",
                    "sagemaker:UpdateEndpointWeightsAndCapacities",
                ),
                (self.endpoint_arns[0],),
            ),
            # Creating and updating an endpoint is decided by its configuration as well.
            Grant(
                (
                    "sagemaker:CreateEndpoint",
                    "sagemaker:CreateEndpointConfig",
                    "sagemaker:DeleteEndpointConfig",
                    "sagemaker:DescribeEndpointConfig",
                    "sagemaker:UpdateEndpoint",
                ),
                (self.arn("sagemaker", configurations),),
                parts,
            ),
            Grant(("sagemaker:CreateModel", "sagemaker:DeleteModel"), (models,), parts),
            *self._pass_to_endpoint(),
            *self._scale_instances(),
        ]

    def _endpoints_of_versions(self) -> list[Grant]:
        """Make and delete the endpoints of versions: each has a model, a configuration and an endpoint of one name.

        To send requests from one to the other takes no permission of SageMaker's: the alias does.
        """
        made, kinds = self.endpoint_names[1], ("endpoint", "endpoint-config", "model")
        endpoint, configuration, model = (self.arn("sagemaker", f"{kind}/{made}") for kind in kinds)
        return [
            Grant(
                ("sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint"),
                (endpoint,),
                OF_VERSIONS,
            ),
            # Creating an endpoint is decided by its configuration as well.
            Grant(
                ("sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig"),
                (configuration,),
                OF_VERSIONS,
            ),
            Grant(("sagemaker:CreateModel", "sagemaker:DeleteModel"), (model,), OF_VERSIONS),
            *self._pass_to_endpoint(),
        ]

    def _pass_to_endpoint(self) -> list[Grant]:
        return [
            Grant(
                ("sagemaker:ListEndpointConfigs", "sagemaker:ListModels"),
                ("*",),
                "SageMaker has no resource-level permissions for listing; a listing has names and times only.",
            ),
            Grant(
                ("iam:PassRole",),
                (self.endpoint_role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    @property
    def _has_instances(self) -> bool:
        return bool(self.endpoint_role_arn) and not self.serverless

    def _scale_instances(self) -> list[Grant]:
        """Let instances follow requests where that is declared, and where it is no longer let them follow nothing."""
        targets = self.arn("application-autoscaling", "scalable-target/*")
        ids = "Application Auto Scaling chooses the ids of scalable targets; here those of SageMaker's variants."
        changes = ("PutScalingPolicy", "RegisterScalableTarget") if self.autoscaling else ()
        alarms = (self.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{self.names.endpoint}/*"),)
        named = "The alarms that Application Auto Scaling makes for the endpoint's variants, with names of its own."
        grants = [
            Grant(
                tuple(f"application-autoscaling:{action}" for action in ("DeregisterScalableTarget", *changes)),
                (targets,),
                ids,
                {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
            ),
            Grant(("cloudwatch:DeleteAlarms", *(ALARMS if self.autoscaling else ())), alarms, named),
        ]
        if self.autoscaling:
            principal = "sagemaker.application-autoscaling.amazonaws.com"
            role = f"role/aws-service-role/{principal}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
            linked = f"arn:{self.stack.partition}:iam::{self.stack.account}:{role}"
            made_for = {"StringEquals": {"iam:AWSServiceName": principal}}
            # The first registration in an account makes the service's own role.
            grants.append(Grant(("iam:CreateServiceLinkedRole",), (linked,), conditions=made_for))
        return grants

    def _monitor(self) -> list[Grant]:
        return [
            *self._lake_queries(),
            self.artifact_objects(("s3:GetObject",)),
            self._put_events(),
            Grant(
                ("lambda:GetFunctionConfiguration",),
                (self.predict_arn, f"{self.predict_arn}:*"),
                "To compare the code of the prediction function's versions with the deployed code.",
            ),
            self._table(*READ),
            self._table(*READ, PUT, partition=keys.windows_partition(self.names.model)),
            *self._read_probes(),
            *self._look_at_endpoint(),
        ]

    def _look_at_endpoint(self) -> list[Grant]:
        """Compare what an endpoint runs, and the function before it, with what is declared."""
        if not self.endpoint_role_arn:
            return []
        predict, of_versions = self.predict_arn, (self.endpoint_arns[1],)
        look = ("sagemaker:DescribeEndpoint",)
        return [
            Grant(look, of_versions, OF_VERSIONS) if self.serverless else Grant(look, (self.endpoint_arns[0],)),
            Grant(("lambda:GetAlias",), (predict, f"{predict}:*"), "The alias of the model's one prediction function."),
        ]

    def _starter(self) -> list[Grant]:
        machines = (self.state_machine_arn, *((self.probe_machine_arn,) if self.probes else ()))
        return [Grant(("states:StartExecution",), machines), self._table(*GET)]

    def _probe(self) -> list[Grant]:
        probes = self.names.probes_prefix
        return [
            *self._lake_queries(probes),
            *self._frozen_rows(),
            self.lake_objects(UPLOAD, probes),
            self._table(*READ, PUT, partition=keys.probes_partition(self.names.model)),
            self._table(*READ),
        ]

    def _lake_queries(self, *listed: str) -> list[Grant]:
        """Query the model's tables through Athena, which reads the lake as the caller; list ``listed`` as well."""
        prefixes = [self.names.lake_prefix(table.kind) for table in TABLES]
        tables = [self.names.table(table.kind) for table in TABLES]
        return [
            Grant(
                (
                    "athena:GetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                ),
                (self.platform.workgroup_arn(self.stack),),
            ),
            Grant(
                ("glue:GetDatabase", "glue:GetPartitions", "glue:GetTable"),
                tuple(self.platform.glue_arns(self.stack, tables)),
            ),
            # Athena looks at the database "default" of every catalogue that it queries; there is nothing of ours in it.
            Grant(("glue:GetDatabase",), (self.arn("glue", "database/default"),)),
            Grant(
                ("lakeformation:GetDataAccess",),
                ("*",),
                "Lake Formation has no resource-level permissions for it; if Lake Formation governs the lake,"
                " Athena can't read without it.",
            ),
            Grant(("s3:GetBucketLocation",), (self.platform.lake.bucket_arn,)),
            self.list_lake(*prefixes, ATHENA_RESULTS_PREFIX, *listed),
            self.lake_objects(("s3:GetObject",), *prefixes),
            self.lake_objects(UPLOAD, ATHENA_RESULTS_PREFIX),
        ]

    def _frozen_rows(self) -> list[Grant]:
        """Unload rows, which Athena writes as the caller, and query them."""
        unloaded = self.names.unloaded_prefix
        tables = self.platform.glue_arns(self.stack, [self.names.table(FROZEN.kind)])
        return [
            Grant(("glue:GetDatabase", "glue:GetPartitions", "glue:GetTable"), tuple(tables)),
            self.list_lake(unloaded),
            self.lake_objects(UPLOAD, unloaded),
        ]

    def _send_commands(self, caller: str) -> Grant:
        """Have written what this caller may: by its own alias of the registry function, and by no other."""
        alias = self.names.registry_writer(caller)
        return Grant(("lambda:InvokeFunction",), (self.arn("lambda", f"function:{alias}"),))

    def _table(self, *actions: str, partition: str | None = None) -> Grant:
        """Do this in the model's partition of the registry, or in another one of the model's.

        The indexes lead to all models' versions: none for these. ``ForAllValues`` also holds for a request without
        partition keys, so every action here must be one whose requests have them. Transactions are decided part by
        part, each with its own.
        """
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [partition or keys.partition(self.names.model)]}}
        return Grant(actions, (self.platform.table.table_arn,), conditions=own)

    def put_records(self, kind: str) -> Grant:
        """Put rows on the stream of ``predictions`` or ``labels``."""
        stream = self.arn("firehose", f"deliverystream/{self.names.stream(kind)}")
        return Grant(("firehose:PutRecordBatch",), (stream,))

    def _signing_key(self, *actions: str) -> Grant:
        """Do this with the platform's key. To sign with it is for the function alone that registers."""
        return Grant(actions, (self.platform.signing_key_arn,))

    def _put_events(self) -> Grant:
        return Grant(("events:PutEvents",), (self.platform.bus_arn(self.stack),))
