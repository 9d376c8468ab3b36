"""The names things have in the account. Everything that makes a resource, or finds one by its name, does so by these.

The request path reads them, so nothing is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

PLATFORM_STACK = "EverloopPlatform"
EVENT_BUS = "everloop"
GLUE_DATABASE = "everloop"
ATHENA_WORKGROUP = "everloop"
ALIAS = "live"
METRIC_NAMESPACE = "Everloop"

PLATFORM_PARAMETER = "/everloop/platform"
MODEL_PARAMETERS = "/everloop/models"
"""What the stacks say of themselves: the platform's parameter, and below the other name one for each model."""

MONITORING_SOURCE = "everloop.monitoring"
REGISTRY_SOURCE = "everloop.registry"
"""The sources of events, and below them their kinds."""

RETRAINING_REQUESTED = "Retraining Requested"
RESTORE_REQUESTED = "Restore Requested"
CALIBRATION_LEARNED = "Calibration Learned"
PROBE_DUE = "Probe Due"
CHAMPION_PROMOTED = "Champion Promoted"
VERSION_ROLLED_BACK = "Version Rolled Back"
CHAMPION_CALIBRATED = "Champion Calibrated"
SERVING_CHANGES = (CHAMPION_PROMOTED, VERSION_ROLLED_BACK, CHAMPION_CALIBRATED)
"""Those that carry a serving manifest."""

SIGNING_ALIAS = "alias/everloop/signing"
"""The alias of the key that signs what is registered."""

BY_STATE = "by_state"
BY_SNAPSHOT = "by_snapshot"
"""The registry's indexes: from a state to its versions of all models, and from a snapshot to its versions."""

ATHENA_RESULTS_PREFIX = "athena-results/"
ERRORS_PREFIX = "errors/"
UNLOADED_PREFIX = "unloaded/"
DATASETS_PREFIX = "datasets/"
"""In the lake bucket, beside what belongs to the models."""

ARCHIVED_AFTER_DAYS = 90
"""After so many days training sets are read by auditors alone, and stand in a storage class that is made for that."""

TRAINING_JOB_LOGS = "/aws/sagemaker/TrainingJobs"
PROCESSING_JOB_LOGS = "/aws/sagemaker/ProcessingJobs"
"""The log groups of all SageMaker jobs of a kind, which are the namespaces of their metrics too
(https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html)."""

ACCESS_LOG = "/aws/vendedlogs/everloop/api"
"""The log group of requests to the API that models share."""

FUNCTIONS = ("predict", "labels", "registry", "run", "snapshot", "gate", "register", "rollout", "monitor", "starter")
"""Every model has these."""

RECONCILE_SCHEDULE = "reconcile"
"""The schedule on which what is deployed is held against the registry, named as a function would be."""

DRILL_SCHEDULE = "drill"
"""The schedule on which a rollback is tried, where one is declared, named as a function would be."""

ARCHIVE_RULE = "serving-changed"
"""The rule by which manifests of what serves are archived, named as a function would be."""

PROBE_FUNCTION = "probe"
"""What a model has as well that declares ``retraining.investment``."""

PREVIOUS_CHAMPION = "previous_champion"
"""The ``use`` of a fallback that is the version which served before."""

REFUSED_BY_CONTRACT = "refused"
"""Why a fallback was asked: the version's contract refused what the version before may take."""

SERVER_ERRORS = "ServerErrors"
REQUESTS_REFUSED = "RequestsRefused"
"""Metrics of the prediction function that the guardrail reads: answered with 5xx or by a fallback, and with 4xx."""

COLD_START = "ColdStart"
"""How long a request waited, in milliseconds, of a process that had just begun; the guardrail reads it too."""

ON_ROW_ERROR, REFUSE, REPORT = "on_row_error", "refuse", "report"
"""What a request says of its rows that are wrong: it is refused whole, or the other rows are answered."""

ROWS_REFUSED = "RowsRefused"
"""Rows that were answered with an error, of requests whose other rows got a prediction."""

UNSEEN = "unseen"
"""Of an event, and of a request that is passed on: that no caller asked it, so nothing is captured or counted. No
request of the HTTP API can say so: this stands beside the request and not in it."""

