"""What a function works with that makes tables for jobs from the lake: snapshots for trainings, rows for probes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

from everloop.dataset.athena import AthenaQueries
from everloop.environment import Settings
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ATHENA_RESULTS_PREFIX
from everloop.registry.store import RegistryStore


@dataclass(frozen=True)
class LakeSettings(Settings):
    """What the stack sets for such a function; ``table`` is the registry's."""

    table: str
    lake_bucket: str
    athena_workgroup: str
    glue_database: str
    artifact_bucket: str


@dataclass(frozen=True)
class LakeServices:
    """What it works with."""

    declaration: ModelDeclaration
    lake_bucket: str
    artifact_bucket: str
    s3_client: Any
    store: RegistryStore
    queries: AthenaQueries

    @classmethod
    def of(cls, session: Any, declaration: ModelDeclaration, settings: LakeSettings) -> Self:
        """Those of a process.

        Parameters
        ----------
        session : boto3.Session
            Whose credentials, region and endpoints are used.
        """
        return cls(
            declaration=declaration,
            lake_bucket=settings.lake_bucket,
            artifact_bucket=settings.artifact_bucket,
            s3_client=session.client("s3"),
            store=RegistryStore(session.client("dynamodb"), settings.table, declaration.model),
            queries=AthenaQueries(
                client=session.client("athena"),
                sleep=time.sleep,
                database=settings.glue_database,
                workgroup=settings.athena_workgroup,
                output_location=f"s3://{settings.lake_bucket}/{ATHENA_RESULTS_PREFIX}",
            ),
        )
