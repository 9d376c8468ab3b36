"""What can go wrong between an assembly and a deployed stack."""

from __future__ import annotations


class DeployError(Exception):
    """Something about this deployment can not be done; the message says where, what and what to change."""


class AssemblyError(DeployError):
    """The cloud assembly is incomplete, or asks for something other than stacks and file assets."""


class TemplateError(DeployError):
    """A template says something malformed, or something that this engine does not understand.

    Attributes
    ----------
    logical_id, type : str
        The resource that it is about; empty where it is about none.
    problems : tuple of TemplateError
        The problems one by one, where it is about several.
    """

    logical_id: str = ""
    type: str = ""
    problems: tuple[TemplateError, ...] = ()


class UnsupportedResourceError(TemplateError):
    """A template has a resource type or a property that this engine would have to leave out."""


class ResourceError(DeployError):
    """A service refused to create, update or delete a resource."""


class StackRolledBackError(DeployError):
    """A stack did not deploy; what had been done for it was undone."""


class RollbackFailedError(DeployError):
    """A stack did not deploy, and undoing it did not work either: resources are left that need a hand."""


class StackBusyError(DeployError):
    """Somebody else is deploying or deleting the stack; nothing was done."""


class DeletionFailedError(DeployError):
    """A stack deployed, or was deleted, but some of its old resources could not be deleted."""
