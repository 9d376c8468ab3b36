"""Reads a synthesized cloud assembly: its stacks, in the order they deploy, and their file assets."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from localcloud.cloudformation.exceptions import AssemblyError
from localcloud.core.containment import inside
from localcloud.core.json_text import read_json

_STACK = "aws:cloudformation:stack"
_ASSETS = "cdk:asset-manifest"
_HARMLESS = {"cdk:tree", "cdk:feature-flag-report"}
_ENVIRONMENT = re.compile(r"aws://(unknown-account|\d{12})/(unknown-region|[a-z0-9-]+)")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class FileAsset:
    """A file or directory that a stack needs in a bucket.

    Attributes
    ----------
    source : Path
        The file, or the directory to zip.
    zipped : bool
        Whether ``source`` is delivered as a zip.
    bucket, key : str
        Where it goes, placeholders resolved.
    """

    identifier: str
    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True)
class Stack:
    """One stack of an assembly.

    Attributes
    ----------
    template : Path
        Its template file.
    parameters : Mapping[str, str]
        Values the assembly gives to the template's parameters.
    bootstrap : str or None
        The SSM parameter with the version of the bootstrap that it relies on.
    """

    artifact: str
    name: str
    template: Path
    parameters: Mapping[str, str]
    assets: tuple[FileAsset, ...]
    bootstrap: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def read_assembly(directory: Path, account_id: str, region: str) -> list[Stack]:
    """The stacks of an assembly, each after those it depends on.

    Raises
    ------
    AssemblyError
        When the directory is not an assembly, a stack is bound to another account or region, or an asset is
        something other than a file.
    """
    manifest = _read_json(directory / "manifest.json")
    artifacts: Mapping[str, Any] = manifest.get("artifacts", {})
    stacks: dict[str, Stack] = {}
    nested: list[Stack] = []
    graph: dict[str, set[str]] = {}
    for name, artifact in artifacts.items():
        kind = artifact["type"]
        if kind == _STACK:
            _check_environment(name, artifact, account_id, region)
            stacks[name] = _stack(directory, name, artifact, artifacts, account_id, region)
            graph[name] = {d for d in artifact.get("dependencies", []) if artifacts[d]["type"] == _STACK}
        elif kind == "cdk:cloud-assembly":
            nested += read_assembly(directory / artifact["properties"]["directoryName"], account_id, region)
        elif kind != _ASSETS and kind not in _HARMLESS:
            raise AssemblyError(f"{directory}: artifact {name} is a {kind}, which can't be deployed here")
    return [stacks[name] for name in TopologicalSorter(graph).static_order()] + nested


def _stack(
    directory: Path, name: str, artifact: Any, artifacts: Mapping[str, Any], account_id: str, region: str
) -> Stack:
    properties = artifact["properties"]
    assets = []
    for dependency in artifact.get("dependencies", []):
        if artifacts[dependency]["type"] == _ASSETS:
            file = directory / artifacts[dependency]["properties"]["file"]
            assets += _assets(file, account_id, region)
    return Stack(
        artifact=name,
        name=properties.get("stackName", name),
        template=directory / properties["templateFile"],
        parameters=properties.get("parameters", {}),
        assets=tuple(assets),
        bootstrap=properties.get("bootstrapStackVersionSsmParameter"),
        tags=properties.get("tags", {}),
    )


def _assets(file: Path, account_id: str, region: str) -> list[FileAsset]:
    manifest = _read_json(file)
    if manifest.get("dockerImages"):
        raise AssemblyError(f"{file}: container images can't be deployed here; package functions as zip files")
    assets = []
    for identifier, asset in manifest.get("files", {}).items():
        source = asset["source"]
        if "path" not in source:
            raise AssemblyError(f"{file}: asset {identifier} is made by a command, which is not run here")
        if not (file.parent / source["path"]).exists():
            raise AssemblyError(
                f"{file}: asset {identifier} is at {source['path']}, which does not exist: synthesize again"
            )
        for destination in asset["destinations"].values():
            assets.append(
                FileAsset(
                    identifier=identifier,
                    source=file.parent / source["path"],
                    zipped=source.get("packaging", "file") == "zip",
                    bucket=_fill(destination["bucketName"], account_id, region),
                    key=_fill(destination["objectKey"], account_id, region),
                )
            )
    return assets


def archive(asset: FileAsset, directory: Path) -> Path:
    """The zip of a directory asset, the same bytes for the same content; kept in ``directory`` by asset id."""
    archived = inside(directory, f"{asset.identifier}.zip")
    if archived.exists():
        return archived
    directory.mkdir(parents=True, exist_ok=True)
    temporary = archived.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in sorted(p for p in asset.source.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(asset.source).as_posix(), _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            executable = path.stat().st_mode & stat.S_IXUSR
            info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            file.writestr(info, path.read_bytes(), compresslevel=1)
    os.replace(temporary, archived)
    return archived


def _fill(text: str, account_id: str, region: str) -> str:
    filled = (
        text.replace("${AWS::AccountId}", account_id)
        .replace("${AWS::Region}", region)
        .replace("${AWS::Partition}", "aws")
    )
    if "${" in filled:
        raise AssemblyError(f"asset destination {text!r} has an unknown placeholder")
    return filled


def _check_environment(name: str, artifact: Any, account_id: str, region: str) -> None:
    match = _ENVIRONMENT.fullmatch(artifact.get("environment", ""))
    if match is None:
        raise AssemblyError(f"stack {name}: environment {artifact.get('environment')!r} is malformed")
    if match.group(1) not in ("unknown-account", account_id) or match.group(2) not in ("unknown-region", region):
        raise AssemblyError(
            f"stack {name} is bound to {match.group(0)}, but this endpoint is aws://{account_id}/{region}; "
            "synthesize it for this account and region, or for none"
        )


def _read_json(file: Path) -> Any:
    try:
        return read_json(file.read_text())
    except FileNotFoundError:
        raise AssemblyError(f"{file} does not exist: synthesize the app first") from None
    except ValueError as error:
        raise AssemblyError(f"{file} is not JSON: {error}") from error
