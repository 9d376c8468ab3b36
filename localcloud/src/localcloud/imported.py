"""What a cloud's process imports before it changes anything: all of it is imported with this module.

Clouds may start from a process that has imported this (:func:`localcloud.daemon.shared_processes`). Nothing of moto is
changed or made here, for that would be in all of them.
"""

from localcloud import aws_api, control, hooks, server
from localcloud.core import unused
from localcloud.iam import usage
from localcloud.services import registry

__all__ = ["aws_api", "control", "hooks", "registry", "server", "usage"]

unused.leave_out()
hooks.service_hooks()
registry.needs()
