"""Models, endpoint configurations and endpoints of one local cloud, as SageMaker's API asks for them."""

from __future__ import annotations

import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.core.account import OF_ALL_ENDPOINTS, OF_ALL_SERVERLESS, endpoint_quota
from localcloud.core.context import CloudContext
from localcloud.core.preloaded.kept_bytecode import bytecode_folder
from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.processes import resident_mb
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.roles import RoleNotAssumableError, check_trust, role_credentials
from localcloud.services.applicationautoscaling.seam import forget_endpoint, registered_variants
from localcloud.services.sagemaker.hosting.container import Container
from localcloud.services.sagemaker.hosting.endpoint import Endpoint
from localcloud.services.sagemaker.hosting.exceptions import ContainerError, HostingRefusedError
from localcloud.services.sagemaker.hosting.fleet import Fleet, Variant
from localcloud.services.sagemaker.hosting.images import PYTHON, Image, image_for
from localcloud.services.sagemaker.hosting.requests import (
    check_configuration,
    check_creation,
    check_model,
    check_scaled,
    check_serverless,
    check_update,
    retained,
)
from localcloud.services.sagemaker.jobs.exceptions import JobFailedError
from localcloud.services.sagemaker.jobs.job import DEFAULT_VOLUME_GB
from localcloud.services.sagemaker.jobs.logs import LogStream
from localcloud.services.sagemaker.jobs.root import INTERPRETER_VARIABLES, JobRoot
from localcloud.services.sagemaker.jobs.transfer import S3Transfer

SERVICE = "sagemaker.amazonaws.com"


class BeyondQuotaError(RuntimeError):
    """More instances, or serverless concurrency, than the account has."""


@dataclass(frozen=True)
class Record:
    """A model or an endpoint configuration: its request, and when it came."""

    arn: str
    request: Mapping[str, Any]
    created_at: datetime


