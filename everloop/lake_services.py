"""What a function works with that makes tables for jobs from the lake: snapshots for trainings, rows for probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from everloop.dataset.athena import AthenaReader
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.store import RegistryStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LakeServices:
    """What it works with. ``read`` takes a query, where its result goes, and its columns."""

    declaration: ModelDeclaration
    lake_bucket: str
    artifact_bucket: str
    s3_client: Any
    store: RegistryStore
    read: Callable[[str, str, Sequence[str]], pd.DataFrame]

    @classmethod
    def of(
        cls,
        session: Any,
        declaration: ModelDeclaration,
        *,
        table: str,
        lake_bucket: str,
        athena_workgroup: str,
        glue_database: str,
        artifact_bucket: str,
    ) -> Self:
        """Those of a process.

        Parameters
        ----------
        session : boto3.Session
            Whose credentials, region and endpoints are used.
        table : str
            The registry's.
        """
        return cls(
            declaration=declaration,
            lake_bucket=lake_bucket,
            artifact_bucket=artifact_bucket,
            s3_client=session.client("s3"),
            store=RegistryStore(session.client("dynamodb"), table, declaration.model),
            read=AthenaReader(session, database=glue_database, workgroup=athena_workgroup).read,
        )
