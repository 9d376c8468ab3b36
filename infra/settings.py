"""What one synthesis is given: where the sources are, and for which processor it builds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import everloop
from everloop.infra.exceptions import SynthesisError
from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.reader import read_model_file
from everloop.model_file.schema import ModelDeclaration

PACKAGE = Path(everloop.__file__).parent
"""The folder of ``everloop``, in a checkout as in an environment: the sources of what is packaged."""

CONSTRAINTS = PACKAGE / "infra" / "packaging" / "constraints.txt"
"""Pins what direct requirements bring along."""

ARCHITECTURES = ("x86_64", "arm64")

AuditLock = Literal["governance", "compliance"]
AUDIT_LOCKS: tuple[AuditLock, ...] = get_args(AuditLock)
"""Who can delete a locked audit record before its time: with ``governance`` an administrator who first takes the
bucket's policy away, with ``compliance`` nobody, the account's root included."""

AUTHORIZERS = 10
"""How many authorizers an HTTP API has until AWS raises it
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""

PYTHON_VERSION = "3.13"
"""The Lambda runtime's Python. Wheels and compiled caches are chosen for it."""


@dataclass(frozen=True)
class Settings:
    """The inputs of a synthesis.

    Attributes
    ----------
    models : Path
        The project's declarations.
    functions : Path
        The functions' own folders.
    cache : Path
        Where built layers are kept between syntheses.
    architecture : str
        Of the functions: ``x86_64`` or ``arm64``. Training jobs run on x86 whatever this says.
    region : str or None
        Where it is to be deployed, where that is known; the templates are the same for all.
    audit_lock : str
        How audit records are locked: ``governance`` or ``compliance``.
    authorizers : int
        How many authorizers the platform's API may have. Each model that takes tokens has one of its own, so that a
        model more changes no other's stack.
    """

    models: Path
    cache: Path
    functions: Path = PACKAGE / "functions"
    architecture: str = "x86_64"
    region: str | None = None
    audit_lock: AuditLock = "governance"
    authorizers: int = AUTHORIZERS

    @classmethod
    def of(
        cls,
        project: Path,
        *,
        models: str = "models",
        architecture: str = "x86_64",
        region: str | None = None,
        audit_lock: str = "governance",
        authorizers: str | int = AUTHORIZERS,
    ) -> Settings:
        """The settings of the project in a folder; ``models`` is relative to it, or absolute.

        Raises
        ------
        SynthesisError
            For an architecture that Lambda does not have, a lock that S3 does not have, authorizers that are no number,
            or a folder that is not there.
        """
        if not (text := str(authorizers)).isascii() or not text.isdecimal():
            raise SynthesisError(
                f"context everloop:authorizers: {authorizers!r} is not how many authorizers AWS allows your API: a"
                f" whole number, {AUTHORIZERS} unless AWS Support raised it"
            )
        lock = next((known for known in AUDIT_LOCKS if known == audit_lock), None)
        if lock is None:
            raise SynthesisError(f"context everloop:audit_lock: {audit_lock!r} is not one of {', '.join(AUDIT_LOCKS)}")
        if architecture not in ARCHITECTURES:
            raise SynthesisError(
                f"context everloop:architecture: {architecture!r} is not one of {', '.join(ARCHITECTURES)}"
            )
        folder = project / models
        if not folder.is_dir():
            raise SynthesisError(f"context everloop:models_dir: there is no folder {folder}")
        return cls(
            models=folder,
            cache=project / ".cache" / "layers",
            architecture=architecture,
            region=region,
            audit_lock=lock,
            authorizers=int(text),
        )


@dataclass(frozen=True)
class DeclaredModel:
    """A declaration and the folder it was read from."""

    declaration: ModelDeclaration
    folder: Path

    @property
    def document(self) -> bytes:
        """``declaration.json``: the normalised declaration, as functions and jobs read it."""
        return self.declaration.model_dump_json(indent=1).encode() + b"\n"

    @property
    def sha256(self) -> str:
        """The hash of :attr:`document`."""
        return hashlib.sha256(self.document).hexdigest()


def read_models(folder: Path) -> list[DeclaredModel]:
    """Read every declaration of ``folder``, sorted by name.

    Raises
    ------
    SynthesisError
        With the mistakes of all declarations, one a line. A folder without a ``model.yaml`` is a mistake: a
        misspelt file name must not take a model away.
    """
    models: list[DeclaredModel] = []
    refusals: list[str] = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"):
        try:
            if not (path / "model.yaml").is_file():
                missing = Mistake("", 0, "no such file", "a declaration in every folder of models/")
                raise ModelFileError(str(path / "model.yaml"), [missing])
            models.append(DeclaredModel(read_model_file(path / "model.yaml"), path))
        except ModelFileError as error:
            refusals.append(str(error))
    if refusals:
        raise SynthesisError("\n".join(refusals))
    return models


def why_not_so_many(models: Sequence[ModelDeclaration], allowed: int) -> str | None:
    """Why the shared API can't have an authorizer for each model that takes tokens; None where it can."""
    sharing = [model for model in models if model.serving.rate is None]
    named = [model.model for model in sharing if model.serving.authorization == "jwt"]
    if len(named) <= allowed:
        return None
    return (
        f"{len(named)} models have serving.authorization: jwt ({', '.join(named)}), and the HTTP API that they share"
        f" has {allowed} authorizers, one for each of them: declare iam for some, or serving.rate, which gives a model"
        " an API of its own; or have AWS Support raise the quota 'Authorizers per API' of your API and synthesize with"
        f" the context everloop:authorizers={len(named)}"
    )
