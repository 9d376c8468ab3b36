"""The containers of one endpoint configuration, by variant, and which of them a request goes to."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localcloud.services.sagemaker.hosting.container import Container
from localcloud.services.sagemaker.hosting.exceptions import ContainerError, InvocationError

HEALTH_CHECK_SECONDS = 480.0
"""How long a container may take until /ping answers, unless the variant says otherwise; in real seconds."""

_DRAIN_SECONDS = 60.0

MakeContainer = Callable[[Mapping[str, Any], str], Container]
"""Makes a container for a variant, under an instance's id; it is not started yet."""


@dataclass
class Variant:
    """A variant: its configuration, its share, and what serves it."""

    configured: Mapping[str, Any]
    weight: float
    containers: list[Container] = field(default_factory=list)
    in_flight: int = 0
    turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        """VariantName."""
        return str(self.configured["VariantName"])

    @property
    def count(self) -> int:
        """How many instances it should have; a serverless one has one process."""
        return int(self.configured.get("InitialInstanceCount") or 1)

    @property
    def most_at_once(self) -> int | None:
        """MaxConcurrency of a serverless variant."""
        serverless = self.configured.get("ServerlessConfig")
        return int(serverless["MaxConcurrency"]) if serverless else None


class Fleet:
    """What serves one endpoint configuration.

    Parameters
    ----------
    choose : callable
        Gives a number in [0, 1): where a request falls among the weights.
    """

    def __init__(
        self,
        config_name: str,
        variants: list[Variant],
        make_container: MakeContainer,
        choose: Callable[[], float] = random.random,
    ) -> None:
        self.config_name = config_name
        self.variants = variants
        self._make_container = make_container
        self._choose = choose
        self._changed = threading.Condition()
        self._in_use = 0
        self._stopped = False

    def start(self) -> None:
        """Start every variant's containers, and wait until all are healthy.

        Raises
        ------
        ContainerError
            When one is not; nothing runs then.
        """
        try:
            for variant in self.variants:
                for _ in range(variant.count):
                    variant.containers.append(self._made(variant))
                    variant.containers[-1].start()
            for variant in self.variants:
                for container in variant.containers:
                    self._wait(variant, container)
        except BaseException:
            self.stop(drain_seconds=0)
            raise

    def scale(self, variant: Variant, count: int) -> None:
        """Bring a variant to so many instances.

        Raises
        ------
        ContainerError
            When a new one does not become healthy; the ones before stay.
        """
        added: list[Container] = []
        try:
            for _ in range(count - len(variant.containers)):
                added.append(self._made(variant))
                added[-1].start()
            for container in added:
                self._wait(variant, container)
        except BaseException:
            for container in added:
                container.stop(kill_after_seconds=5)
            raise
        with self._changed:
            variant.containers += added
            surplus = variant.containers[count:]
            del variant.containers[count:]
            variant.configured = {**variant.configured, "InitialInstanceCount": count}
        for container in surplus:
            container.stop()

    def stop(self, *, drain_seconds: float = _DRAIN_SECONDS, kill_after_seconds: float = 30.0) -> None:
        """Let requests under way end, then end every container."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._in_use, drain_seconds)
            containers = [container for variant in self.variants for container in variant.containers]
        stopping = [
            threading.Thread(target=container.stop, kwargs={"kill_after_seconds": kill_after_seconds}, daemon=True)
            for container in containers
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    @contextmanager
    def routed(self, target: str | None) -> Iterator[tuple[Variant, Container] | None]:
        """The variant and container for a request while it lasts; None when the fleet has been stopped.

        Raises
        ------
        InvocationError
            When there is no such variant, it has no healthy instance, or all of its concurrency is in use.
        """
        with self._changed:
            if self._stopped:
                chosen = None
            else:
                chosen = self._route(target)
                self._in_use += 1
                chosen[0].in_flight += 1
        try:
            yield chosen
        finally:
            if chosen is not None:
                with self._changed:
                    self._in_use -= 1
                    chosen[0].in_flight -= 1
                    self._changed.notify_all()

    def variant(self, name: str) -> Variant | None:
        """The variant of that name."""
        return next((variant for variant in self.variants if variant.name == name), None)

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Share requests out anew, by variant; who is not named keeps its weight."""
        with self._changed:
            for variant in self.variants:
                variant.weight = weights.get(variant.name, variant.weight)

    def pids(self) -> list[int]:
        """The processes that run."""
        return [pid for v in self.variants for c in v.containers if (pid := c.pid()) is not None]

    def _route(self, target: str | None) -> tuple[Variant, Container]:
        variant = self._by_weight() if target is None else self.variant(target)
        if variant is None:
            raise InvocationError("ValidationError", 400, f"Variant {target} not found in this endpoint.")
        if variant.most_at_once is not None and variant.in_flight >= variant.most_at_once:
            raise InvocationError("ThrottlingException", 429, "Rate exceeded")
        running = [container for container in variant.containers if container.pid() is not None]
        if not running:
            raise InvocationError(
                "ServiceUnavailable", 503, f"Variant {variant.name} has no healthy instance; its program starts again."
            )
        return variant, running[next(variant.turns) % len(running)]

    def _by_weight(self) -> Variant:
        total = sum(variant.weight for variant in self.variants)
        left = self._choose() * total
        weighted = [variant for variant in self.variants if variant.weight > 0]
        for variant in weighted:
            left -= variant.weight
            if left < 0:
                return variant
        return weighted[-1]

    def _made(self, variant: Variant) -> Container:
        return self._make_container(variant.configured, f"i-{uuid.uuid4().hex[:17]}")

    def _wait(self, variant: Variant, container: Container) -> None:
        seconds = float(variant.configured.get("ContainerStartupHealthCheckTimeoutInSeconds") or HEALTH_CHECK_SECONDS)
        begun = time.monotonic()
        if not container.wait_until_healthy(seconds):
            waited = time.monotonic() - begun
            raise ContainerError(
                f"The primary container for production variant {variant.name} did not pass the ping health check."
                f" Please check CloudWatch logs for this endpoint. (It was asked for {waited:.0f} s.)"
            )
