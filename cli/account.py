"""The account a command talks to: where it is, and what is deployed in it.

The default chain of boto3 says which one: environment, profile, instance role. Nothing here knows whether
that is AWS or a local cloud.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from everloop.cli.exceptions import CREDENTIALS_REMEDY, DEPLOY_REMEDY, CommandError, CredentialsError, NotDeployedError
from everloop.cli.remedies import UNKNOWN_CREDENTIALS, aws_remedy
from everloop.names import MODEL_PARAMETERS, PLATFORM_PARAMETER, ModelNames
from everloop.registry.commands import CommandDocument
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.refusals import WriterAnswer
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.store import RegistryStore

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Platform:
    """What the platform stack says of itself.

    Attributes
    ----------
    audit_bucket : str
        Empty where an earlier release is deployed, which locked no audit records.
    signing_key : str
        The ARN of the key that signs versions; empty where an earlier release is deployed, which signed none.
    """

    table: str
    lake_bucket: str
    artifact_bucket: str
    event_bus: str
    alert_topic_arn: str
    athena_workgroup: str
    glue_database: str
    api_endpoint: str
    audit_bucket: str = ""
    signing_key: str = ""


@dataclass(frozen=True)
class DeployedModel:
    """What a model's stack says of itself."""

    model: str
    state_machine_arn: str
    predict_function: str
    alias: str
    predictions_url: str
    labels_url: str
    predictions_stream: str
    labels_stream: str
    authorization: str
    declaration_sha256: str
    endpoint_image: str = ""
    """Of the declared SageMaker endpoint; empty where none is."""
    api: str = "http"
    """The kind of API that it is asked at."""


def default_session() -> boto3.Session:
    """The session of the default chain.

    boto3 itself reads only AWS_DEFAULT_REGION; AWS_REGION, which other AWS tools set, comes first here as there.
    """
    import boto3  # now: it takes longer than all else, and what stays on this machine does without

    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)


