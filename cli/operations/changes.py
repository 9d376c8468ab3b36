"""A declaration against what is deployed: the champion's contract, the columns of the lake, and the address."""

from __future__ import annotations

from everloop.cli.account import Account
from everloop.dataset.changes import Change, against_champion, against_lake
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.champion_contract import champion_contract


def changes_against_deployed(account: Account, declaration: ModelDeclaration) -> list[Change]:
    """What the declaration changes that can't change so.

    A model that was removed is asked for as well: its champion and its rows are there, and are taken up again when a
    model of that name is deployed.
    """
    model, platform = declaration.model, account.platform
    s3 = account.client("s3")
    champion = champion_contract(account.registry(model), s3, platform.artifact_bucket)
    of_champion = [] if champion is None else against_champion(declaration, champion[1], champion[0])
    recorded = recorded_columns(s3, platform.lake_bucket, model, list_lake(s3, platform.lake_bucket, model))
    told = {change.name for change in of_champion}
    return [*of_champion, *(c for c in against_lake(declaration, recorded) if c.name not in told)]


def removed_champion(account: Account, model: str) -> int | None:
    """The champion's version of a model that was removed and is not deployed again; None for any other model."""
    if model in account.model_names():
        return None
    champion = account.registry(model).versions.champion()
    return champion.version if champion is not None else None


def moved_address(account: Account, declaration: ModelDeclaration) -> str | None:
    """What callers of a deployed model have to know whose address this declaration changes; None where it stays.

    A model with a rate has an API of its own, so has one with a REST API, and any other is asked at the API of the
    platform.
    """
    if declaration.model not in account.model_names():
        return None
    deployed, shared = account.model(declaration.model), f"{account.platform.api_endpoint}/"
    rate, kind = declaration.serving.rate, declaration.serving.api
    is_shared = rate is None and kind == "http"
    if deployed.predictions_url.startswith(shared) == is_shared and deployed.api == kind:
        return None
    if kind == "rest":
        why = "serving.api gives it a REST API of its own"
    elif is_shared:
        left_out = "serving.api: rest" if deployed.api == "rest" else "serving.rate"
        why = f"without {left_out} it is asked at the API that models share"
    elif deployed.api == "rest":
        why = "without serving.api: rest it has an HTTP API of its own"
    else:
        why = "serving.rate gives it an API of its own"
    return (
        f"{why}: once this is deployed, callers of {deployed.predictions_url} are not answered any more, nor are labels"
        f" taken there; `everloop status {declaration.model}` shows the new addresses"
    )
