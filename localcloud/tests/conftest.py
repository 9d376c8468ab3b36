"""A small local cloud in the test's process, for whichever test asks for one."""

from support.in_process import cloud, make_cloud

__all__ = ["cloud", "make_cloud"]
