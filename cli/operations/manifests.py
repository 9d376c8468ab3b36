"""Reads the archived manifests of what serves, and commits them to a git repository."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.objects import read_object
from everloop.rollout.manifest_archive import LARGEST_BYTES, LARGEST_DECLARATION_BYTES, ManifestArchive
from everloop.typed_json import JsonObject

SERVING, DECLARATION = "serving.json", "declaration.json"
"""A model's files in a repository, in a folder of its name."""


@dataclass(frozen=True)
class Committed:
    """A change of what serves as it was committed."""

    key: str
    message: str


def archived(account: Account, model: str) -> ManifestArchive:
    """The archive of a model's manifests."""
    return ManifestArchive(account.client("s3"), account.platform.artifact_bucket, model)


def read_archived(account: Account, key: str) -> JsonObject:
    """An archived manifest, with the key under which it is archived."""
    body = read_object(account.client("s3"), account.platform.artifact_bucket, key, LARGEST_BYTES)
    document: JsonObject = json.loads(body)
    return {**document, "archived": key}


def newest(account: Account, model: str) -> JsonObject:
    """The newest archived manifest.

    Raises
    ------
    CommandError
        Where nothing has come to serve since there are any.
    """
    keys = list(archived(account, model).keys())
    if not keys:
        raise CommandError(
            f"no manifest of {model} is archived: nothing has come to serve since this release was deployed",
            f"`everloop train {model}`, or `everloop rollout start {model}`",
        )
    return read_archived(account, keys[-1])


def commit_new(account: Account, model: str, repository: Path) -> list[Committed]:
    """Commit each archived manifest that the repository does not have yet, oldest first, at the time of its change.

    Only the model's own files are committed; whatever else is changed or staged stays as it is.

    Raises
    ------
    CommandError
        Where the folder is no git repository, or git refuses.
    """
    root = Path(_git(repository, "rev-parse", "--show-toplevel").strip())
    folder, done = root / model, []
    for key in list(archived(account, model).keys(after=_committed(folder / SERVING))):
        document = read_archived(account, key)
        _write(folder / SERVING, document)
        _write_declaration(account, model, document, folder / DECLARATION)
        message = _message(model, document)
        _git(root, "add", "--", model)
        _git(root, "commit", "-q", "--only", f"--date={document['at']}", "-m", message, "--", model)
        done.append(Committed(key, message))
    return done


def _committed(path: Path) -> str:
    """The key of the manifest that a repository has; empty for none."""
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["archived"])
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"{path} is no manifest that `everloop manifest` wrote: {error!r}", "restore it from its last commit"
        ) from error


def _write(path: Path, document: JsonObject) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_declaration(account: Account, model: str, document: JsonObject, path: Path) -> None:
    manifest = document.get("manifest")
    sha256 = str(manifest.get("declaration_sha256") or "") if isinstance(manifest, dict) else ""
    if not sha256:
        return
    key, bucket = archived(account, model).declaration_key(sha256), account.platform.artifact_bucket
    path.write_bytes(read_object(account.client("s3"), bucket, key, LARGEST_DECLARATION_BYTES))


def _message(model: str, document: JsonObject) -> str:
    manifest = document.get("manifest")
    serves = f"version {manifest['version']} serves" if isinstance(manifest, dict) else "nothing serves"
    return f"{model}: {serves}\n\n{document['event']}, {document['kind']}, rollout {document['rollout_id']}\n"


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CommandError("git is not installed, or not on the PATH", "install git") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise CommandError(f"git {words[0]} in {folder}: {said}", "repeat this command once git does that")
    return done.stdout
