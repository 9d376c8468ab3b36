"""A declaration against what is deployed: the champion's contract, and the columns of the lake."""

from __future__ import annotations

from collections.abc import Collection

from everloop.cli.account import Account
from everloop.dataset.changes import Change, against_champion, against_lake
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.model_file import ModelDeclaration
from everloop.names import ModelNames
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


def undeclared(account: Account, declared: Collection[str]) -> dict[str, str]:
    """Deployed models of which there is no folder (any more), each with what it does and how to remove it."""
    return {model: _undeclared(model) for model in account.model_names() if model not in declared}


def _undeclared(model: str) -> str:
    return (
        f"is deployed and has no folder models/{model}/: it goes on answering, watching, training and costing, and no"
        f" deployment changes or deletes it. Bring the folder back (renamed, it is another model), or remove the model:"
        f" `aws cloudformation delete-stack --stack-name {ModelNames(model).stack}` (`everloop docs change-a-model`)"
    )