class Hosting:
    """Every method takes the parameters of the API call of its name.

    All raise :class:`HostingRefusedError` for what SageMaker refuses and for what can't be carried out here.
    """

    def __init__(self, context: CloudContext, images: tuple[Image, ...]) -> None:
        self._context = context
        self._images = images
        # Where two have one pattern it is the first that runs.
        self._preloading = {each.pattern: _preloading(context, each) for each in reversed(images) if each.preload}
        self._lock = threading.RLock()
        self.models: dict[str, Record] = {}
        self.configurations: dict[str, Record] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource; SageMaker writes names in lower case there."""
        return f"arn:aws:sagemaker:{self._context.region}:{self._context.account_id}:{kind}/{name.lower()}"

    def create_model(self, request: Mapping[str, Any]) -> str:
        """Keep a model; its ARN."""
        check_model(request, self._images, self._context.region)
        name = str(request["ModelName"])
        role = str(request["ExecutionRoleArn"])
        try:
            check_trust(self._context, role, SERVICE, self.arn("model", name))
        except (UnknownRoleError, RoleNotAssumableError) as error:
            raise HostingRefusedError(
                f"Could not assume role {role}. Please ensure that the role exists and allows principal"
                f" '{SERVICE}' to assume the role. ({error})"
            ) from error
        return self._keep(self.models, "model", "model", name, request)

    def create_endpoint_config(self, request: Mapping[str, Any]) -> str:
        """Keep a configuration whose models exist; its ARN."""
        check_configuration(request)
        for variant in request["ProductionVariants"]:
            check_serverless(variant, self.model(variant["ModelName"]).request)
        name = str(request["EndpointConfigName"])
        return self._keep(self.configurations, "endpoint-config", "endpoint configuration", name, request)

    def create_endpoint(self, request: Mapping[str, Any]) -> str:
        """Begin an endpoint; its ARN."""
        check_creation(request)
        name = str(request["EndpointName"])
        with self._lock:
            if name in self.endpoints:
                raise HostingRefusedError(f'Cannot create already existing endpoint "{self.endpoints[name].arn}".')
            fleet = self._fleet(name, str(request["EndpointConfigName"]))
            self._check_quota(fleet)
            endpoint = Endpoint(
                self._context, name, self.arn("endpoint", name), fleet, lambda: self._forget(name, endpoint)
            )
            self.endpoints[name] = endpoint
        endpoint.create()
        return endpoint.arn

    def update_endpoint(self, request: Mapping[str, Any]) -> str:
        """Begin to serve another configuration; the endpoint's ARN."""
        check_update(request)
        with self._lock:
            endpoint = self.endpoint(str(request["EndpointName"]))
            fleet = self._fleet(endpoint.name, str(request["EndpointConfigName"]))
            before, after = ([variant.configured for variant in its.variants] for its in (endpoint.fleet, fleet))
            check_scaled(before, after, registered_variants(endpoint.name))
            self._check_quota(fleet)
            endpoint.update(fleet, retain=retained(request))
        return endpoint.arn

    def update_weights(self, request: Mapping[str, Any]) -> str:
        """Begin to share requests out anew; the endpoint's ARN."""
        endpoint, wanted = self.endpoint(str(request["EndpointName"])), request["DesiredWeightsAndCapacities"]
        with self._lock:
            self._check_quota_of(_more_by_type(endpoint.fleet, wanted))
            endpoint.rebalance(wanted)
        return endpoint.arn

    def delete_endpoint(self, name: str) -> None:
        """Begin to delete an endpoint; its variants are no scalable targets any more."""
        self.endpoint(name).delete()
        forget_endpoint(name)

    def delete_model(self, name: str) -> None:
        """Forget a model; what runs goes on."""
        with self._lock:
            self.model(name)
            del self.models[name]

    def delete_endpoint_config(self, name: str) -> None:
        """Forget a configuration; what runs goes on."""
        with self._lock:
            self.configuration(name)
            del self.configurations[name]

    def model(self, name: str) -> Record:
        """The model of that name."""
        return self._found(self.models, "model", "model", name)

    def configuration(self, name: str) -> Record:
        """The configuration of that name."""
        return self._found(self.configurations, "endpoint-config", "endpoint configuration", name)

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name."""
        with self._lock:
            found = self.endpoints.get(name)
        if found is None:
            raise HostingRefusedError(f'Could not find endpoint "{self.arn("endpoint", name)}".')
        return found

    def close(self) -> None:
        """End everything that runs."""
        for endpoint in list(self.endpoints.values()):
            endpoint.close()
        for server in self._preloading.values():
            server.close()

    def memory_mb(self) -> int:
        """The resident memory of the containers' processes, and of what they start from."""
        pids = [pid for endpoint in list(self.endpoints.values()) for pid in endpoint.fleet.pids()]
        pids += [pid for server in self._preloading.values() if (pid := server.session()) is not None]
        return sum(map(resident_mb, pids))

    def _keep(self, into: dict[str, Record], kind: str, called: str, name: str, request: Mapping[str, Any]) -> str:
        with self._lock:
            if name in into:
                raise HostingRefusedError(f'Cannot create already existing {called} "{into[name].arn}".')
            into[name] = Record(self.arn(kind, name), dict(request), self._context.clock.now())
            return into[name].arn

    def _found(self, among: Mapping[str, Record], kind: str, called: str, name: str) -> Record:
        with self._lock:
            found = among.get(name)
        if found is None:
            raise HostingRefusedError(f'Could not find {called} "{self.arn(kind, name)}".')
        return found

    def _forget(self, name: str, endpoint: Endpoint) -> None:
        with self._lock:
            if self.endpoints.get(name) is endpoint:
                del self.endpoints[name]

    def _fleet(self, endpoint: str, config_name: str) -> Fleet:
        configuration = self.configuration(config_name)
        models = {v["ModelName"]: self.model(v["ModelName"]) for v in configuration.request["ProductionVariants"]}
        variants = [
            Variant(dict(variant), float(variant.get("InitialVariantWeight", 1.0)))
            for variant in configuration.request["ProductionVariants"]
        ]
        return Fleet(
            config_name,
            variants,
            lambda variant, instance: self._container(endpoint, variant, instance, models[variant["ModelName"]]),
        )

    def _container(self, endpoint: str, variant: Mapping[str, Any], instance: str, model: Record) -> Container:
        """A container with its model in place.

        Raises
        ------
        ContainerError
            When the model can't be fetched.
        """
        definition, role = model.request["PrimaryContainer"], str(model.request["ExecutionRoleArn"])
        image = image_for(self._images, str(definition["Image"]))
        assert image is not None  # CreateModel refuses others, and the settings do not change
        try:
            credentials = role_credentials(self._context, role, "SageMaker", SERVICE, model.arn)
        except (UnknownRoleError, RoleNotAssumableError) as error:
            raise ContainerError(f"Could not assume role {role}. ({error})") from error
        root = JobRoot.create(self._context.state_directory / "endpoints" / f"{endpoint}-{uuid.uuid4().hex[:12]}")
        try:
            folder = root.directory("/opt/ml/model")
            s3 = S3Transfer(
                self._context.client("s3", **credentials), int(variant.get("VolumeSizeInGB") or DEFAULT_VOLUME_GB)
            )
            _fetch_model(definition, s3, root)
        except JobFailedError as error:
            shutil.rmtree(root.path, ignore_errors=True)
            reason = re.sub(r"^ClientError: ", "", str(error))
            raise ContainerError(f"Failed to download model data for container {instance}: {reason}") from error
        own = {name: root.rewrite(value) for name, value in (definition.get("Environment") or {}).items()}
        environment = {
            **root.base_environment(),
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "AWS_SESSION_TOKEN": credentials["aws_session_token"],
            "AWS_ENDPOINT_URL": self._context.endpoint,
            "AWS_DEFAULT_REGION": self._context.region,
            "AWS_REGION": self._context.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SM_MODEL_DIR": str(folder),
            **{name: root.rewrite(value) for name, value in image.environment.items()},
            **own,
        }
        command = [root.rewrite(word) for word in image.command]
        command = [str(root.path / "bin" / word) if word in PYTHON else word for word in command]
        log = LogStream(self._context, f"/aws/sagemaker/Endpoints/{endpoint}", f"{variant['VariantName']}/{instance}")
        name = f"{endpoint}/{variant['VariantName']}/{instance}"
        preloading = self._preloading[image.pattern] if image.preload else None
        return Container(command, environment, root.path, log, name=name, preloading=preloading)

    def _check_quota(self, fleet: Fleet) -> None:
        """Refuse instances that the account has not; an endpoint that is updated has its old ones beside the new."""
        self._check_quota_of(_by_type(fleet.variants))
        self._check_concurrency(fleet)

    def _check_concurrency(self, fleet: Fleet) -> None:
        """Refuse more than all serverless endpoints together may answer at once; a failed one counts for nothing."""
        delta = sum(variant.most_at_once or 0 for variant in fleet.variants)
        others = [endpoint.fleet.variants for endpoint in self.endpoints.values() if endpoint.status != "Failed"]
        now = sum(variant.most_at_once or 0 for its in others for variant in its)
        given, at = self._context.account.serverless_concurrency, self._context.clock.now()
        quota = int(self._context.increases.value("sagemaker", OF_ALL_SERVERLESS, given, at))
        if delta and now + delta > quota:
            raise BeyondQuotaError(
                f"The account-level service limit '{OF_ALL_SERVERLESS}' is {quota} Requests, with current utilization"
                f" of {now} Requests and a request delta of {delta} Requests. Please use AWS Service Quotas to request"
                " an increase for this quota."
            )

    def _check_quota_of(self, wanted: Mapping[str, int]) -> None:
        running = [endpoint.fleet.variants for endpoint in self.endpoints.values() if endpoint.status != "Failed"]
        used = _by_type(variant for its in running for variant in its)
        limits = [(endpoint_quota(kind), used.get(kind, 0), delta) for kind, delta in wanted.items()]
        if wanted:
            limits.append((OF_ALL_ENDPOINTS, sum(used.values()), sum(wanted.values())))
        for name, now, delta in limits:
            given = self._context.account.sagemaker_instances
            quota = int(self._context.increases.value("sagemaker", name, given, self._context.clock.now()))
            if now + delta > quota:
                raise BeyondQuotaError(
                    f"The account-level service limit '{name}' is {quota} Instances, with current utilization of"
                    f" {now} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to"
                    " request an increase for this quota."
                )


