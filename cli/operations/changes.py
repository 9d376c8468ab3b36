"""A declaration against what is deployed: the champion's contract, and the columns of the lake."""

from __future__ import annotations

from cli.account import Account
from everloop.dataset.changes import Change, against_champion, against_lake
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.model_file import ModelDeclaration
from everloop.registry.champion_contract import champion_contract


def changes_against_deployed(account: Account, declaration: ModelDeclaration) -> list[Change]:
    """What the declaration changes that can't change so; none for a model that is not deployed yet."""
    model, s3, platform = declaration.model, account.client("s3"), account.platform
    if model not in account.model_names():
        return []
    champion = champion_contract(account.registry(model), s3, platform.artifact_bucket)
    of_champion = [] if champion is None else against_champion(declaration, champion[1], champion[0])
    recorded = recorded_columns(s3, platform.lake_bucket, model, list_lake(s3, platform.lake_bucket, model))
    told = {change.name for change in of_champion}
    return [*of_champion, *(c for c in against_lake(declaration, recorded) if c.name not in told)]
