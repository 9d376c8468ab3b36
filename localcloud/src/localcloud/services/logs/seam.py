"""What other services may use: writing into log groups, as a service does."""

from __future__ import annotations

from localcloud.services.logs.writer import LogWriter

__all__ = ["LogWriter"]
