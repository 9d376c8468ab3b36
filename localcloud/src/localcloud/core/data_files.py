"""botocore learns once a process what data it ships, and not once a session.

A local cloud has a dozen sessions, moto's own loaders among them. Each looks into four hundred folders for the names of
services, and reads the regions of all partitions anew. Obsolete: once botocore keeps them for all sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from botocore.loaders import Loader

_kept: dict[tuple[Any, ...], Any] = {}


def keep() -> None:
    """Let all loaders of this process share the names of services, and the files that belong to none of them."""
    loader: Any = Loader
    if not hasattr(loader.load_data_with_path, "looks_once"):
        loader.list_available_services = _of_services(loader.list_available_services)
        loader.load_data_with_path = _of_files(loader.load_data_with_path)


def _of_services(method: Callable[[Loader, str], Any]) -> Callable[[Loader, str], Any]:
    @wraps(method)
    def list_available_services(self: Loader, type_name: str) -> Any:
        return _once(method, self, type_name)

    return list_available_services


def _of_files(method: Callable[[Loader, str], Any]) -> Callable[[Loader, str], Any]:
    @wraps(method)
    def load_data_with_path(self: Loader, name: str) -> Any:
        # A service's description stays its loader's own: moto and clients make different things of it.
        return method(self, name) if "/" in name else _once(method, self, name)

    vars(load_data_with_path)["looks_once"] = True
    return load_data_with_path


def _once(method: Callable[[Loader, str], Any], loader: Loader, what: str) -> Any:
    key = (method, what, type(loader.file_loader), tuple(loader.search_paths))
    if key not in _kept:
        _kept[key] = method(loader, what)
    return _kept[key]
