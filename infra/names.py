"""The names things have in the account. Everything that finds a resource by name finds it by these."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.dataset.lake_listing import lake_prefix

PLATFORM_STACK = "EverloopPlatform"
EVENT_BUS = "everloop"
GLUE_DATABASE = "everloop"
ATHENA_WORKGROUP = "everloop"
ALIAS = "live"
METRIC_NAMESPACE = "Everloop"
PLATFORM_PARAMETER = "/everloop/platform"

MONITORING_SOURCE = "everloop.monitoring"
RETRAINING_REQUESTED = "Retraining Requested"

BY_STATE = "by_state"
BY_SNAPSHOT = "by_snapshot"

FUNCTIONS = ("predict", "labels", "registry", "run", "snapshot", "gate", "register", "rollout", "monitor", "starter")


@dataclass(frozen=True)
class ModelNames:
    """The names that belong to one model."""

    model: str

    @property
    def dashed(self) -> str:
        """The model's name where underscores are not allowed: stacks and SageMaker jobs."""
        return self.model.replace("_", "-")

    @property
    def stack(self) -> str:
        return f"EverloopModel-{self.dashed}"

    def function(self, name: str) -> str:
        return f"everloop-{self.model}-{name}"

    def registry_writer(self, caller: str) -> str:
        """The registry function by the alias of one of its callers."""
        return f"{self.function('registry')}:{caller}"

    @property
    def state_machine(self) -> str:
        return f"everloop-{self.model}-pipeline"

    @property
    def job_prefix(self) -> str:
        """What the names of the model's SageMaker jobs begin with; the execution's name follows.

        With the longest model name (31 characters) and an execution named ``train-`` and 16 digits this is
        63 characters, the most that SageMaker takes.
        """
        return f"everloop-{self.dashed}-"

    @property
    def refit_prefix(self) -> str:
        """What the names of the jobs of a refit begin with. They are no longer than the others."""
        return f"refit-{self.dashed}-"

    @property
    def predictions_stream(self) -> str:
        return f"everloop-{self.model}-predictions"

    @property
    def labels_stream(self) -> str:
        return f"everloop-{self.model}-labels"

    def table(self, kind: str) -> str:
        """The Glue table of ``predictions``, ``labels`` or ``history``."""
        return f"{self.model}_{kind}"

    @property
    def parameter(self) -> str:
        return f"/everloop/models/{self.model}"

    def lake_prefix(self, kind: str) -> str:
        """The lake prefix of ``predictions``, ``labels`` or ``history``, ending in a slash."""
        return lake_prefix(kind, self.model)

    @property
    def datasets_prefix(self) -> str:
        return f"datasets/{self.model}/"

    @property
    def runs_prefix(self) -> str:
        return f"runs/{self.model}/"

    @property
    def artifacts_prefix(self) -> str:
        return f"artifacts/{self.model}/"


ATHENA_RESULTS_PREFIX = "athena-results/"
ERRORS_PREFIX = "errors/"
