"""An endpoint's life: created, updated, scaled and deleted beside the answers of the API."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from localcloud.core.context import CloudContext
from localcloud.services.sagemaker.hosting.exceptions import ContainerError, HostingRefusedError
from localcloud.services.sagemaker.hosting.fleet import Fleet, Variant

LOG = logging.getLogger(__name__)
_MAX_REASON = 1024


class Endpoint:
    """One endpoint. Its methods that change something return at once; the rest happens beside.

    Parameters
    ----------
    on_deleted : callable
        Called once nothing of it runs any more.
    """

    def __init__(
        self, context: CloudContext, name: str, arn: str, fleet: Fleet, on_deleted: Callable[[], None]
    ) -> None:
        self.name = name
        self.arn = arn
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.created_at: datetime = context.clock.now()
        self.changed_at = self.created_at
        self._context = context
        self._on_deleted = on_deleted
        self._lock = threading.RLock()
        self._fleet = fleet
        self._next: Fleet | None = None
        self._deleting = False

    @property
    def fleet(self) -> Fleet:
        """What serves now."""
        return self._fleet

    @property
    def answers(self) -> bool:
        """Whether it takes requests: while it is updated what served before does."""
        return self.status in ("InService", "Updating", "SystemUpdating", "RollingBack")

    def create(self) -> None:
        """Start its fleet; InService when that is healthy, else Failed."""

        def work() -> None:
            try:
                self._fleet.start()
            except ContainerError as error:
                self._settle("Failed", str(error))
            else:
                self._settle("InService", None)

        self._beside(work)

    def update(self, fleet: Fleet, *, retain: Collection[str]) -> None:
        """Serve another configuration once its fleet is healthy; until then, and if it is not, the old one serves.

        Parameters
        ----------
        retain : collection of str
            What variants that keep their name keep: ``DesiredWeight``, ``DesiredInstanceCount``.

        Raises
        ------
        HostingRefusedError
            While something else is under way.
        """
        self._begin("Updating", "Cannot update in-progress endpoint")
        for variant in fleet.variants:
            before = self._fleet.variant(variant.name)
            if before is not None and "DesiredWeight" in retain:
                variant.weight = before.weight
            if before is not None and "DesiredInstanceCount" in retain:
                variant.configured = {**variant.configured, **_capacity(before, variant)}
        self._next = fleet

        def work() -> None:
            try:
                fleet.start()
            except ContainerError as error:
                self._next = None
                self._settle("InService", str(error))
                return
            with self._lock:
                before, self._fleet, self._next = self._fleet, fleet, None
            self._settle("InService", None)
            before.stop()

        self._beside(work)

    def rebalance(self, wanted: list[Mapping[str, Any]]) -> None:
        """Take over weights and numbers of instances.

        Raises
        ------
        HostingRefusedError
            For a variant that it has not, or has twice in the request, for what a variant can't have, and while
            something else is under way.
        """
        weights, counts = self._asked(wanted)
        self._begin("Updating", "Cannot update in-progress endpoint")

        def work() -> None:
            try:
                for variant, count in counts:
                    self._fleet.scale(variant, count)
            except ContainerError as error:
                self._settle("InService", str(error))
                return
            self._fleet.set_weights(weights)
            self._settle("InService", None)

        self._beside(work)

    def delete(self) -> None:
        """End what serves.

        Raises
        ------
        HostingRefusedError
            While it is being created or updated.
        """
        self._begin("Deleting", "Cannot update in-progress endpoint", also=("Failed",))

        def work() -> None:
            self._fleet.stop()
            self._on_deleted()

        self._beside(work)

    def close(self) -> None:
        """End everything at once, as the local cloud ends."""
        with self._lock:
            fleets = [fleet for fleet in (self._fleet, self._next) if fleet is not None]
        for fleet in fleets:
            fleet.stop(drain_seconds=0, kill_after_seconds=2)

    def _asked(self, wanted: list[Mapping[str, Any]]) -> tuple[dict[str, float], list[tuple[Variant, int]]]:
        names = [str(each["VariantName"]) for each in wanted]
        for name in names:
            if names.count(name) > 1:
                raise HostingRefusedError(f'The variant name "{name}" was non-unique within the request.')
        weights, counts = {}, []
        for each in wanted:
            variant = self._fleet.variant(str(each["VariantName"]))
            if variant is None:
                raise HostingRefusedError(
                    f'The variant name(s) "{each["VariantName"]}" is/are not present within endpoint configuration'
                    f' "{self._fleet.config_name}".'
                )
            if each.get("ServerlessUpdateConfig"):
                raise HostingRefusedError("ServerlessUpdateConfig: the local cloud does not execute this; leave it out")
            if each.get("DesiredWeight") is not None:
                weights[variant.name] = float(each["DesiredWeight"])
            if each.get("DesiredInstanceCount") is not None:
                counts.append((variant, self._count(variant, int(each["DesiredInstanceCount"]))))
        total = sum(weights.get(variant.name, variant.weight) for variant in self._fleet.variants)
        if any(weight < 0 for weight in weights.values()) or total <= 0:
            raise HostingRefusedError("DesiredWeight: weights are 0 or more, and one at least is above 0")
        return weights, counts

    @staticmethod
    def _count(variant: Variant, count: int) -> int:
        if variant.most_at_once is not None:
            raise HostingRefusedError(f"DesiredInstanceCount: variant {variant.name} is serverless")
        if count < 1:
            raise HostingRefusedError(f"DesiredInstanceCount: {count} must be 1 or more")
        return count

    def _begin(self, status: str, refusal: str, also: tuple[str, ...] = ()) -> None:
        with self._lock:
            if self.status == "Failed" and "Failed" not in also:
                raise HostingRefusedError(
                    f'Cannot update endpoint "{self.arn}" in status Failed: it can only be deleted.'
                )
            if self.status not in ("InService", *also):
                raise HostingRefusedError(f'{refusal} "{self.arn}".')
            self.status = status
            self.changed_at = self._context.clock.now()

    def _settle(self, status: str, reason: str | None) -> None:
        with self._lock:
            self.status = status
            self.failure_reason = reason[:_MAX_REASON] if reason else None
            self.changed_at = self._context.clock.now()

    def _beside(self, work: Callable[[], None]) -> None:
        label = f"endpoint {self.name}"
        self._context.activity.enter(label)

        def live() -> None:
            try:
                work()
            except Exception as error:
                LOG.exception("endpoint %s failed by an error of the local cloud", self.name)
                self._settle("Failed", f"InternalServerError: {type(error).__name__}: {error}")
            finally:
                self._context.activity.leave(label)

        threading.Thread(target=live, name=label, daemon=True).start()


def _capacity(before: Variant, after: Variant) -> dict[str, Any]:
    if before.most_at_once is not None or after.most_at_once is not None:
        return {}
    return {"InitialInstanceCount": before.count}
