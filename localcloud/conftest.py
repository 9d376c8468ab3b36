"""A small local cloud in the test's process, for whichever test asks for one."""

from support.case_names import pytest_make_parametrize_id
from support.compiled_together import pytest_sessionstart
from support.endpoints import endpoints
from support.garbage import pytest_collection_finish, pytest_configure
from support.handing_out import pytest_xdist_make_scheduler
from support.in_process import cloud, make_cloud
from support.properties import load_profile

__all__ = [
    "cloud",
    "endpoints",
    "make_cloud",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_make_parametrize_id",
    "pytest_sessionstart",
    "pytest_xdist_make_scheduler",
]

load_profile()
