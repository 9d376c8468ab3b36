"""A declaration against what is deployed: the champion's contract, and the columns of the lake."""

from __future__ import annotations

from everloop.cli.account import Account
from everloop.dataset.changes import Change, against_champion, against_lake
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.model_file import ModelDeclaration
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