@dataclass
class Account:
    """An AWS account and region, as the default credentials chain finds it."""

    session: boto3.Session = field(default_factory=lambda: default_session())
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client, made once for each service."""
        if service not in self._clients:
            try:
                self._clients[service] = self.session.client(service)  # type: ignore[call-overload]  # any service
            except ValueError as error:  # botocore's for an endpoint or a region that can't be one
                raise CredentialsError(
                    f"{error} (region {self.region})", "check AWS_REGION and AWS_ENDPOINT_URL"
                ) from error
        return self._clients[service]

    @property
    def region(self) -> str:
        """The region the commands talk to."""
        return self.session.region_name or "(none)"

    @cached_property
    def platform(self) -> Platform:
        """What is deployed here.

        Raises
        ------
        CredentialsError
            No usable credentials or region.
        NotDeployedError
            There is no platform in this account and region.
        """
        value = self._parameter(PLATFORM_PARAMETER)
        if value is None:
            raise NotDeployedError(
                f"no Everloop platform in region {self.region} (there is no parameter {PLATFORM_PARAMETER})",
                f"deploy it: {DEPLOY_REMEDY}; or set the right region: AWS_REGION=…",
            )
        return Platform(**_known(Platform, value))

    def model(self, name: str) -> DeployedModel:
        """The deployed model ``name``.

        Raises
        ------
        NotDeployedError
            It is not deployed here; the message lists those that are.
        """
        platform = self.platform
        value = self._parameter(f"{MODEL_PARAMETERS}/{name}")
        if value is None:
            there = ", ".join(self.model_names()) or "none"
            raise NotDeployedError(
                f"the model {name!r} is not deployed in region {self.region} (deployed: {there}; "
                f"platform API {platform.api_endpoint})",
                f"name a deployed model; or declare this one in models/{name}/model.yaml and deploy it:"
                f" {DEPLOY_REMEDY}",
            )
        return DeployedModel(**_known(DeployedModel, value))

    def model_names(self) -> list[str]:
        """The names of all deployed models, sorted."""
        _ = self.platform  # without one, that is what is to be told: not that it has no models
        with explained_credentials(self):
            pages = self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=MODEL_PARAMETERS)
            return sorted(p["Name"].rsplit("/", 1)[1] for page in pages for p in page["Parameters"])

    def registry(self, model: str, *, caller: str = "release") -> RegistryStore:
        """The registry of a model: read directly, and written by its own function, as the caller that is named."""
        function = ModelNames(model).registry_writer(caller)

        def send(command: CommandDocument) -> WriterAnswer:
            client = self.client("lambda")
            try:
                return invoking(client, function)(command)
            except client.exceptions.ResourceNotFoundException as error:
                raise NotDeployedError(
                    f"there is no function {function}", f"deploy the model: {DEPLOY_REMEDY}"
                ) from error

        return RemoteRegistry(self.client("dynamodb"), self.platform.table, model, send=send)

    def locked_audit(self, model: str) -> LockedAudit:
        """The locked audit records of a model.

        Raises
        ------
        NotDeployedError
            The deployed platform locks none.
        """
        if not self.platform.audit_bucket:
            raise NotDeployedError(
                "the deployed platform is of an earlier release, which locked no audit records",
                f"deploy this one: {DEPLOY_REMEDY}; the next command that writes then locks them all",
            )
        return LockedAudit(self.client("s3"), self.platform.audit_bucket, model)

    def now(self) -> datetime:
        """The time by the account's own clock: the Date of one of its answers."""
        response = self._ssm(lambda ssm: ssm.get_parameter(Name=PLATFORM_PARAMETER))
        date = (response or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is None:
            raise CommandError("the account's answer has no Date header", "check AWS_ENDPOINT_URL")
        return parsedate_to_datetime(date).astimezone(UTC)

    def _parameter(self, name: str) -> dict[str, Any] | None:
        response = self._ssm(lambda ssm: ssm.get_parameter(Name=name))
        if response is None:
            return None
        value: dict[str, Any] = json.loads(response["Parameter"]["Value"])
        return value

    def _ssm(self, call: Callable[[Any], dict[str, Any]]) -> dict[str, Any] | None:
        with explained_credentials(self):
            try:
                return call(self.client("ssm"))
            except ClientError as error:
                if error.response["Error"]["Code"] == "ParameterNotFound":
                    return None
                raise


class explained_credentials:
    """Turns boto3's ways of saying "I can't reach the account" into one that names the remedy."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        where = f"region {self._account.region}, profile {self._account.session.profile_name}"
        if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
            looked = "environment (AWS_ACCESS_KEY_ID), AWS_PROFILE, ~/.aws, container and instance roles"
            raise CredentialsError(f"no credentials found: {error} ({where}; looked in {looked})", CREDENTIALS_REMEDY)
        if isinstance(error, NoRegionError):
            raise CredentialsError(
                "no region is set (looked in AWS_REGION, AWS_DEFAULT_REGION and the profile)",
                CREDENTIALS_REMEDY,
            )
        if isinstance(error, EndpointConnectionError):
            raise CredentialsError(
                f"the account can't be reached: {error} ({where})",
                "check AWS_REGION, AWS_ENDPOINT_URL and the network; a local cloud is started with `everloop local up`",
            )
        if isinstance(error, ClientError):
            refused = error.response["Error"]
            if refused["Code"] in UNKNOWN_CREDENTIALS or refused["Code"].startswith("AccessDenied"):
                raise CredentialsError(
                    f"the account refuses these credentials: {refused['Message']} ({where})", aws_remedy(error)
                )
        if isinstance(error, BotoCoreError):
            raise CredentialsError(f"{error} ({where})", aws_remedy(error))


def _known(kind: type[Any], value: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``kind`` in ``value``; a newer stack may say more than this command knows.

    Raises
    ------
    NotDeployedError
        For a stack of an earlier release, which says less.
    """
    missing = [field.name for field in fields(kind) if field.name not in value and field.default is MISSING]
    if missing:
        raise NotDeployedError(
            f"the deployed stack is of an earlier release: its parameter does not say {', '.join(missing)}",
            f"deploy this release: {DEPLOY_REMEDY}",
        )
    return {field.name: value[field.name] for field in fields(kind) if field.name in value}
