"""What other services may use: ends of jobs, for who waits for one."""

from __future__ import annotations

from localcloud.services.sagemaker.jobs.registry import JOBS

__all__ = ["JOBS"]
