"""Loaded before any test."""

import os

# Each worker has a core of its own: two threads of one training would wait for each other, actively. The library reads
# this when it is loaded, so it stands before any import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The folder localcloud/ has the package's name: pytest would take it for a namespace when it names the tests in it.
import localcloud  # noqa: F401
from support.case_names import pytest_make_parametrize_id
from support.compiled_together import pytest_sessionstart
from support.garbage import pytest_collection_finish, pytest_configure, pytest_sessionfinish
from support.handing_out import pytest_xdist_make_scheduler
from support.properties import load_profile
from support.service_descriptions import pytest_runtestloop
from tests.helpers.environment import environment_as_before
from tests.helpers.longest_first import pytest_collection_modifyitems

__all__ = [
    "environment_as_before",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_make_parametrize_id",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_xdist_make_scheduler",
]

load_profile()
