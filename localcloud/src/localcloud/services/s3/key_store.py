"""A bucket's objects by name: one version stands by itself, only several make a list."""

from __future__ import annotations

from typing import Any

from moto.s3.utils import _VersionedKeyStore


class KeyStore(_VersionedKeyStore):
    """moto's store of the versions under each name, without a list for each name."""

    def __sgetitem__(self, key: str) -> list[Any]:
        found = dict.__getitem__(self, key)
        return found if type(found) is list else [found]

    def __setitem__(self, key: str, value: Any) -> None:
        self._keep(key, [*self.getlist(key, []), value])

    def setlist(self, key: Any, list_: Any) -> None:
        """Hold these versions, and let go of those that are no longer among them."""
        versions = list(list_) if isinstance(list_, list | tuple) else [list_]
        for existing in self.getlist(key, []):
            if not any(existing is version for version in versions) and hasattr(existing, "dispose"):
                existing.dispose()
        self._keep(key, versions)

    def _keep(self, key: str, versions: list[Any]) -> None:
        dict.__setitem__(self, key, versions[0] if len(versions) == 1 else versions)
