"""Deploys an assembly with the resource types of all services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.cloudformation import deployment
from localcloud.cloudformation.deployment import Deployment
from localcloud.cloudformation.engine import DeployEvent
from localcloud.services.registry import handlers


def _silent(event: DeployEvent) -> None:
    """Tell nobody."""


def deploy_assembly(
    assembly: Path,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Callable[[DeployEvent], None] = _silent,
) -> Deployment:
    """As :func:`localcloud.cloudformation.deployment.deploy_assembly`."""
    return deployment.deploy_assembly(assembly, client_factory, state_directory, progress, handlers=handlers())


def destroy(
    assembly: Path,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Callable[[DeployEvent], None] = _silent,
) -> None:
    """As :func:`localcloud.cloudformation.deployment.destroy`."""
    deployment.destroy(assembly, client_factory, state_directory, progress, handlers=handlers())


def destroy_stack(
    stack: str,
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Callable[[DeployEvent], None] = _silent,
) -> None:
    """As :func:`localcloud.cloudformation.deployment.destroy_stack`."""
    deployment.destroy_stack(stack, client_factory, state_directory, progress, handlers=handlers())


def destroy_stacks(
    client_factory: Callable[[str], Any],
    state_directory: Path,
    progress: Callable[[DeployEvent], None] = _silent,
) -> list[str]:
    """As :func:`localcloud.cloudformation.deployment.destroy_stacks`."""
    return deployment.destroy_stacks(client_factory, state_directory, progress, handlers=handlers())
