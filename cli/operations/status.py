"""What stands where: the registry's word, the serving function's, and the alarms'."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from everloop.cli.account import Account, DeployedModel
from everloop.cli.operations.endpoints import (
    RunningEndpoint,
    endpoint_of,
    endpoints_of_versions,
    image_of,
    passed_on_to,
)
from everloop.documents.recalibration import RecalibrationDecision, RecalibrationDocument
from everloop.monitoring.coverage import coverage_sentence
from everloop.names import ModelNames
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.maturity import maturity
from everloop.registry.store import RegistryStore
from everloop.registry.trace import Status, status
from everloop.registry.waivers import Waiver
from everloop.retraining.kept import Kept, what_became_of
from everloop.typed_json import JsonObject


@dataclass(frozen=True)
class ModelStatus:
    """Where a model is.

    Attributes
    ----------
    code_waits : bool
        The function code last deployed is not the code that serves: it waits for a rollout.
    champion_gone : bool
        The champion's function version is not there: the model was removed, and deployed again.
    alarms : list of str
        The model's alarms that are in the state ALARM.
    kept_requests : list of Kept
        What became of the requests to train that came while nothing could start, newest first.
    declared : bool or None
        The project has a folder of that name; None where no project was looked at.
    waived : list of Waiver
        The waivers that are in force.
    endpoint : RunningEndpoint or None
        The SageMaker endpoint, where one is declared and runs.
    serverless : dict
        The serverless endpoints of versions: what each is to the model.
    """

    registry: Status
    deployed: DeployedModel
    code_waits: bool
    champion_gone: bool
    alarms: list[str]
    kept_requests: list[Kept] = field(default_factory=list)
    declared: bool | None = None
    waived: list[Waiver] = field(default_factory=list)
    endpoint: RunningEndpoint | None = None
    serverless: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The status as JSON values."""
        extra = {"deployed": asdict(self.deployed), "code_waits": self.code_waits}
        extra |= {"champion_gone": self.champion_gone, "alarms": self.alarms, "declared": self.declared}
        extra |= {"recalibration": asdict(self.recalibration) if self.recalibration else None}
        found = maturity(self.registry)
        extra["maturity"] = {"level": found.level, "steps": [asdict(step) for step in found.steps]}
        extra["kept_requests"] = [kept.to_json() for kept in self.kept_requests]
        extra["waived"] = [one.to_json() for one in self.waived]
        extra["endpoint"] = asdict(self.endpoint) if self.endpoint else None
        extra["serverless"] = self.serverless
        return {**self.registry.to_json(), **extra}

    @property
    def recalibration(self) -> LastRecalibration | None:
        """What came of recalibration in the newest window; None where it recorded nothing."""
        newest = self.registry.windows[0].record if self.registry.windows else None
        return _last_recalibration(newest.recalibration) if newest and newest.recalibration else None


@dataclass(frozen=True)
class LastRecalibration:
    """What the newest window says of recalibration.

    Attributes
    ----------
    decision : {"publish", "held_back", "none"}
    code, sentence : str
        Why.
    windows, rows : int
        Those of the champion that were answered when something was learned, with a label.
    loss_raw, loss_recalibrated : float or None
        The mean loss of these rows, by what the model said and by what was learned of how to serve it.
    withheld : str or None
        Why no declared group is served apart by what the window taught.
    intervals : str or None
        How the champion's intervals did, as they were answered and as they were at birth; None where it has none.
    """

    decision: RecalibrationDecision
    code: str
    sentence: str
    windows: int
    rows: int
    loss_raw: float | None
    loss_recalibrated: float | None
    withheld: str | None = None
    intervals: str | None = None


def _last_recalibration(found: RecalibrationDocument) -> LastRecalibration:
    reason, told = found["reasons"][0], found["losses"]
    rows = told["rows"]
    return LastRecalibration(
        found["decision"],
        reason["code"],
        reason["sentence"],
        told["windows"],
        rows,
        told["raw"] / rows if rows else None,
        told["calibrated"] / rows if rows else None,
        found["groups"]["withheld"] if "groups" in found else None,
        coverage_sentence(found["spread"]) if "spread" in found else None,
    )