def _preloading(context: CloudContext, image: Image) -> Preloading:
    environment = {**INTERPRETER_VARIABLES, "PATH": os.environ.get("PATH", os.defpath)}
    compiled = bytecode_folder(context.cache_directory)
    preset, standing = image.preload_environment, context.standing
    return Preloading(image.preload, environment, preset, compiled=compiled, standing=standing)


def _by_type(variants: Iterable[Variant]) -> dict[str, int]:
    """The instances of variants, by their type; serverless ones have none."""
    found: dict[str, int] = {}
    for variant in variants:
        if variant.most_at_once is None:
            kind = str(variant.configured["InstanceType"])
            found[kind] = found.get(kind, 0) + variant.count
    return found


def _more_by_type(fleet: Fleet, wanted: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The instances by which variants of a fleet are to grow, by their type."""
    found: dict[str, int] = {}
    for each in wanted:
        variant, count = fleet.variant(str(each["VariantName"])), each.get("DesiredInstanceCount")
        if variant is not None and variant.most_at_once is None and int(count or 0) > variant.count:
            kind = str(variant.configured["InstanceType"])
            found[kind] = found.get(kind, 0) + int(count or 0) - variant.count
    return found


def _fetch_model(definition: Mapping[str, Any], s3: S3Transfer, root: JobRoot) -> None:
    source = (definition.get("ModelDataSource") or {}).get("S3DataSource")
    archive = definition.get("ModelDataUrl")
    if source is not None and source["S3DataType"] == "S3Prefix":
        s3.download_prefix(source["S3Uri"], root.local("/opt/ml/model"))
        return
    uri = source["S3Uri"] if source is not None else archive
    if uri:
        packed = root.local("/opt/ml/tmp/model.tar.gz")
        s3.download_object(str(uri), packed)
        s3.unpack(packed, root.local("/opt/ml/model"))
        packed.unlink()
