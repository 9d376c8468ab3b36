"""Glue."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.glue",
    signing_name="glue",
    backend="glue",
    hooks=("limits",),
    refused=refusals(
        {
            "CreateCrawler StartCrawler": "create the table with CreateTable",
            "CreateJob StartJobRun CreateTrigger CreateSession CreateDevEndpoint CreateWorkflow": (
                "run it as a SageMaker processing job, or as a query on Athena"
            ),
        }
    ),
)
