"""What other services may use: which variants of an endpoint are registered, and that an endpoint is deleted."""

from __future__ import annotations

from localcloud.services.applicationautoscaling.current import forget_endpoint, registered_variants

__all__ = ["forget_endpoint", "registered_variants"]
