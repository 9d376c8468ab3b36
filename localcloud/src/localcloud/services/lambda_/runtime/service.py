"""The Lambda service of one local cloud: control plane, packages, layers, invocation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.core.account import Account
from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.core.preloaded.kept_bytecode import bytecode_folder
from localcloud.services.lambda_.managed_layers import ManagedLayer
from localcloud.services.lambda_.runtime.aliases import AliasStore
from localcloud.services.lambda_.runtime.asynchronous import AsynchronousInvoker
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError, ResourceNotFoundError
from localcloud.services.lambda_.runtime.functions import Code, LayerVersion, lambda_time
from localcloud.services.lambda_.runtime.invoker import InvocationSink, Invoker, available_client
from localcloud.services.lambda_.runtime.layers import LayerInstaller
from localcloud.services.lambda_.runtime.packages import PackageStore
from localcloud.services.lambda_.runtime.policies import PolicyStore
from localcloud.services.lambda_.runtime.pool import PoolLimits, WorkerPools
from localcloud.services.lambda_.runtime.prepared import PreparedWorkers
from localcloud.services.lambda_.runtime.store import FunctionStore

MAX_FUNCTION_BYTES = 262_144_000


class LambdaService:
    """Everything behind the Lambda API.

    Attributes
    ----------
    store : FunctionStore
    aliases : AliasStore
    policies : PolicyStore
    invoker : Invoker
    asynchronous : AsynchronousInvoker
    pools : WorkerPools
    """

    def __init__(
        self,
        *,
        account_id: str,
        region: str,
        clock: Clock,
        activity: Activity,
        endpoint: str,
        state_directory: Path,
        cache_directory: Path,
        sink: InvocationSink,
        credentials: Callable[[str, str], dict[str, str]],
        read_object: Callable[[str, str, str | None], bytes],
        deliver: Callable[[str, str, str, dict[str, str]], None],
        client: str | None = None,
        limits: PoolLimits | None = None,
        managed_layers: tuple[ManagedLayer, ...] = (),
        preload: tuple[str, ...] = (),
        standing: Path | None = None,
        account: Account | None = None,
    ) -> None:
        self.account = account or Account()
        self._known_layers = managed_layers
        self._account_id = account_id
        self._region = region
        self._now: Callable[[], datetime] = clock.now
        self._read_object = read_object
        self._packages = PackageStore(cache_directory / "packages")
        self._managed_directory = state_directory / "managed-layers"
        self._layers: dict[str, list[LayerVersion]] = {}
        self._managed: dict[str, LayerVersion] = {}
        self._lock = threading.Lock()
        self.store = FunctionStore(account_id=account_id, region=region, now=clock.now, layer=self.layer_version)
        self.aliases = AliasStore(self.store)
        self.policies = PolicyStore(self.store)
        self.pools = WorkerPools(limits, clock.now)
        self._prepared = PreparedWorkers(preload, bytecode_folder(cache_directory), standing)
        self.invoker = Invoker(
            store=self.store,
            pools=self.pools,
            installer=LayerInstaller(cache_directory),
            activity=activity,
            now=clock.now,
            sink=sink,
            credentials=credentials,
            endpoint=endpoint,
            region=region,
            temporary_directory=state_directory / "tmp",
            client=client or available_client(),
            prepared=self._prepared,
            concurrency=self.account.lambda_concurrency,
        )
        self.asynchronous = AsynchronousInvoker(
            policies=self.policies,
            store=self.store,
            invoker=self.invoker,
            clock=clock,
            activity=activity,
            deliver=deliver,
        )

    def close(self) -> None:
        """End every worker, and let go of what they ran from."""
        self.pools.close()
        self._prepared.close()
        self._packages.close()

    def memory_mb(self) -> int:
        """Resident memory of all workers, and of what they start from."""
        return self.pools.memory_mb() + self._prepared.memory_mb()

    def code(self, parameters: dict[str, Any], layers_of: tuple[LayerVersion, ...] = ()) -> Code:
        """Unpack a deployment package given as ZipFile, or as S3Bucket and S3Key."""
        content = self._content(parameters)
        package = self._packages.put(content)
        size = package.unzipped_bytes + sum(layer.unzipped_bytes for layer in layers_of)
        if size > MAX_FUNCTION_BYTES:
            raise InvalidParameterValueError(
                f"Function code combined with layers exceeds the maximum allowed size of {MAX_FUNCTION_BYTES} "
                f"bytes. The actual size is {size} bytes."
            )
        return Code(package.sha256, len(content), str(package.directory))

    def _content(self, parameters: dict[str, Any]) -> bytes:
        if parameters.get("ZipFile") is not None:
            return bytes(parameters["ZipFile"])
        if parameters.get("S3Bucket") and parameters.get("S3Key"):
            return self._read_object(parameters["S3Bucket"], parameters["S3Key"], parameters.get("S3ObjectVersion"))
        raise InvalidParameterValueError("Please provide a source for function code: ZipFile, or S3Bucket and S3Key")

    # layers

    def publish_layer_version(self, name: str, parameters: dict[str, Any]) -> LayerVersion:
        """Publish the next version of a layer."""
        content = self._content(parameters["Content"])
        package = self._packages.put(content)
        bare = name.rsplit(":", 1)[-1]
        with self._lock:
            versions = self._layers.setdefault(bare, [])
            number = versions[-1].version + 1 if versions else 1
            version = LayerVersion(
                arn=f"arn:aws:lambda:{self._region}:{self._account_id}:layer:{bare}:{number}",
                size=len(content),
                unzipped_bytes=package.unzipped_bytes,
                sha256=package.sha256,
                directory=str(package.directory),
                description=parameters.get("Description") or "",
                created=lambda_time(self._now()),
                compatible_runtimes=tuple(parameters.get("CompatibleRuntimes") or ()),
                compatible_architectures=tuple(parameters.get("CompatibleArchitectures") or ()),
                license_info=parameters.get("LicenseInfo") or "",
            )
            versions.append(version)
        return version

    def layer_version(self, arn: str) -> LayerVersion:
        """A layer version by ARN, of this account or managed by AWS.

        Raises
        ------
        ResourceNotFoundError, InvalidParameterValueError
        """
        for managed in self._known_layers:
            if managed.arn in arn:
                return self._managed_layer(arn, managed)
        parts = arn.split(":")
        if len(parts) != 8 or parts[5] != "layer":
            raise InvalidParameterValueError(f"{arn!r} is not a layer version ARN")
        if parts[4] != self._account_id:
            raise InvalidParameterValueError(
                f"Layer {arn} belongs to another account, and the local cloud has no package list for it; list its "
                "packages in the settings, under [[lambda.managed_layers]]; those there are for "
                f"{[layer.arn for layer in self._known_layers]}"
            )
        return self.own_layer_version(parts[6], int(parts[7]))

    def own_layer_version(self, name: str, number: int) -> LayerVersion:
        """A layer version of this account."""
        bare = name.rsplit(":", 1)[-1]
        with self._lock:
            for version in self._layers.get(bare, []):
                if version.version == number:
                    return version
        raise ResourceNotFoundError(f"Layer version {name}:{number} does not exist.")

    def layers(self) -> dict[str, list[LayerVersion]]:
        """All layers of this account, each with its versions in order."""
        with self._lock:
            return {name: list(versions) for name, versions in self._layers.items() if versions}

    def delete_layer_version(self, name: str, number: int) -> None:
        """Delete a version; functions that use it keep it, as on AWS."""
        bare = name.rsplit(":", 1)[-1]
        with self._lock:
            versions = self._layers.get(bare, [])
            self._layers[bare] = [version for version in versions if version.version != number]

    def _managed_layer(self, arn: str, managed: ManagedLayer) -> LayerVersion:
        with self._lock:
            if arn not in self._managed:
                directory = self._managed_directory / arn.rsplit(":layer:", 1)[1].replace(":", "-")
                lock = directory / "python" / "requirements.lock"
                lock.parent.mkdir(parents=True, exist_ok=True)
                lock.write_text(managed.pins.read_text())
                self._managed[arn] = LayerVersion(arn=arn, size=0, sha256="", directory=str(directory))
            return self._managed[arn]
