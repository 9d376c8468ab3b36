"""Loaded before any test."""

import os

# Each worker has a core of its own: two threads of one training would wait for each other, actively. The library reads
# this when it is loaded, so it stands before any import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

# The folder localcloud/ has the package's name: pytest would take it for a namespace when it names the tests in it.
import localcloud  # noqa: F401
from support.case_names import pytest_make_parametrize_id
from support.garbage import pytest_collection_finish, pytest_configure
from tests.helpers.longest_first import pytest_collection_modifyitems

__all__ = [
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_make_parametrize_id",
]

# How long an example takes says how busy the machine is. The rest stays as Hypothesis chooses it, in CI and elsewhere.
settings.register_profile("whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the machine")