FAULTS = "Faults"
"""Counts what somebody must look at, beside the metric that says what it is; one alarm watches it."""


def lake_prefix(kind: str, model: str) -> str:
    """Where a model's ``history``, ``predictions`` or ``labels`` stand in the lake bucket; the last two day by day."""
    return f"{kind}/model={model}/"


@dataclass(frozen=True)
class ModelNames:
    """The names that belong to one model."""

    model: str

    @property
    def prefix(self) -> str:
        """What the names of the model's functions, streams, alarms and of its state machine begin with."""
        return f"everloop-{self.model}-"

    @property
    def dashed(self) -> str:
        """The model's name where underscores are not allowed: stacks and SageMaker jobs."""
        return self.model.replace("_", "-")

    @property
    def stack(self) -> str:
        """The CloudFormation stack: names of stacks may hold no underscore."""
        return f"EverloopModel-{self.dashed}"

    def function(self, name: str) -> str:
        """The Lambda function of that folder of ``functions/``."""
        return f"{self.prefix}{name}"

    def registry_writer(self, caller: str) -> str:
        """The registry function by the alias of one of its callers."""
        return f"{self.function('registry')}:{caller}"

    @property
    def api(self) -> str:
        """The model's own API, where it declares a rate or a REST API."""
        return f"everloop-{self.model}"

    @property
    def access_log(self) -> str:
        """The log group of requests to the model's own HTTP API."""
        return f"{ACCESS_LOG}/{self.model}"

    @property
    def rest_access_log(self) -> str:
        """The log group of requests to its REST API. A deployment that makes one API of the other has both."""
        return f"{self.access_log}/rest"

    @property
    def state_machine(self) -> str:
        """The Step Functions machine that trains, judges, registers and rolls out."""
        return f"{self.prefix}pipeline"

    @property
    def probe_machine(self) -> str:
        """The Step Functions machine of fresh probes, where retraining is declared an investment."""
        return f"{self.prefix}probe"

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
    def endpoint(self) -> str:
        """The SageMaker endpoint, where one serves the model; its models and configurations begin with its name."""
        return f"everloop-{self.dashed}"

    def stream(self, kind: str) -> str:
        """The stream of ``predictions`` or ``labels``."""
        return f"{self.prefix}{kind}"

    def table(self, kind: str) -> str:
        """The Glue table of ``predictions``, ``labels`` or ``history``."""
        return f"{self.model}_{kind}"

    @property
    def parameter(self) -> str:
        """The SSM parameter in which the stack says what it deployed."""
        return f"{MODEL_PARAMETERS}/{self.model}"

    def lake_prefix(self, kind: str) -> str:
        """The lake prefix of ``predictions``, ``labels`` or ``history``, ending in a slash."""
        return lake_prefix(kind, self.model)

    @property
    def datasets_prefix(self) -> str:
        """Where the snapshots stand in the lake bucket, ending in a slash."""
        return f"{DATASETS_PREFIX}{self.model}/"

    @property
    def unloaded_prefix(self) -> str:
        """Where queries leave rows for some days in the lake bucket, ending in a slash."""
        return f"{UNLOADED_PREFIX}{self.model}/"

    @property
    def runs_prefix(self) -> str:
        """Where the files of the pipeline's runs stand in the lake bucket, ending in a slash."""
        return f"runs/{self.model}/"

    @property
    def probes_prefix(self) -> str:
        """Where the fresh probes stand in the lake bucket, ending in a slash."""
        return f"probes/{self.model}/"

    @property
    def artifacts_prefix(self) -> str:
        """Where the versions' files stand in the artifact bucket, ending in a slash."""
        return f"artifacts/{self.model}/"

    @property
    def serving_prefix(self) -> str:
        """Where the serving manifests stand in the artifact bucket, ending in a slash."""
        return f"serving/{self.model}/"

    def alarm(self, name: str) -> str:
        """The CloudWatch alarm, e.g. of ``monitor-failed``."""
        return f"{self.prefix}{name}"

    def path(self, name: str) -> str:
        """The path of ``predictions`` or ``labels`` below the API's address; of all protocols' paths it is the base."""
        return f"/models/{self.model}/{name}"