def model_status(account: Account, model: str, declared: Collection[str] | None = None) -> ModelStatus:
    """Where ``model`` stands now; ``declared`` are the models of a project, where one is at hand."""
    deployed, store = account.model(model), account.registry(model)
    found = status(store)
    champion = found.champion.lambda_version if found.champion else ""
    # Who has no endpoint declared needs no permission to look at one.
    declares_one = bool(deployed.endpoint_image) or (champion != "" and not champion.isdecimal())
    endpoint = endpoint_of(account, model) if declares_one else None
    serverless = _serverless(account, deployed, found) if declares_one else {}
    waits, gone = _code_waits(account, deployed, found), _champion_gone(account, deployed, found, endpoint)
    return ModelStatus(
        registry=found,
        deployed=deployed,
        code_waits=waits,
        champion_gone=gone,
        alarms=model_alarms(account, model),
        kept_requests=kept_of(store, account.now(), found.kept_requests),
        declared=None if declared is None else model in declared,
        waived=_in_force(account, found.waivers),
        endpoint=endpoint,
        serverless=serverless,
    )


def _serverless(account: Account, deployed: DeployedModel, found: Status) -> dict[str, str]:
    """The serverless endpoints of versions, with the function version that passes on to each, where that serves."""
    names = endpoints_of_versions(account, deployed.model)
    champion = found.champion.lambda_version if found.champion and names else ""
    asked = passed_on_to(account, deployed.predict_function, champion) if champion.isdecimal() else ""
    return {name: f"function version {champion}, the champion" if name == asked else "" for name in names}


def _in_force(account: Account, waivers: Sequence[Waiver]) -> list[Waiver]:
    now = account.now() if waivers else None
    return [one for one in waivers if now is not None and one.holds(now)]


def kept_of(store: RegistryStore, now: datetime, requests: Sequence[KeptRequest]) -> list[Kept]:
    """What became of the requests that were kept."""
    runs = store.runs.all() if requests else []
    return [what_became_of(request, runs, as_of=now) for request in requests]


def _code_waits(account: Account, deployed: DeployedModel, found: Status) -> bool:
    if found.champion is None:
        return False
    variant = found.champion.lambda_version
    if not variant.isdecimal():
        return image_of(account, variant) != (deployed.endpoint_image or None)
    client, function = account.client("lambda"), deployed.predict_function
    latest = client.get_function_configuration(FunctionName=function)
    endpoint = passed_on_to(account, function, variant) if deployed.endpoint_image else ""
    if not endpoint:
        return bool(latest["CodeSha256"] != found.champion.code_sha256)
    # What serves is the image, and the function before it.
    before = client.get_function_configuration(FunctionName=function, Qualifier=variant)
    return bool(latest["CodeSha256"] != before["CodeSha256"]) or image_of(account, endpoint) != deployed.endpoint_image


def _champion_gone(account: Account, deployed: DeployedModel, found: Status, endpoint: RunningEndpoint | None) -> bool:
    if found.champion is None:
        return False
    client, number = account.client("lambda"), found.champion.lambda_version
    if not number.isdecimal():
        return endpoint is None or number not in endpoint.variants
    try:
        client.get_function_configuration(FunctionName=deployed.predict_function, Qualifier=number)
        passed = passed_on_to(account, deployed.predict_function, number) if deployed.endpoint_image else ""
        return bool(passed) and passed not in endpoints_of_versions(account, deployed.model)
    except client.exceptions.ResourceNotFoundException:
        return True


def model_alarms(account: Account, model: str) -> list[str]:
    """The names of the model's alarms that are in the state ALARM."""
    pages = account.client("cloudwatch").get_paginator("describe_alarms")
    names = [
        alarm["AlarmName"]
        for page in pages.paginate(AlarmNamePrefix=ModelNames(model).prefix, StateValue="ALARM")
        for alarm in page["MetricAlarms"]
    ]
    return sorted(names)
